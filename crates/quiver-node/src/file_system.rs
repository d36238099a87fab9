//! What lies under a folder, before anything is made there.

use std::path::Path;

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;

use crate::task::Job;

/// The name of the file system under a folder, empty where it can't be told; followed by "@" where several hosts may
/// share it.
#[napi(ts_return_type = "Promise<string>")]
pub fn file_system(path: String) -> AsyncTask<Job<String>> {
    Job::start(move || {
        let (name, network) = quiver_io::file_system(Path::new(&path));
        Ok(if network { name + "@" } else { name })
    })
}
