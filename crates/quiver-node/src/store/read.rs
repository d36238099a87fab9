//! Reading entries and sums.

use std::borrow::Cow;
use std::sync::Arc;

use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, AsyncTask, Either, Function};
use napi_derive::napi;
use quiver_store::Store;
use quiver_store::listing::{self, Listed, Listing, Query};
use quiver_store::maintenance;
use quiver_store::open_values::COPY_BELOW;
use quiver_store::reader::{self, Age, Namespace};
use quiver_store::stamps::NO_SLOT;
use serde::{Serialize, Serializer};

use super::{NativeStore, NativeUsage};
use crate::errors::{Result, bad_value, store_failure};
use crate::facts::{self, Facts};
use crate::lookup::{Answer, Lookup, Pending, Status};
use crate::task::Job;
use crate::value::OpenFile;

/// Rows that are looked at while JavaScript waits.
const SHORT: usize = 32;

/// A page of facts or of keys.
#[derive(Serialize)]
struct Page<'r, T> {
    entries: T,
    next: Option<Cow<'r, str>>,
}

/// The keys of a page, written as they lie in the snapshot.
struct Keys<'l>(&'l [Listed<'l>]);

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|listed| String::from_utf8_lossy(listed.key)))
    }
}

#[napi]
impl NativeStore {
    /// The function that looks entries of a namespace up: given a key, or the length of the one in `exchange()`, it
    /// answers 0 = absent; 1 = a packed value, in the exchange; 2 = a file value, to be had by `take`; 3 = absent or
    /// changed here, but a file of another program may be there: `adopt`, then look again; 4 = a packed value, in
    /// `place`; 5 = the key is to be checked and put into the exchange.
    #[napi(ts_return_type = "(key: string | number, place?: ArrayBuffer, from?: number) => number")]
    pub fn lookup<'env>(&self, env: &'env Env, handle: u32) -> Result<Function<'env, u32, u32>> {
        let namespace = self.namespace(handle)?;
        Lookup { store: Arc::clone(&self.store), namespace, exchange: Arc::clone(&self.exchange) }
            .into_function(env)
            .map_err(|error| bad_value(&error.reason))
    }

    /// Gives up the snapshot that look-ups keep for each other. To be called at the end of a turn in which some were made.
    #[napi]
    pub fn let_go_of_snapshot(&self) {
        self.store.engine.let_go_of_snapshot();
    }

    /// Looks up, in the same way, an entry that may have expired as long as it is kept.
    #[napi]
    pub fn lookup_stale(&self, handle: u32, key_length: u32) -> Result<u32> {
        let namespace = self.namespace(handle)?;
        Lookup { store: Arc::clone(&self.store), namespace, exchange: Arc::clone(&self.exchange) }
            .run(key_length as usize, Age::Stale, || None)
            .map(|status| status as u32)
            .map_err(store_failure)
    }

    /// Looks a kept older value up, with the same answers.
    #[napi]
    pub fn lookup_version(&self, handle: u32, key: String, version: u32) -> Result<u32> {
        let namespace = self.namespace(handle)?;
        let mut value = Vec::new();
        let record =
            reader::lookup_version(&self.store.engine, &namespace, key.as_bytes(), version, &mut value)
                .map_err(store_failure)?;
        let Some(record) = record else { return Ok(Status::Absent as u32) };
        let answer = Answer {
            stamp: record.stamp,
            slot: NO_SLOT,
            epoch: 0,
            created: record.created,
            expires: record.expires,
            size: record.size,
            content: record.content,
            codec: &record.codec,
        };
        self.exchange.write(&answer, &value);
        if record.is_inline() {
            return Ok(Status::Packed as u32);
        }
        self.exchange.put_aside(Pending { namespace, key: key.into_bytes(), record });
        Ok(Status::File as u32)
    }

    /// Opens the file value just found, or copies it where it is small, which is verified at once; null when its file is
    /// gone.
    #[napi]
    pub fn take<'env>(&self, env: &'env Env) -> Result<Option<Either<ArrayBuffer<'env>, OpenFile>>> {
        let Some(found) = self.exchange.take() else { return Ok(None) };
        let bytes =
            self.store.open_value(&found.namespace, &found.key, &found.record).map_err(store_failure)?;
        let Some(bytes) = bytes else { return Ok(None) };
        if bytes.len() as u64 > COPY_BELOW {
            return Ok(Some(Either::B(bytes.into())));
        }
        // SAFETY: the bytes live as long as `bytes`.
        #[allow(unsafe_code)]
        let memory = unsafe { std::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) };
        bytes
            .checked
            .verify(0, bytes.len() as u64, memory)
            .map_err(|error| store_failure(error.about(&found.key)))?;
        let copy = ArrayBuffer::copy_from(env, memory).map_err(|error| bad_value(&error.reason))?;
        Ok(Some(Either::A(copy)))
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
            Ok(Some(facts::json(&Facts::of(&store, &namespace, key.as_bytes(), &record))))
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

    /// One page of facts: `{ entries, next? }` as JSON, at once where it is short and the only one.
    #[napi(ts_return_type = "string | Promise<string>")]
    pub fn list(
        &self,
        handle: u32,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Either<String, AsyncTask<Job<String>>>> {
        self.page(handle, (prefix, after, limit), |store, namespace, page| {
            let records: Vec<_> =
                page.entries.iter().filter_map(|listed| Some((listed.key, listed.record()?))).collect();
            let facts = records.iter().map(|(key, record)| Facts::of(store, namespace, key, record));
            page_json(facts.collect::<Vec<_>>(), page)
        })
    }

    /// The keys of such a page: `{ entries, next? }` as JSON.
    #[napi(ts_return_type = "string | Promise<string>")]
    pub fn list_keys(
        &self,
        handle: u32,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Result<Either<String, AsyncTask<Job<String>>>> {
        self.page(handle, (prefix, after, limit), |_, _, page| page_json(Keys(&page.entries), page))
    }

    /// Kept older values, newest first, as JSON.
    #[napi]
    pub fn versions(&self, handle: u32, key: String) -> Result<String> {
        let namespace = self.namespace(handle)?;
        let versions =
            reader::versions(&self.store.engine, &namespace, key.as_bytes()).map_err(store_failure)?;
        let facts: Vec<_> = versions
            .iter()
            .map(|record| Facts::of(&self.store, &namespace, key.as_bytes(), record))
            .collect();
        Ok(facts::json(&facts))
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
        Ok(facts::json(&counters))
    }
}

impl NativeStore {
    /// A page of a listing, as `tell` puts it: a short listing at once, any other on the thread pool, since to wake a
    /// thread and to be woken takes longer than to look at some rows.
    fn page(
        &self,
        handle: u32,
        (prefix, after, limit): (String, Option<String>, u32),
        tell: fn(&Store, &Namespace, &Listing<'_>) -> String,
    ) -> Result<Either<String, AsyncTask<Job<String>>>> {
        let (store, namespace) = (Arc::clone(&self.store), self.namespace(handle)?);
        if after.is_none() {
            let query = Query { prefix: prefix.as_bytes(), after: None, limit: limit as usize };
            let tell = |page: &Listing<'_>| tell(&store, &namespace, page);
            let short = listing::look_at_short(&store.engine, &namespace, query, SHORT, tell);
            if let Some(json) = short.map_err(store_failure)? {
                return Ok(Either::A(json));
            }
        }
        Ok(Either::B(Job::start(move || {
            let after = after.as_deref().map(str::as_bytes);
            let query = Query { prefix: prefix.as_bytes(), after, limit: limit as usize };
            Ok(listing::look(&store.engine, &namespace, query, |page| tell(&store, &namespace, page))?)
        })))
    }
}

fn page_json(entries: impl Serialize, page: &Listing<'_>) -> String {
    facts::json(&Page { entries, next: page.next().map(String::from_utf8_lossy) })
}
