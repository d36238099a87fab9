//! What lies under a folder, before anything is made there.

use std::path::Path;

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;

use crate::task::Job;

#[napi(object)]
pub struct FileSystem {
    /** Such as "ext4" or "nfs"; empty where it can't be told. */
    pub name: String,
    /** Several hosts may share it. */
    pub network: bool,
}

/// The file system under a folder that is there.
#[napi(ts_return_type = "Promise<FileSystem>")]
pub fn file_system(path: String) -> AsyncTask<Job<FileSystem>> {
    Job::start(move || {
        let (name, network) = quiver_io::file_system(Path::new(&path));
        Ok(FileSystem { name, network })
    })
}
