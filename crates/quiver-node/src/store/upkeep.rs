//! Upkeep: foreign files, eviction, verification, sweeping, compaction, backup.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use quiver_store::catalog::Counters;
use quiver_store::eviction::Goal;
use quiver_store::writer::Removed;
use quiver_store::{Store, adopt, maintenance, sweep};
use serde_json::{Value, json};

use super::NativeStore;
use crate::errors::{Result, bad_value, store_failure};
use crate::scan::{self, NativeScan};
use crate::task::Job;

#[napi]
impl NativeStore {
    /// Takes over the file that another program put, changed or removed under the key; whether there is one.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn adopt(&self, handle: u32, key: String) -> Result<AsyncTask<Job<bool>>> {
        let (store, namespace) = (Arc::clone(&self.store), self.namespace(handle)?);
        let seen = self.exchange.take();
        Ok(Job::start(move || {
            let seen = seen.filter(|found| found.key == key.as_bytes()).map(|found| found.record);
            Ok(store.adopt_or_drop(&namespace, key.as_bytes(), seen.as_ref())?)
        }))
    }

    /// Takes over every file of other programs in a namespace; how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn adopt_all(&self, handle: u32) -> Result<AsyncTask<Job<f64>>> {
        let (store, namespace) = (Arc::clone(&self.store), self.namespace(handle)?);
        Ok(Job::start(move || Ok(adopt::all(&store, &namespace)? as f64)))
    }

    /// Lets the queued requests be committed, together. To be called at the end of a turn in which some were
    /// made; they wait for it, or two milliseconds. What a few of them came to that were committed at once, as
    /// `listen` has it; nothing after `close`.
    #[napi]
    pub fn flush(&self) -> Option<String> {
        self.completions().ok()?.fetch(|| self.store.flush())
    }

    /// Adds to the counters of a namespace; counts as JSON.
    #[napi]
    pub fn count(&self, namespace: String, counts: String) -> Result<()> {
        let more: Counters = serde_json::from_str(&counts).map_err(|_| bad_value("counts don't parse"))?;
        self.store.engine.count(&namespace, more);
        Ok(())
    }

    /// Begins a pass over eviction candidates.
    #[napi]
    pub fn scan(&self, namespaces: Option<Vec<String>>, allocated: f64, entries: f64) -> Result<NativeScan> {
        let goal = Goal { allocated: allocated.max(0.0) as u64, entries: entries.max(0.0) as u64 };
        scan::begin(&self.store, namespaces.as_deref(), goal)
    }

    /// What writes evicted to make room since this was last asked, as JSON.
    #[napi]
    pub fn take_evicted(&self) -> Result<String> {
        removed_json(&self.store, &self.store.engine.take_evicted()).map_err(store_failure)
    }

    /// Compares every value of a namespace with its digest; `{ entries, bytes, findings }` as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn verify(&self, handle: u32, repair: bool) -> Result<AsyncTask<Job<String>>> {
        let (store, namespace) = (Arc::clone(&self.store), self.namespace(handle)?);
        Ok(Job::start(move || {
            let report =
                maintenance::verify(&store, &namespace, repair, &AtomicBool::new(false), &|_, _| {})?;
            Ok(json!(report).to_string())
        }))
    }

    /// Walks the catalog's pages; what is wrong with them.
    #[napi(ts_return_type = "Promise<string[]>")]
    pub fn check_catalog(&self) -> AsyncTask<Job<Vec<String>>> {
        let store = Arc::clone(&self.store);
        Job::start(move || Ok(maintenance::check_catalog(&store)?))
    }

    /// Removes unfinished writes, values without a record and names that leases left, and puts readable names right; JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn sweep(&self) -> AsyncTask<Job<String>> {
        let store = Arc::clone(&self.store);
        Job::start(move || {
            let names = sweep::names(&store.engine)?;
            let swept = sweep::files(&store.engine)?;
            Ok(json!({ "temporary": swept.temporary, "orphans": swept.orphans, "names": names }).to_string())
        })
    }

    /// Rewrites the catalog without free pages; bytes saved.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn compact(&self) -> AsyncTask<Job<f64>> {
        let store = Arc::clone(&self.store);
        Job::start(move || Ok(maintenance::compact(&store)? as f64))
    }

    /// Writes a copy that opens as a cache of its own; files copied.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn backup(&self, to: String) -> AsyncTask<Job<f64>> {
        let store = Arc::clone(&self.store);
        Job::start(move || Ok(maintenance::backup(&store, Path::new(&to))? as f64))
    }

    /// What the cache takes on disk, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn disk_usage(&self) -> AsyncTask<Job<String>> {
        let store = Arc::clone(&self.store);
        Job::start(move || Ok(json!(maintenance::disk_usage(&store)?).to_string()))
    }
}

/// Namespace and key of removed entries, as JSON.
pub fn removed_json(store: &Store, removed: &Removed) -> quiver_store::Result<String> {
    let catalog = store.engine.catalog()?;
    let txn = catalog.env.read()?;
    let names: std::collections::HashMap<u32, String> =
        catalog.namespaces(&txn)?.into_iter().map(|(name, record)| (record.id, name)).collect();
    let sample: Vec<Value> = removed
        .entries
        .iter()
        .filter_map(|entry| {
            let id = quiver_store::catalog::keys::namespace_of(entry)?;
            let key = String::from_utf8_lossy(quiver_store::catalog::keys::user_key(entry)).into_owned();
            Some(json!({ "namespace": names.get(&id)?, "key": key }))
        })
        .collect();
    Ok(json!({ "count": removed.count, "bytes": removed.bytes, "sample": sample }).to_string())
}
