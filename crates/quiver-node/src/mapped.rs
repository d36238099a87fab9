//! Files of other programs in memory: mapped, not read, where that can be.

use std::io::ErrorKind;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::ArrayBuffer;
use napi_derive::napi;
use quiver_io::Mapping;

use crate::errors::{Result, bad_value};
use crate::external;

/// A mapped file. Holds its memory for as long as it is referenced.
#[napi]
pub struct MappedFile {
    mapping: Arc<Mapping>,
}

#[napi]
impl MappedFile {
    /// Bytes of the file.
    #[napi(getter)]
    pub fn byte_length(&self) -> f64 {
        self.mapping.len() as f64
    }

    /// An array buffer over its bytes from `start` to `end`, one at least, which holds the mapping. Several may lie over
    /// the same bytes.
    #[napi]
    pub fn memory<'env>(&self, env: &'env Env, start: f64, end: f64) -> Result<ArrayBuffer<'env>> {
        let memory = (self.mapping.as_ptr(), self.mapping.len());
        // SAFETY: the mapping is private and writable (copy-on-write), stays until it is dropped, and is this isolate's
        // alone. Natively only its last byte is read, whatever it is.
        #[allow(unsafe_code)]
        unsafe {
            external::part(env, memory, (start, end), Arc::clone(&self.mapping))
        }
    }

    /// Nothing of the file has been cut off so far; what was cut off reads as zeros.
    #[napi(getter)]
    pub fn whole(&self) -> bool {
        self.mapping.is_whole()
    }
}

/// Maps an open file; some microseconds. null where it is to be read instead. The descriptor stays the caller's.
#[napi]
pub fn map_file(descriptor: i32) -> Result<Option<MappedFile>> {
    if descriptor < 0 {
        return Err(bad_value("a file descriptor is not negative"));
    }
    let file = match quiver_io::file_of_descriptor(descriptor) {
        // Descriptors are not to be had on this system.
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(None),
        opened => opened.map_err(|error| bad_value(&error.to_string()))?,
    };
    Ok(Mapping::open_foreign(&file).map(|mapping| MappedFile { mapping: Arc::new(mapping) }))
}
