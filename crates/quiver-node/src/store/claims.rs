//! Claims on entries: files in use by path, and the right to compute a key.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use quiver_store::flights::{self, Flight};
use quiver_store::path_leases::PathLease;
use quiver_store::{Code, Error};

use super::{NativeStore, lock};
use crate::errors::{Result, store_failure};
use crate::task::Job;

/// The number that ends a lease, and the path of its file.
type NumberedPath = (u32, String);

/// The leases of one isolate. They end with it.
#[derive(Default)]
pub struct PathLeases {
    open: HashMap<u32, PathLease>,
    last: u32,
    closed: bool,
}

impl PathLeases {
    /// A number for a lease, or what is to be dropped because they have been closed.
    fn add(&mut self, lease: PathLease) -> std::result::Result<NumberedPath, PathLease> {
        if self.closed {
            return Err(lease);
        }
        self.last = self.last.wrapping_add(1);
        let path = lease.path.to_string_lossy().into_owned();
        self.open.insert(self.last, lease);
        Ok((self.last, path))
    }

    /// Takes no more; what is to be dropped, once nobody waits for these.
    #[must_use]
    pub fn close(&mut self) -> HashMap<u32, PathLease> {
        self.closed = true;
        std::mem::take(&mut self.open)
    }
}

fn closed() -> Error {
    Error::new(Code::Closed, "the cache is closed")
}

#[napi]
impl NativeStore {
    /// Leases a value's file: the number that ends it, and the path; null when absent.
    #[napi(ts_return_type = "Promise<[number, string] | null>")]
    pub fn lease(
        &self,
        handle: u32,
        key: String,
        verify: bool,
    ) -> Result<AsyncTask<Job<Option<NumberedPath>>>> {
        let (store, namespace) = (Arc::clone(&self.store), self.namespace(handle)?);
        let leases = Arc::clone(&self.leases);
        Ok(Job::start(move || {
            if lock(&leases).closed {
                return Err(closed().into());
            }
            let Some(lease) = store.lease(&namespace, key.as_bytes(), verify)? else { return Ok(None) };
            let added = lock(&leases).add(lease);
            Ok(Some(added.map_err(|_| closed())?))
        }))
    }

    /// Ends a lease; one that has ended is none.
    #[napi]
    pub fn release_lease(&self, id: u32) {
        let ended = lock(&self.leases).open.remove(&id);
        drop(ended);
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
