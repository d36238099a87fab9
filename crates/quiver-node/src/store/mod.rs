//! The store as one isolate has it open.

mod chunk;
mod claims;
mod put_many;
mod read;
mod upkeep;
mod write;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, AsyncTask, Function, Unknown};
use napi_derive::napi;
use quiver_store::catalog::Totals;
use quiver_store::engine::Modes;
use quiver_store::open_values::Limits;
use quiver_store::reader::Namespace;
use quiver_store::settings::{NamespaceSettings, RootSettings};
use quiver_store::writer::{NewFacts, Op, Outcome};
use quiver_store::{Code, Error, OpenOptions, Store, adopt};
use serde::Deserialize;
use serde_json::json;

use crate::completions::Completions;
use crate::errors::{Result, bad_value, store_failure};
use crate::external;
use crate::lookup::Exchange;
use crate::task::Job;
use claims::PathLeases;

pub use upkeep::removed_json;

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
            manners: Mutex::default(),
            completions: Arc::default(),
            exchange: Arc::default(),
            leases: Arc::default(),
            released: AtomicBool::new(false),
        })
    })
}

/// The store as one isolate has it open. Namespaces go by number.
#[napi]
pub struct NativeStore {
    store: Arc<Store>,
    namespaces: Mutex<Vec<Arc<Namespace>>>,
    /// Facts that small values have in common, by number.
    manners: Mutex<Vec<Arc<NewFacts>>>,
    completions: Arc<Mutex<Option<Completions>>>,
    exchange: Arc<Exchange>,
    leases: Arc<Mutex<PathLeases>>,
    released: AtomicBool,
}

/// Tables that JavaScript reads or counts in directly.
#[napi(object)]
pub struct SlotTables<'env> {
    /// One word an entry and one a namespace: only read by JavaScript.
    pub stamps: ArrayBuffer<'env>,
    /// One word an entry: accesses not merged yet.
    pub heat: ArrayBuffer<'env>,
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
        self.store.gather(op, Box::new(move |result| completions.answer(id, result, json)));
        Ok(())
    }
}

#[napi]
impl NativeStore {
    /// Answers of queued requests go to `callback`, which doesn't keep the process alive: a JSON array of
    /// `[id, answer]`, the answer null for nothing, and `[id, null, failure]`.
    #[napi]
    pub fn listen(
        &self,
        #[napi(ts_arg_type = "(answers: string) => void")] callback: Function<'_, String, Unknown<'static>>,
    ) -> napi::Result<()> {
        *lock(&self.completions) = Some(Completions::new(&callback)?);
        Ok(())
    }

    /// Where look-ups find the key and put what they found, see `lookup.rs`; each call makes a new view of it.
    #[napi]
    pub fn exchange<'env>(&self, env: &'env Env) -> napi::Result<ArrayBuffer<'env>> {
        self.exchange.view(env)
    }

    /// The words of the first so many slots, or of all if those are fewer; each call makes new views of them.
    #[napi]
    pub fn slot_tables<'env>(&self, env: &'env Env, slots: u32) -> napi::Result<SlotTables<'env>> {
        let engine = &self.store.engine;
        let first = |(start, length): (*const u8, usize)| (start, length.min(slots as usize * 4));
        // SAFETY: the tables live in the store, which is held by their views. Natively they are atomics, and JavaScript, in
        // any number of isolates, reads and writes single words of them.
        #[allow(unsafe_code)]
        unsafe {
            Ok(SlotTables {
                stamps: external::array_buffer(env, first(engine.stamps.raw()), Arc::clone(&self.store))?,
                heat: external::array_buffer(env, first(engine.heat.raw()), Arc::clone(&self.store))?,
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

    /// Finishes what is queued and leaves the cache, once every isolate of the process that has it open did so.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<Job<()>> {
        let last = !self.released.swap(true, Ordering::AcqRel);
        let (store, completions) = (Arc::clone(&self.store), Arc::clone(&self.completions));
        let leases = Arc::clone(&self.leases);
        Job::start(move || {
            let open = lock(&leases).close();
            drop(open);
            if last {
                store.release();
            }
            // The callback holds what holds this store: let go, or neither is ever collected.
            *lock(&completions) = None;
            Ok(())
        })
    }
}

impl Drop for NativeStore {
    fn drop(&mut self) {
        let open = lock(&self.leases).close();
        drop(open);
        // An isolate that ended without closing.
        if !self.released.swap(true, Ordering::AcqRel) {
            self.store.release();
        }
    }
}
