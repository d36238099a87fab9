//! One pass over eviction candidates.

use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{AsyncTask, Float64Array, Int32Array, Uint8Array, Uint32Array};
use napi_derive::napi;
use quiver_store::Store;
use quiver_store::eviction::{Columns, Goal, Scan};

use crate::errors::{Result, store_failure};
use crate::store::removed_json;
use crate::task::Job;

/// Candidates as columns.
#[napi(object)]
pub struct NativeColumns {
    /// How many.
    pub length: u32,
    /// Times in ms.
    pub created_at: Float64Array,
    /// Times in ms.
    pub last_access: Float64Array,
    /// Accesses.
    pub access_count: Uint32Array,
    /// Allocated bytes.
    pub size: Float64Array,
    /// Lower leaves first.
    pub priority: Int32Array,
    /// Times in ms; Infinity = never.
    pub expires_at: Float64Array,
    /// 1 = accessed since the last eviction that passed over it.
    pub visited: Uint8Array,
}

impl From<Columns> for NativeColumns {
    fn from(columns: Columns) -> Self {
        Self {
            length: columns.created.len() as u32,
            created_at: columns.created.into(),
            last_access: columns.last_access.into(),
            access_count: columns.count.into(),
            size: columns.size.into(),
            priority: columns.priority.into(),
            expires_at: columns.expires.into(),
            visited: columns.visited.into(),
        }
    }
}

/// One pass; not for concurrent use.
#[napi]
pub struct NativeScan {
    pub(crate) store: Arc<Store>,
    pub(crate) scan: Arc<Mutex<Scan>>,
}

#[napi]
impl NativeScan {
    /// The next candidates; null at the end.
    #[napi(ts_return_type = "Promise<NativeColumns | null>")]
    pub fn next(&self, limit: u32) -> AsyncTask<Job<Option<NativeColumns>>> {
        let (store, scan) = (Arc::clone(&self.store), Arc::clone(&self.scan));
        Job::start(move || Ok(lock(&scan).next(&store.engine, limit as usize)?.map(NativeColumns::from)))
    }

    /// Scores for the last candidates.
    #[napi]
    pub fn offer(&self, scores: &[f64]) {
        lock(&self.scan).offer(scores);
    }

    /// Removes the lowest-scored; resolves to what went, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn evict(&self, allocated: f64, entries: f64) -> AsyncTask<Job<String>> {
        let (store, scan) = (Arc::clone(&self.store), Arc::clone(&self.scan));
        let goal = Goal { allocated: allocated.max(0.0) as u64, entries: entries.max(0.0) as u64 };
        Job::start(move || {
            let removed = lock(&scan).evict(&store.engine, store.writer()?, goal)?;
            Ok(removed_json(&store, &removed)?)
        })
    }
}

/// Begins a pass.
pub fn begin(store: &Arc<Store>, namespaces: Option<&[String]>, goal: Goal) -> Result<NativeScan> {
    let scan = Scan::begin(&store.engine, namespaces, goal).map_err(store_failure)?;
    Ok(NativeScan { store: Arc::clone(store), scan: Arc::new(Mutex::new(scan)) })
}

fn lock(scan: &Mutex<Scan>) -> std::sync::MutexGuard<'_, Scan> {
    scan.lock().unwrap_or_else(PoisonError::into_inner)
}
