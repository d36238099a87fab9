//! File values as JavaScript holds them: array buffers over memory of ours, and the means to verify parts of it.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, AsyncTask};
use napi_derive::napi;
use quiver_store::open_values::ValueBytes;

use crate::errors::{Result, store_failure};
use crate::external;
use crate::task::Job;

/// An open file value. Holds its memory for as long as it is referenced.
#[napi]
pub struct OpenFile {
    bytes: Arc<ValueBytes>,
    /// JavaScript has been given memory of it, and may have written there.
    shown: bool,
}

#[napi]
impl OpenFile {
    /// It lies in a mapped file.
    #[napi(getter)]
    pub fn mapped(&self) -> bool {
        self.bytes.is_mapped()
    }

    /// An array buffer over its bytes from `start` to `end`, one at least, which holds all of its memory. Several may
    /// lie over the same bytes.
    #[napi]
    pub fn memory<'env>(&mut self, env: &'env Env, start: f64, end: f64) -> Result<ArrayBuffer<'env>> {
        self.shown = true;
        let memory = (self.bytes.as_ptr(), self.bytes.len());
        // SAFETY: the memory is writable and this process's own (copy-on-write), stays in place until `bytes` is
        // dropped, and is this isolate's alone: every open of a value maps it anew.
        #[allow(unsafe_code)]
        unsafe {
            external::part(env, memory, (start, end), Arc::clone(&self.bytes))
        }
    }

    /// Compares the chunks of 64 KiB that cover `[start, end)` with their sums, each once a process.
    #[napi]
    pub fn verify(&self, start: f64, end: f64) -> Result<()> {
        if !self.shown {
            self.bytes.checked.verify_fresh(
                start.max(0.0) as u64,
                end.max(0.0) as u64,
                memory_of(&self.bytes),
            );
        }
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

    /// Nothing of the file has been cut off under the mapping so far; what was cut off reads as zeros.
    #[napi(getter)]
    pub fn whole(&self) -> bool {
        self.bytes.is_whole()
    }
}

fn verify(bytes: &ValueBytes, start: f64, end: f64) -> quiver_store::Result<()> {
    if !bytes.is_whole() {
        return Err(quiver_store::Error::new(
            quiver_store::Code::Corrupt,
            "the file was cut short while it was in use",
        ));
    }
    bytes.checked.verify(start.max(0.0) as u64, end.max(0.0) as u64, memory_of(bytes))
}

fn memory_of(bytes: &ValueBytes) -> &[u8] {
    // SAFETY: the bytes live as long as `bytes`; where JavaScript writes into its view meanwhile, only a comparison
    // may see it, and then fails.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts(bytes.as_ptr(), bytes.len())
    }
}

impl From<ValueBytes> for OpenFile {
    fn from(bytes: ValueBytes) -> Self {
        Self { bytes: Arc::new(bytes), shown: false }
    }
}
