//! Claims on entries: files in use by path, and the right to compute a key.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use quiver_store::flights::{self, Flight};
use quiver_store::reader::{self};

use super::NativeStore;
use crate::errors::{Result, bad_value, store_failure};
use crate::task::Job;

#[napi]
impl NativeStore {
    /// Holds a value's file: its path, verified where asked, and the content id to release; null when absent.
    #[napi(ts_return_type = "Promise<[string, string] | null>")]
    pub fn hold(
        &self,
        handle: u32,
        key: String,
        verify: bool,
    ) -> Result<AsyncTask<Job<Option<Vec<String>>>>> {
        let (store, namespace) = (Arc::clone(&self.store), self.namespace(handle)?);
        Ok(Job::start(move || {
            let mut value = Vec::new();
            let Some(found) = reader::lookup(&store.engine, &namespace, key.as_bytes(), &mut value)? else {
                return Ok(None);
            };
            let record = found.record;
            if record.is_inline() {
                return Ok(None);
            }
            store.engine.holds.hold(record.content)?;
            let checked = || -> quiver_store::Result<Option<PathBuf>> {
                let Some(bytes) = store.open_value(&namespace, key.as_bytes(), &record)? else {
                    return Ok(None);
                };
                let object = store.engine.root.object(record.content, &record.extension);
                if verify {
                    bytes.checked.verify_whole(std::fs::File::open(&object).ok().as_ref(), &[])?;
                }
                let named =
                    record.name.as_ref().map(|name| store.engine.root.namespace(&namespace.name).join(name));
                Ok(Some(named.filter(|path| path.exists()).unwrap_or(object)))
            };
            match checked() {
                Ok(Some(path)) => {
                    Ok(Some(vec![path.to_string_lossy().into_owned(), record.content.to_string()]))
                }
                other => {
                    store.engine.holds.release(record.content)?;
                    Ok(other.map(|_| None)?)
                }
            }
        }))
    }

    /// Ends a hold.
    #[napi]
    pub fn release_hold(&self, content: String) -> Result<()> {
        let content = content.parse().map_err(|_| bad_value("a content id is a number"))?;
        self.store.engine.holds.release(content).map_err(store_failure)
    }

    /// The right to compute a key, where nobody has it and commits aren't synced; else null. Where they are, this
    /// thread should not touch the disk for what a commit will outweigh.
    #[napi]
    pub fn try_flight(&self, handle: u32, key: String) -> Result<Option<f64>> {
        let (engine, namespace) = (&self.store.engine, self.namespace(handle)?);
        if engine.is_durable() {
            return Ok(None);
        }
        let hash = flights::hash(&namespace.name, key.as_bytes());
        let flight = engine.flights.try_acquire(hash).map_err(store_failure)?;
        Ok(flight.map(|flight| flight.fence as f64))
    }

    /// Asks for the right to compute a key; request `id` is answered with its fence, or nothing when the time ran
    /// out. Returns a number for `cancelFlight`.
    #[napi]
    pub fn acquire_flight(&self, id: u32, handle: u32, key: String, timeout: f64) -> Result<f64> {
        let namespace = self.namespace(handle)?;
        let completions = self.completions()?;
        let timeout = Duration::from_millis(timeout.clamp(0.0, 86_400_000.0) as u64);
        let hash = flights::hash(&namespace.name, key.as_bytes());
        let number = self.store.engine.flights.acquire(
            hash,
            timeout,
            Box::new(move |result| {
                completions.answer(id, result, |flight| {
                    flight.map_or_else(String::new, |flight| flight.fence.to_string())
                });
            }),
        );
        Ok(number as f64)
    }

    /// Gives up waiting.
    #[napi]
    pub fn cancel_flight(&self, number: f64) {
        self.store.engine.flights.cancel(number as u64);
    }

    /// Ends a flight.
    #[napi]
    pub fn release_flight(&self, handle: u32, key: String, fence: f64) -> Result<()> {
        let hash = flights::hash(&self.namespace(handle)?.name, key.as_bytes());
        self.store.engine.flights.release(Flight { hash, fence: fence as u64 });
        Ok(())
    }
}
