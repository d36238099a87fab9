//! File values as JavaScript holds them: an array buffer over memory of ours, and the means to verify parts of it.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, AsyncTask};
use napi_derive::napi;
use quiver_store::open_values::ValueBytes;

use crate::errors::{Result, store_failure};
use crate::external;
use crate::task::Job;

/// Verifies parts of a value. Holds its memory for as long as it is referenced.
#[napi]
pub struct ValueCheck {
    bytes: Arc<ValueBytes>,
}

#[napi]
impl ValueCheck {
    /// Compares the chunks of 64 KiB that cover `[start, end)` with their sums, each once a process.
    #[napi]
    pub fn verify(&self, start: f64, end: f64) -> Result<()> {
        verify(&self.bytes, start, end).map_err(store_failure)
    }

    /// The same on the thread pool, reading ahead.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn ready(&self, start: f64, end: f64) -> AsyncTask<Job<()>> {
        let bytes = Arc::clone(&self.bytes);
        Job::start(move || {
            bytes.prefetch(start as usize, end as usize);
            Ok(verify(&bytes, start, end)?)
        })
    }

    /// Whether all of `[start, end)` has been verified.
    #[napi]
    pub fn covers(&self, start: f64, end: f64) -> bool {
        self.bytes.checked.covers(start as u64, end as u64)
    }

    /// The file was cut short under the mapping; what was lost reads as zeros.
    #[napi(getter)]
    pub fn poisoned(&self) -> bool {
        self.bytes.is_poisoned()
    }
}

fn verify(bytes: &ValueBytes, start: f64, end: f64) -> quiver_store::Result<()> {
    if bytes.is_poisoned() {
        return Err(quiver_store::Error::new(
            quiver_store::Code::Corrupt,
            "the file was cut short while it was in use",
        ));
    }
    // SAFETY: the bytes live as long as `bytes`; where JavaScript writes into its view meanwhile, only this
    // comparison may see it, and then fails.
    #[allow(unsafe_code)]
    let memory = unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) };
    bytes.checked.verify(start.max(0.0) as u64, end.max(0.0) as u64, memory)
}

impl ValueCheck {
    /// For a value.
    pub fn new(bytes: &Arc<ValueBytes>) -> Self {
        Self { bytes: Arc::clone(bytes) }
    }
}

/// An array buffer over a value's memory, which it holds until it is collected.
pub fn array_buffer(env: &Env, bytes: Arc<ValueBytes>) -> napi::Result<ArrayBuffer<'_>> {
    let memory = (bytes.as_ptr(), bytes.len());
    // SAFETY: the memory is writable and this process's own (copy-on-write), stays in place until `bytes` is
    // dropped, and no other ArrayBuffer lies over it: every open of a value maps it anew.
    #[allow(unsafe_code)]
    unsafe {
        external::array_buffer(env, memory, bytes)
    }
}
