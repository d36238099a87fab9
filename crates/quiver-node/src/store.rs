//! The store as one isolate has it open.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, AsyncTask, Function, Unknown};
use napi_derive::napi;
use quiver_store::catalog::record::Record;
use quiver_store::catalog::{Counters, Totals};
use quiver_store::engine::Modes;
use quiver_store::eviction::Goal;
use quiver_store::flights::{self, Flight};
use quiver_store::open_values::{COPY_BELOW, Limits, ValueBytes};
use quiver_store::publisher::ObjectWriter;
use quiver_store::reader::{self, Namespace};
use quiver_store::settings::{NamespaceSettings, RootSettings};
use quiver_store::writer::{NewValue, Op, Outcome, Put, Removed};
use quiver_store::{Code, Error, OpenOptions, Store, adopt, maintenance, sweep};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::completions::{Completion, Completions};
use crate::errors::{Result, bad_value, store_failure};
use crate::facts;
use crate::object_writer::NativeWriter;
use crate::scan::{self, NativeScan};
use crate::task::Job;
use crate::value::{self, ValueCheck};

/// Bytes of the buffer through which found values come back: facts first, then a packed value.
const RESPONSE: usize = 64 + 256 + 64 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Options {
    settings: RootSettings,
    reconfigure: bool,
    read_only: bool,
    modes: String,
    mappings: usize,
    copies: u64,
}

impl Default for Options {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            settings: RootSettings::default(),
            reconfigure: false,
            read_only: false,
            modes: "readable".into(),
            mappings: limits.mappings,
            copies: limits.copies,
        }
    }
}

/// Opens or makes a cache; options and answers as JSON.
#[napi(ts_return_type = "Promise<NativeStore>")]
pub fn open_store(path: String, options: String) -> AsyncTask<Job<NativeStore>> {
    Job::start(move || {
        let options: Options = serde_json::from_str(&options)
            .map_err(|error| Error::new(Code::BadOption, format!("options don't parse: {error}")))?;
        let limits =
            Limits { mappings: options.mappings, reserved: options.mappings / 16, copies: options.copies };
        let open = OpenOptions {
            settings: options.settings,
            reconfigure: options.reconfigure,
            read_only: options.read_only,
            modes: match options.modes.as_str() {
                "private" => Modes::PRIVATE,
                "group" => Modes::GROUP,
                _ => Modes::READABLE,
            },
            limits,
            ..OpenOptions::default()
        };
        let store = Store::open(Path::new(&path), &open)?;
        Ok(NativeStore {
            store,
            namespaces: Mutex::default(),
            completions: Mutex::default(),
            found: Mutex::default(),
            released: AtomicBool::new(false),
            response: Arc::new(Mutex::new(vec![0; RESPONSE].into_boxed_slice())),
        })
    })
}

/// A found file value that JavaScript has not taken yet.
struct Found {
    namespace: Arc<Namespace>,
    key: Vec<u8>,
    record: Record,
}

/// The store as one isolate has it open. Namespaces go by number.
#[napi]
pub struct NativeStore {
    store: Arc<Store>,
    namespaces: Mutex<Vec<Arc<Namespace>>>,
    completions: Mutex<Option<Completions>>,
    found: Mutex<Option<Found>>,
    released: AtomicBool,
    /// Written by `lookup`, read by JavaScript right after it, on the same thread.
    response: Arc<Mutex<Box<[u8]>>>,
}

/// Memory that JavaScript reads or counts in directly.
#[napi(object)]
pub struct Tables<'env> {
    /// One word an entry and one a namespace: only read by JavaScript.
    pub stamps: ArrayBuffer<'env>,
    /// One word an entry: accesses not merged yet.
    pub heat: ArrayBuffer<'env>,
    /// Where `lookup` puts what it found.
    pub response: ArrayBuffer<'env>,
}

/// A file value.
#[napi(object, object_from_js = false)]
pub struct Taken<'env> {
    /// All of its bytes.
    pub buffer: ArrayBuffer<'env>,
    /// They lie in a mapped file.
    pub mapped: bool,
}

/// Sums.
#[napi(object)]
pub struct NativeUsage {
    /// Entries.
    pub entries: f64,
    /// Bytes of values.
    pub bytes: f64,
    /// Bytes on disk.
    pub allocated: f64,
}

impl From<Totals> for NativeUsage {
    fn from(totals: Totals) -> Self {
        Self {
            entries: totals.entries as f64,
            bytes: totals.bytes as f64,
            allocated: totals.allocated as f64,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl NativeStore {
    fn namespace(&self, handle: u32) -> Result<Arc<Namespace>> {
        lock(&self.namespaces)
            .get(handle as usize)
            .cloned()
            .ok_or_else(|| bad_value("there is no namespace of this number"))
    }

    fn completions(&self) -> Result<Completions> {
        lock(&self.completions).clone().ok_or_else(|| bad_value("nobody listens for completions"))
    }

    fn submit(&self, id: u32, op: Op, json: impl FnOnce(Outcome) -> String + Send + 'static) -> Result<()> {
        let completions = self.completions()?;
        self.store.submit(op, Box::new(move |result| completions.answer(id, result, json)));
        Ok(())
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

fn count_json(outcome: Outcome) -> String {
    match outcome {
        Outcome::Removed(removed) => json!({ "count": removed.count, "more": removed.more }).to_string(),
        _ => String::new(),
    }
}

#[napi]
impl NativeStore {
    /// Answers of queued requests go to `callback`, which doesn't keep the process alive.
    #[napi]
    pub fn listen(
        &self,
        #[napi(ts_arg_type = "(completions: Completion[]) => void")] callback: Function<
            '_,
            Vec<Completion>,
            Unknown<'static>,
        >,
    ) -> napi::Result<()> {
        *lock(&self.completions) = Some(Completions::new(&callback)?);
        Ok(())
    }

    /// Memory that JavaScript reads or counts in directly; each call makes new views of it, so ask once.
    #[napi]
    pub fn tables<'env>(&self, env: &'env Env) -> napi::Result<Tables<'env>> {
        let (stamps, stamps_len) = self.store.engine.stamps.raw();
        let (heat, heat_len) = self.store.engine.heat.raw();
        let (response, response_len) = {
            let response = lock(&self.response);
            (response.as_ptr(), response.len())
        };
        let (for_stamps, for_heat) = (Arc::clone(&self.store), Arc::clone(&self.store));
        let for_response = Arc::clone(&self.response);
        // SAFETY: the tables live in the store and the response in its own allocation; each is held by the
        // finalizer of its view. The store's tables are atomics natively; JavaScript reads single words.
        #[allow(unsafe_code)]
        unsafe {
            Ok(Tables {
                stamps: ArrayBuffer::from_external(
                    env,
                    stamps.cast_mut(),
                    stamps_len,
                    for_stamps,
                    |_, held| {
                        drop(held);
                    },
                )?,
                heat: ArrayBuffer::from_external(env, heat.cast_mut(), heat_len, for_heat, |_, held| {
                    drop(held);
                })?,
                response: ArrayBuffer::from_external(
                    env,
                    response.cast_mut(),
                    response_len,
                    for_response,
                    |_, held| drop(held),
                )?,
            })
        }
    }

    /// What is known of the cache, as JSON.
    #[napi]
    pub fn describe(&self) -> String {
        let probe = &self.store.probe;
        let open = self.store.values.open_now();
        json!({
            "path": self.store.engine.root.path().to_string_lossy(),
            "uuid": self.store.format.uuid,
            "layout": self.store.format.layout,
            "settings": self.store.engine.settings(),
            "notices": self.store.notices,
            "openValues": {
                "mappings": open.mappings, "mappedBytes": open.mapped_bytes, "copiedBytes": open.copied_bytes,
            },
            "fileSystem": {
                "type": probe.fs_type, "network": probe.network, "readOnly": probe.read_only,
                "flock": probe.flock, "rangeLocks": probe.ofd_lock, "hardLinks": probe.hard_link,
                "reflinks": probe.reflink, "renameWithoutReplacing": probe.rename_noreplace,
                "caseSensitive": probe.case_sensitive,
            },
        })
        .to_string()
    }

    /// Stops the clock at a time in ms, or lets it go on; for tests.
    #[napi]
    pub fn stop_clock_at(&self, ms: Option<f64>) {
        self.store.engine.clock.stop_at(ms.map(|ms| ms as u64));
    }

    /// Opens a namespace, made with `settings` where absent: its number, epoch slot and settings as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn open_namespace(
        &self,
        name: String,
        settings: String,
        reconfigure: bool,
    ) -> AsyncTask<Job<String>> {
        let store = Arc::clone(&self.store);
        Job::start(move || {
            let settings: NamespaceSettings = serde_json::from_str(&settings)
                .map_err(|error| Error::new(Code::BadOption, format!("settings don't parse: {error}")))?;
            let namespace = store.namespace(&name, &settings, reconfigure)?;
            adopt::all(&store, &namespace)?;
            let record = namespace.record();
            Ok(json!({ "epochSlot": record.slot, "settings": record.settings }).to_string())
        })
    }

    /// The number of an opened namespace.
    #[napi]
    pub fn handle(&self, name: String) -> Result<u32> {
        let namespace =
            self.store.namespace(&name, &NamespaceSettings::default(), false).map_err(store_failure)?;
        let mut namespaces = lock(&self.namespaces);
        if let Some(at) = namespaces.iter().position(|known| known.name == name) {
            namespaces[at] = namespace;
            return Ok(at as u32);
        }
        namespaces.push(namespace);
        Ok(namespaces.len() as u32 - 1)
    }

    /// Names of all namespaces, sorted.
    #[napi]
    pub fn namespace_names(&self) -> Result<Vec<String>> {
        let all = self.store.namespaces().map_err(store_failure)?;
        Ok(all.into_iter().map(|(name, _)| name).collect())
    }

    /// Settings of an opened namespace as now recorded, as JSON.
    #[napi]
    pub fn settings(&self, handle: u32) -> Result<String> {
        Ok(json!(self.namespace(handle)?.record().settings).to_string())
    }

    /// Looks an entry up: 0 = absent; 1 = a packed value, in the response; 2 = a file value, to be had by `take`;
    /// 3 = absent here, but a file of another program may be there: `adopt`, then look again.
    ///
    /// Response: u32 stamp, slot, epoch, length of the codec's name | f64 created, expires (Infinity = never),
    /// size | u64 content id | from byte 64 the codec's name | from byte 320 a packed value.
    #[napi]
    pub fn lookup(&self, handle: u32, key: String, version: Option<u32>) -> Result<u32> {
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
        let named = namespace.record().settings.layout == quiver_store::settings::Layout::Named;
        let found = self.store.lookup(&namespace, key.as_bytes(), &mut value).map_err(store_failure)?;
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

    /// Takes over the file that another program put, changed or removed under the key; whether there is one.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn adopt(&self, handle: u32, key: String) -> Result<AsyncTask<Job<bool>>> {
        let (store, namespace) = (Arc::clone(&self.store), self.namespace(handle)?);
        let gone = lock(&self.found).take();
        Ok(Job::start(move || {
            if store.adopt(&namespace, key.as_bytes())? {
                return Ok(true);
            }
            if let Some(found) = gone.filter(|found| found.key == key.as_bytes()) {
                if store.named_file(&namespace, &found.record) == adopt::NamedFile::Gone {
                    store.vanished(&namespace, key.as_bytes(), &found.record)?;
                }
            }
            Ok(false)
        }))
    }

    /// Takes over every file of other programs in a namespace; how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn adopt_all(&self, handle: u32) -> Result<AsyncTask<Job<f64>>> {
        let (store, namespace) = (Arc::clone(&self.store), self.namespace(handle)?);
        Ok(Job::start(move || Ok(adopt::all(&store, &namespace)? as f64)))
    }

    /// Queues a small value; request `id` is answered with its facts.
    #[napi]
    pub fn put(&self, id: u32, handle: u32, key: String, facts: String, value: &[u8]) -> Result<()> {
        let namespace = self.namespace(handle)?;
        let (facts, fence) = facts::new_facts(&facts).map_err(store_failure)?;
        let op = Op::Put(Box::new(Put {
            namespace: namespace.name.clone(),
            fence: fence.map(|fence| (flights::hash(&namespace.name, key.as_bytes()), fence)),
            key: key.clone().into_bytes(),
            facts,
            value: NewValue::Inline(value.to_vec()),
            ticket: self.store.engine.order.draw(),
            adoption: None,
        }));
        let store = Arc::downgrade(&self.store);
        self.submit(id, op, move |outcome| match (outcome, store.upgrade()) {
            (Outcome::Written(record), Some(store)) => {
                facts::describe(&store, &namespace, key.as_bytes(), &record).to_string()
            }
            _ => String::new(),
        })
    }

    /// Begins a value that goes to a file.
    #[napi]
    pub fn writer(&self, handle: u32, key: String) -> Result<NativeWriter> {
        let namespace = self.namespace(handle)?;
        let writer: Arc<ObjectWriter> =
            self.store.object_writer(&namespace.name, key.as_bytes()).map_err(store_failure)?;
        Ok(NativeWriter {
            writer,
            store: Arc::clone(&self.store),
            namespace,
            key: key.into_bytes(),
            completions: self.completions()?,
        })
    }

    /// Queues a deletion; request `id` is answered with how many entries there were.
    #[napi]
    pub fn delete(&self, id: u32, handle: u32, key: String) -> Result<()> {
        let namespace = self.namespace(handle)?.name.clone();
        let op = Op::Delete { namespace, key: key.into_bytes(), ticket: self.store.engine.order.draw() };
        self.submit(id, op, count_json)
    }

    /// Queues changes of facts; request `id` is answered with the facts, or nothing.
    #[napi]
    pub fn touch(&self, id: u32, handle: u32, key: String, changes: String) -> Result<()> {
        let namespace = self.namespace(handle)?;
        let op = Op::Touch {
            namespace: namespace.name.clone(),
            key: key.clone().into_bytes(),
            changes: facts::changes(&changes).map_err(store_failure)?,
            ticket: self.store.engine.order.draw(),
        };
        let store = Arc::downgrade(&self.store);
        self.submit(id, op, move |outcome| match (outcome, store.upgrade()) {
            (Outcome::Touched(Some(record)), Some(store)) => {
                facts::describe(&store, &namespace, key.as_bytes(), &record).to_string()
            }
            _ => String::new(),
        })
    }

    /// Queues the emptying of a namespace.
    #[napi]
    pub fn clear(&self, id: u32, handle: u32) -> Result<()> {
        let namespace = self.namespace(handle)?.name.clone();
        self.submit(id, Op::Clear { namespace }, count_json)
    }

    /// Queues the deletion of what carries a tag, up to two thousand entries; `more` in the answer.
    #[napi]
    pub fn delete_tagged(&self, id: u32, handle: u32, tag: String) -> Result<()> {
        let namespace = self.namespace(handle)?.name.clone();
        self.submit(id, Op::DeleteTagged { namespace, tag }, count_json)
    }

    /// Queues the removal of what has run out, up to a thousand entries of any namespace; `more` in the answer.
    #[napi]
    pub fn expire(&self, id: u32) -> Result<()> {
        self.submit(id, Op::Expire { counted: false }, count_json)
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

    /// Adds to the counters of a namespace; counts as JSON.
    #[napi]
    pub fn count(&self, namespace: String, counts: String) -> Result<()> {
        let more: Counters = serde_json::from_str(&counts).map_err(|_| bad_value("counts don't parse"))?;
        self.store.engine.count(&namespace, more);
        Ok(())
    }

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
                    other.map(|_| None)
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

    /// Asks for the right to compute a key; request `id` is answered with `{ fence, token }`, or nothing when the
    /// time ran out. Returns a number for `cancelFlight`.
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
                completions.answer(id, result, |flight| match flight {
                    Some(flight) => {
                        json!({ "fence": flight.fence, "hash": flight.hash.to_string() }).to_string()
                    }
                    None => String::new(),
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
    pub fn release_flight(&self, hash: String, fence: f64) -> Result<()> {
        let hash = hash.parse().map_err(|_| bad_value("a flight's hash is a number"))?;
        self.store.engine.flights.release(Flight { hash, fence: fence as u64 });
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
        Job::start(move || maintenance::check_catalog(&store))
    }

    /// Removes unfinished writes and values without a record, and puts readable names right; JSON.
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

    /// Finishes what is queued and leaves the cache, once every isolate of the process that has it open did so.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<Job<()>> {
        let last = !self.released.swap(true, Ordering::AcqRel);
        let store = Arc::clone(&self.store);
        Job::start(move || {
            if last {
                store.release();
            }
            Ok(())
        })
    }
}

impl Drop for NativeStore {
    fn drop(&mut self) {
        // An isolate that ended without closing.
        if !self.released.swap(true, Ordering::AcqRel) {
            self.store.release();
        }
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
