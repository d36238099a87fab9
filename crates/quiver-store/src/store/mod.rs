//! An open cache: every operation on it, and closing. `open` makes one.

mod catalog_file;
mod format;
pub(crate) mod open;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quiver_io::FsProbe;

use crate::adopt;
use crate::catalog::lmdb::Env;
use crate::catalog::record::Record;
use crate::catalog::{Counters, keys};
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::housekeeper::Housekeeper;
use crate::listing::{self, Page, Query};
use crate::open_values::{OpenValues, ValueBytes};
use crate::pool::Pool;
use crate::publisher::{ObjectWriter, Threads};
use crate::reader::{self, Age, Found, Incoherent, Namespace, Seen};
use crate::session::Session;
use crate::settings::{Layout, NamespaceSettings};
use crate::sweep;
use crate::writer::{Completion, Op, Outcome, Reason, Victim, Writer};

pub use format::Format;
pub use open::OpenOptions;

/// An open cache. One a root and process; all isolates of the process share it.
#[derive(Debug)]
pub struct Store {
    /// The shared parts.
    pub engine: Arc<Engine>,
    /// The writer's queue; absent in read-only caches.
    pub writer: Option<Arc<Writer>>,
    /// Threads that wait for the disk.
    pub pool: Arc<Pool>,
    /// Values in use.
    pub values: OpenValues,
    /// What the file system can do.
    pub probe: FsProbe,
    /// Recorded format.
    pub format: Format,
    /// What opening had to mend, in words.
    pub notices: Vec<String>,
    namespaces: Mutex<HashMap<String, Arc<Namespace>>>,
    incoherent: Incoherent,
    pub(crate) session: Mutex<Session>,
    housekeeper: Mutex<Option<Housekeeper>>,
    key: (u64, u64),
    holders: AtomicUsize,
    closed: AtomicBool,
}

impl Store {
    /// The writer, where the cache is writable.
    pub fn writer(&self) -> Result<&Arc<Writer>> {
        self.writer.as_ref().ok_or_else(|| {
            Error::new(Code::ReadOnly, "the cache is open read-only").at(self.engine.root.path())
        })
    }

    /// Opens a namespace, made with `settings` where absent.
    pub fn namespace(
        &self,
        name: &str,
        settings: &NamespaceSettings,
        reconfigure: bool,
    ) -> Result<Arc<Namespace>> {
        let known = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(known) = known
            && !reconfigure
        {
            return Ok(known);
        }
        let recorded = {
            let catalog = self.engine.catalog()?;
            let txn = catalog.env.read()?;
            catalog.namespace(&txn, name)?
        };
        let record = match (recorded, &self.writer) {
            (Some(record), _) if !reconfigure => record,
            (None, None) => {
                return Err(Error::new(Code::NotFound, format!("there is no namespace {name:?}")));
            }
            (Some(record), None) => record,
            (_, Some(writer)) => {
                let op =
                    Op::OpenNamespace { namespace: name.to_owned(), settings: settings.clone(), reconfigure };
                match writer.call(op)? {
                    Outcome::Namespace(record) => *record,
                    _ => return Err(Error::new(Code::Internal, "opening a namespace gave no namespace")),
                }
            }
        };
        if self.writer.is_some() {
            let folder = self.engine.root.namespace(name);
            if record.settings.layout == Layout::Named {
                self.engine.storage.create_dir(&folder, self.engine.modes.folder)?;
            }
        }
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = namespaces.get(name) {
            known.update(record);
            return Ok(Arc::clone(known));
        }
        let namespace = Arc::new(Namespace::new(name, record));
        namespaces.insert(name.to_owned(), Arc::clone(&namespace));
        Ok(namespace)
    }

    /// Names and settings of all namespaces, sorted.
    pub fn namespaces(&self) -> Result<Vec<(String, NamespaceSettings)>> {
        let catalog = self.engine.catalog()?;
        let txn = catalog.env.read()?;
        let all = catalog.namespaces(&txn)?;
        Ok(all.into_iter().map(|(name, record)| (name, record.settings)).collect())
    }

    /// Looks up an entry that has not expired; a packed value is read into `value`. Counts the access.
    pub fn lookup(&self, namespace: &Namespace, key: &[u8], value: &mut Vec<u8>) -> Result<Option<Found>> {
        Ok(self.look(namespace, key, Age::Fresh, reader::room_in(value), reader::found)?.flatten())
    }

    /// Looks an entry up and shows it to `see`, without a copy of its record; see `reader::look`. Counts the access.
    /// Keeps its snapshot for the next one: see `Engine::let_go_of_snapshot`.
    pub fn look<'v, R>(
        &self,
        namespace: &Namespace,
        key: &[u8],
        age: Age,
        room: impl FnOnce(usize) -> &'v mut [u8],
        see: impl FnOnce(&Seen<'_>) -> R,
    ) -> Result<Option<R>> {
        let mut incoherent = None;
        let answer = reader::look(&self.engine, Env::look, namespace, key, age, room, |seen| {
            let now = self.engine.now();
            self.engine.heat.touch(seen.glance.slot, now);
            if !seen.coherent {
                incoherent = Some((seen.glance.slot, now));
            }
            see(seen)
        })
        // A transaction that has met a damaged page refuses all that follows.
        .inspect_err(|_| self.engine.let_go_of_snapshot())?;
        if let Some((slot, now)) = incoherent {
            self.note_incoherent(namespace, key, slot, now)?;
        }
        Ok(answer)
    }

    fn note_incoherent(&self, namespace: &Namespace, key: &[u8], slot: u32, now: u64) -> Result<()> {
        let word = self.engine.stamps.load(slot);
        if let (Some(word), Some(writer)) = (word, &self.writer)
            && self.incoherent.note(slot, word, now)
        {
            let catalog = self.engine.catalog()?;
            let txn = catalog.env.read()?;
            let (id, _) = namespace.current(&self.engine, &catalog, &txn)?;
            writer.submit(Op::Mend { entry: keys::entry_key(id, key) }, Box::new(|_| {}));
        }
        Ok(())
    }

    /// Opens the file of a found value; none where it is gone, and then the entry is too.
    pub fn open_value(
        &self,
        namespace: &Namespace,
        key: &[u8],
        record: &Record,
    ) -> Result<Option<ValueBytes>> {
        let opened = self.values.open(&self.engine.root, record).map_err(|error| error.about(key))?;
        if opened.is_none()
            && let Some(writer) = &self.writer
        {
            let victim = self.victim(namespace, key, record)?;
            writer.submit(Op::Remove { victims: vec![victim], reason: Reason::Delete }, Box::new(|_| {}));
        }
        Ok(opened)
    }

    fn victim(&self, namespace: &Namespace, key: &[u8], record: &Record) -> Result<Victim> {
        let catalog = self.engine.catalog()?;
        let txn = catalog.env.read()?;
        let (id, _) = namespace.current(&self.engine, &catalog, &txn)?;
        Ok(Victim { entry: keys::entry_key(id, key), stamp: record.stamp })
    }

    /// Whether the file under an entry's readable name is still the one its facts were taken from.
    pub fn named_file(&self, namespace: &Namespace, record: &Record) -> adopt::NamedFile {
        adopt::named_file(&self.engine, &namespace.name, record)
    }

    /// Takes over files of other programs: the changed or new file of one key, where there is one.
    pub fn adopt(&self, namespace: &Namespace, key: &[u8]) -> Result<bool> {
        adopt::one(self, namespace, key)
    }

    /// The same; and where there is none, and the file that an entry was `seen` with is gone, the entry goes too. Whether a
    /// file was taken over.
    pub fn adopt_or_drop(&self, namespace: &Namespace, key: &[u8], seen: Option<&Record>) -> Result<bool> {
        if self.adopt(namespace, key)? {
            return Ok(true);
        }
        if let Some(record) = seen
            && self.named_file(namespace, record) == adopt::NamedFile::Gone
        {
            self.vanished(namespace, key, record)?;
        }
        Ok(false)
    }

    /// The entry was removed by somebody else together with its file.
    pub fn vanished(&self, namespace: &Namespace, key: &[u8], record: &Record) -> Result<()> {
        let victim = self.victim(namespace, key, record)?;
        self.writer()?.call(Op::Remove { victims: vec![victim], reason: Reason::Vanished }).map(|_| ())
    }

    /// Begins a value that goes to a file.
    pub fn object_writer(&self, namespace: &str, key: &[u8], threads: Threads) -> Result<Arc<ObjectWriter>> {
        Ok(ObjectWriter::begin(&self.engine, self.writer()?, &self.pool, threads, (namespace, key)))
    }

    /// Queues a request; the writer waits for those that follow it until `flush`, or two milliseconds.
    pub fn gather(&self, op: Op, done: Completion) {
        match self.writer() {
            Ok(writer) => writer.gather(op, done),
            Err(error) => done(Err(error)),
        }
    }

    /// No more requests follow for now: they are committed, at once on this thread if that is short work.
    pub fn flush(&self) {
        if let Some(writer) = &self.writer {
            writer.flush();
        }
    }

    /// Queues a request.
    pub fn submit(&self, op: Op, done: Completion) {
        match self.writer() {
            Ok(writer) => writer.submit(op, done),
            Err(error) => done(Err(error)),
        }
    }

    /// One page of a listing.
    pub fn list(&self, namespace: &Namespace, query: Query<'_>) -> Result<Page> {
        listing::list(&self.engine, namespace, query)
    }

    /// Counters of a namespace over all processes and time, this process's newest included.
    pub fn counters(&self, namespace: &str) -> Result<Counters> {
        let catalog = self.engine.catalog()?;
        let counters = catalog.counters(&catalog.env.read()?, namespace)?;
        Ok(counters.plus(self.engine.pending_counts(namespace)))
    }

    /// One holder less; the last one closes the cache.
    pub fn release(&self) {
        let open = open::registry();
        // Counted under the lock: an open of this root meanwhile finds a holder, or waits for the end.
        if self.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close_registered(open);
        }
    }

    /// Finishes what is queued, writes usage, counters and index.json, and leaves the cache, whoever else holds it.
    pub fn close(&self) {
        self.close_registered(open::registry());
    }

    /// The registry is held to the end: an open of this root meanwhile must wait until it is really closed.
    fn close_registered(&self, mut open: MutexGuard<'_, open::Registry>) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        open.remove(&self.key);
        self.pool.close();
        let housekeeper = self.housekeeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(housekeeper) = housekeeper {
            housekeeper.stop();
        }
        self.engine.flights.close();
        if let Some(writer) = &self.writer {
            writer.close();
        }
        self.engine.removals.close();
        self.engine.close();
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if self.writer.is_some() && session.try_exclusive().unwrap_or(false) {
            // The last to leave sees to what processes left that died beside him, or that could not be removed.
            sweep::leased(&self.engine);
            catalog_file::note_closed(&self.engine.root);
        }
        session.leave();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}
