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
    /// Nothing of the file has been cut off so far; what was cut off reads as zeros.
    #[napi(getter)]
    pub fn whole(&self) -> bool {
        self.mapping.is_whole()
    }
}

/// Maps an open file; some microseconds. null where it is to be read instead. The descriptor stays the caller's.
#[napi]
pub fn map_file(env: &Env, descriptor: i32) -> Result<Option<(ArrayBuffer<'_>, MappedFile)>> {
    if descriptor < 0 {
        return Err(bad_value("a file descriptor is not negative"));
    }
    let file = match quiver_io::file_of_descriptor(descriptor) {
        // Descriptors are not to be had on this system.
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(None),
        opened => opened.map_err(|error| bad_value(&error.to_string()))?,
    };
    let Some(mapping) = Mapping::open_foreign(&file) else { return Ok(None) };
    let mapping = Arc::new(mapping);
    let memory = (mapping.as_ptr(), mapping.len());
    // SAFETY: the mapping is private and writable (copy-on-write), stays until it is dropped, and was made for this
    // buffer alone. Natively only its last byte is read, whatever it is.
    #[allow(unsafe_code)]
    let buffer = unsafe { external::array_buffer(env, memory, Arc::clone(&mapping)) };
    Ok(Some((buffer.map_err(|error| bad_value(&error.reason))?, MappedFile { mapping })))
}
