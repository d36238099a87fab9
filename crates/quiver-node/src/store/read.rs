//! Reading entries and sums.

use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, AsyncTask};
use napi_derive::napi;
use quiver_store::catalog::record::Record;
use quiver_store::open_values::{COPY_BELOW, ValueBytes};
use quiver_store::reader::{self, Age, Namespace};
use quiver_store::{adopt, maintenance};
use serde_json::{Value, json};

use super::{Found, NativeStore, NativeUsage, Taken, lock};
use crate::errors::{Result, bad_value, store_failure};
use crate::facts;
use crate::task::Job;
use crate::value::{self, ValueCheck};

#[napi]
impl NativeStore {
    /// Looks an entry up, with `stale` also one that has expired and is kept: 0 = absent; 1 = a packed value, in the response; 2 = a file value, to be had by `take`;
    /// 3 = absent here, but a file of another program may be there: `adopt`, then look again.
    ///
    /// Response: u32 stamp, slot, epoch, length of the codec's name | f64 created, expires (Infinity = never),
    /// size | u64 content id | from byte 64 the codec's name | from byte 320 a packed value.
    #[napi]
    pub fn lookup(&self, handle: u32, key: String, version: Option<u32>, stale: bool) -> Result<u32> {
        let namespace = self.namespace(handle)?;
        let mut value = Vec::new();
        if let Some(version) = version {
            let record =
                reader::lookup_version(&self.store.engine, &namespace, key.as_bytes(), version, &mut value)
                    .map_err(store_failure)?;
            return Ok(match record {
                Some(record) => self.respond(namespace, key, record, 0, false, &value),
                None => 0,
            });
        }
        let age = if stale { Age::Stale } else { Age::Fresh };
        let named = namespace.record().settings.layout == quiver_store::settings::Layout::Named;
        let found =
            self.store.lookup_aged(&namespace, key.as_bytes(), age, &mut value).map_err(store_failure)?;
        let Some(found) = found else { return Ok(if named { 3 } else { 0 }) };
        if named && !found.record.is_inline() {
            match self.store.named_file(&namespace, &found.record) {
                adopt::NamedFile::Same => {}
                adopt::NamedFile::Changed | adopt::NamedFile::Gone => {
                    *lock(&self.found) =
                        Some(Found { namespace, key: key.into_bytes(), record: found.record });
                    return Ok(3);
                }
            }
        }
        Ok(self.respond(namespace, key, found.record, found.epoch, found.coherent, &value))
    }

    /// Opens the file value just found; null when its file is gone. `check` is null when it is small and was
    /// verified at once.
    #[napi]
    pub fn take<'env>(&self, env: &'env Env) -> Result<Option<(Taken<'env>, Option<ValueCheck>)>> {
        let Some(found) = lock(&self.found).take() else { return Ok(None) };
        let bytes =
            self.store.open_value(&found.namespace, &found.key, &found.record).map_err(store_failure)?;
        let Some(bytes) = bytes else { return Ok(None) };
        let internal = |error: napi::Error| bad_value(&error.reason);
        if bytes.len() as u64 <= COPY_BELOW {
            // SAFETY: the bytes live as long as `bytes`.
            #[allow(unsafe_code)]
            let memory = unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) };
            bytes
                .checked
                .verify(0, bytes.len() as u64, memory)
                .map_err(|error| store_failure(error.about(&found.key)))?;
            let buffer = ArrayBuffer::copy_from(env, memory).map_err(internal)?;
            return Ok(Some((Taken { buffer, mapped: false }, None)));
        }
        let bytes: Arc<ValueBytes> = Arc::new(bytes);
        let (check, mapped) = (ValueCheck::new(&bytes), bytes.is_mapped());
        let buffer = value::array_buffer(env, bytes).map_err(internal)?;
        Ok(Some((Taken { buffer, mapped }, Some(check))))
    }

    /// An entry's facts as JSON, with a digest made now where there is none; null when absent.
    #[napi(ts_return_type = "Promise<string | null>")]
    pub fn info(&self, handle: u32, key: String) -> Result<AsyncTask<Job<Option<String>>>> {
        let (store, namespace) = (Arc::clone(&self.store), self.namespace(handle)?);
        Ok(Job::start(move || {
            let mut value = Vec::new();
            let Some(found) = reader::lookup(&store.engine, &namespace, key.as_bytes(), &mut value)? else {
                return Ok(None);
            };
            let mut record = found.record;
            record.sha256 = maintenance::digest(&store, &namespace, key.as_bytes(), &record)?;
            Ok(Some(facts::describe(&store, &namespace, key.as_bytes(), &record).to_string()))
        }))
    }

    /// Whether there is an entry.
    #[napi]
    pub fn has(&self, handle: u32, key: String) -> Result<bool> {
        let namespace = self.namespace(handle)?;
        let mut value = Vec::new();
        let found = reader::lookup(&self.store.engine, &namespace, key.as_bytes(), &mut value)
            .map_err(store_failure)?;
        Ok(found.is_some())
    }

    /// One page of facts: `{ entries, next? }` as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn list(
        &self,
        handle: u32,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<AsyncTask<Job<String>>> {
        let (store, namespace) = (Arc::clone(&self.store), self.namespace(handle)?);
        Ok(Job::start(move || {
            let page = store.list(
                &namespace,
                prefix.as_bytes(),
                after.as_deref().map(str::as_bytes),
                limit as usize,
            )?;
            let entries: Vec<Value> = page
                .entries
                .iter()
                .map(|(key, record)| facts::describe(&store, &namespace, key, record))
                .collect();
            let next = page.next.map(|next| String::from_utf8_lossy(&next).into_owned());
            Ok(json!({ "entries": entries, "next": next }).to_string())
        }))
    }

    /// Kept older values, newest first, as JSON.
    #[napi]
    pub fn versions(&self, handle: u32, key: String) -> Result<String> {
        let namespace = self.namespace(handle)?;
        let versions =
            reader::versions(&self.store.engine, &namespace, key.as_bytes()).map_err(store_failure)?;
        let facts: Vec<Value> = versions
            .iter()
            .map(|record| facts::describe(&self.store, &namespace, key.as_bytes(), record))
            .collect();
        Ok(json!(facts).to_string())
    }

    /// Sums over a namespace, or over all.
    #[napi]
    pub fn usage(&self, handle: Option<u32>) -> Result<NativeUsage> {
        Ok(match handle {
            None => self.store.engine.usage(),
            Some(handle) => {
                reader::totals(&self.store.engine, &*self.namespace(handle)?).map_err(store_failure)?
            }
        }
        .into())
    }

    /// Counters of a namespace over all processes and time, as JSON.
    #[napi]
    pub fn counters(&self, namespace: String) -> Result<String> {
        let counters = self.store.counters(&namespace).map_err(store_failure)?;
        Ok(json!(counters).to_string())
    }
}

impl NativeStore {
    fn respond(
        &self,
        namespace: Arc<Namespace>,
        key: String,
        record: Record,
        epoch: u32,
        coherent: bool,
        value: &[u8],
    ) -> u32 {
        let mut response = lock(&self.response);
        let codec = record.codec.as_bytes();
        let codec = &codec[..codec.len().min(256)];
        let slot = if coherent { record.slot } else { u32::MAX };
        for (at, word) in [record.stamp, slot, epoch, codec.len() as u32].into_iter().enumerate() {
            response[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        let expires = if record.expires == u64::MAX { f64::INFINITY } else { record.expires as f64 };
        for (at, number) in [record.created as f64, expires, record.size as f64].into_iter().enumerate() {
            response[16 + at * 8..24 + at * 8].copy_from_slice(&number.to_le_bytes());
        }
        response[40..48].copy_from_slice(&record.content.to_le_bytes());
        response[64..64 + codec.len()].copy_from_slice(codec);
        if record.is_inline() {
            response[320..320 + value.len()].copy_from_slice(value);
            return 1;
        }
        drop(response);
        *lock(&self.found) = Some(Found { namespace, key: key.into_bytes(), record });
        2
    }
}
