//! An open cache: opening and closing, and every operation on it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use quiver_io::{Disk, FsProbe, RangeLock, Storage};

use crate::catalog::lmdb::{EnvOptions, LmdbError};
use crate::catalog::precheck::{self, Verdict};
use crate::catalog::record::Record;
use crate::catalog::{Catalog, Counters, keys, walk};
use crate::engine::{Clock, Engine, Modes};
use crate::error::{Code, Error, Result};
use crate::flights::Flights;
use crate::heat::Heat;
use crate::holds::Holds;
use crate::housekeeper::Housekeeper;
use crate::ids::ContentIds;
use crate::open_values::{Limits, OpenValues, ValueBytes};
use crate::order::Order;
use crate::pool::Pool;
use crate::publisher::ObjectWriter;
use crate::reader::{self, Found, Incoherent, Namespace, Page};
use crate::root::Root;
use crate::session::{Format, Session};
use crate::settings::{NamespaceSettings, RootSettings};
use crate::stamps::Stamps;
use crate::victims::Victims;
use crate::writer::{Completion, Op, Outcome, Reason, Victim, Writer};
use crate::{adopt, repair, root_files, sweep};

/// Threads that write, digest and sync values.
const WRITERS: usize = 8;
/// How long opening waits for a repair to end.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);

/// How to open a cache.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Settings for a new root; compared with what is recorded of an old one where given.
    pub settings: RootSettings,
    /// Replace recorded settings.
    pub reconfigure: bool,
    /// Write nothing.
    pub read_only: bool,
    /// Permission bits.
    pub modes: Modes,
    /// Bounds on open values.
    pub limits: Limits,
    /// What touches files.
    pub storage: Arc<dyn Storage>,
    /// Time.
    pub clock: Arc<Clock>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            settings: RootSettings::default(),
            reconfigure: false,
            read_only: false,
            modes: Modes::READABLE,
            limits: Limits::default(),
            storage: Arc::new(Disk),
            clock: Arc::default(),
        }
    }
}

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

/// Stores of this process by device and inode of their root.
type Registry = HashMap<(u64, u64), Weak<Store>>;

static OPEN: Mutex<Option<Registry>> = Mutex::new(None);

impl Store {
    /// Opens or makes the cache in the folder `path`. A second open of one root in a process shares the first.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Arc<Self>> {
        if !options.read_only {
            options.storage.create_dir(path, options.modes.folder)?;
        }
        let path: PathBuf =
            std::fs::canonicalize(path).map_err(|error| Error::os("opening the cache", path, &error))?;
        let facts = options.storage.facts(&path)?;
        let key = (facts.dev, facts.ino);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_with(HashMap::new);
        if let Some(store) = open.get(&key).and_then(Weak::upgrade) {
            store.compare_settings(options)?;
            store.holders.fetch_add(1, Ordering::AcqRel);
            return Ok(store);
        }
        let store = Arc::new(Self::open_new(path, key, options)?);
        open.insert(key, Arc::downgrade(&store));
        store.holders.fetch_add(1, Ordering::AcqRel);
        store.start(options)?;
        Ok(store)
    }

    fn open_new(path: PathBuf, key: (u64, u64), options: &OpenOptions) -> Result<Self> {
        refuse_nested(&path)?;
        let root = Root::new(path);
        let storage = options.storage.as_ref();
        let modes = options.modes;
        if !options.read_only {
            for folder in [root.catalog(), root.objects(), root.locks(), root.tmp(), root.trash()] {
                storage.create_dir(&folder, modes.folder)?;
            }
        }
        let mut notices = Vec::new();
        let session = Session::join(&root, modes, options.read_only, OPEN_TIMEOUT)?;
        let write_lock = RangeLock::open(&root.locks().join("write"), modes.file)?;
        // Databases are made and damage is mended under the lock that keeps other processes' writers out.
        if !options.read_only && !write_lock.lock_timeout(0, 1, true, OPEN_TIMEOUT)? {
            return Err(Error::new(Code::LockTimeout, "another process holds the write lock").at(root.path()));
        }
        let format = open_format(&root, [key.0, key.1], options)?;
        let durable = format.settings.durability == crate::settings::Durability::Full;
        if !options.read_only {
            preallocate_lock_file(&root, modes)?;
            check_catalog(&root, &session, options, durable, &mut notices)?;
        }
        let env_options = env_options(options, durable);
        let catalog = open_catalog(&root.catalog(), env_options)?;
        if durable && !options.read_only {
            // LMDB syncs its file, never the name of it.
            storage.sync_dir(&root.catalog())?;
        }
        let now = options.clock.now();
        let clock = Arc::clone(&options.clock);
        let probe = FsProbe::of(root.path());
        let engine = Engine {
            stamps: Stamps::open(&root.stamps(), modes.file)?,
            heat: Heat::open(&root.heat(), (!options.read_only).then_some(modes.file), now)?,
            ids: ContentIds::default(),
            order: Order::default(),
            victims: Victims::default(),
            holds: Holds::new(RangeLock::open(&root.locks().join("holds"), modes.file)?),
            flights: Flights::open(&root.locks(), modes.file, move || clock.now())?,
            clock: Arc::clone(&options.clock),
            read_only: options.read_only,
            settings: RwLock::new(format.settings.clone()),
            counts: Mutex::default(),
            evicted: Mutex::default(),
            usage: Default::default(),
            dirty: Mutex::default(),
            storage: Arc::clone(&options.storage),
            hard_links: probe.hard_link,
            catalog: RwLock::new(Some(Arc::new(catalog))),
            env: env_options,
            modes,
            root,
        };
        engine.refresh_usage()?;
        let _ = write_lock.unlock(0, 1);
        Self {
            engine: Arc::new(engine),
            writer: None,
            pool: Arc::new(Pool::start("quiver-io", WRITERS)),
            values: OpenValues::new(options.limits),
            probe,
            format,
            notices,
            namespaces: Mutex::default(),
            incoherent: Incoherent::default(),
            session: Mutex::new(session),
            housekeeper: Mutex::default(),
            key,
            holders: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
        .with_writer(options, write_lock)
    }

    fn with_writer(mut self, options: &OpenOptions, lock: RangeLock) -> Result<Self> {
        if !options.read_only {
            self.writer = Some(Arc::new(Writer::start(Arc::clone(&self.engine), lock)?));
        }
        Ok(self)
    }

    /// Starts what runs beside: the sweep after an unclean end, and the housekeeper.
    fn start(self: &Arc<Self>, options: &OpenOptions) -> Result<()> {
        if options.read_only {
            return Ok(());
        }
        self.engine.restore_reserve();
        let unclean = self.session.lock().unwrap_or_else(PoisonError::into_inner).unclean;
        if unclean {
            let engine = Arc::clone(&self.engine);
            // Readable names are put right before anybody looks; the rest is swept beside the work.
            sweep::names(&engine)?;
            self.pool.spawn(move || {
                let _ = sweep::files(&engine);
            });
        }
        let housekeeper = Housekeeper::start(Arc::clone(&self.engine), Arc::clone(self.writer()?));
        *self.housekeeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(housekeeper);
        Ok(())
    }

    fn compare_settings(&self, options: &OpenOptions) -> Result<()> {
        merge_settings(&self.engine.settings(), options).map(|_| ())
    }

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
                return Err(Error::new(Code::BadNamespace, format!("there is no namespace {name:?}")));
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
            if record.settings.layout == crate::settings::Layout::Named {
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

    /// Looks an entry up; a packed value is read into `value`. Counts the access.
    pub fn lookup(&self, namespace: &Namespace, key: &[u8], value: &mut Vec<u8>) -> Result<Option<Found>> {
        let found = reader::lookup(&self.engine, namespace, key, value)?;
        if let Some(found) = &found {
            let now = self.engine.now();
            self.engine.heat.touch(found.record.slot, now);
            if !found.coherent {
                self.note_incoherent(namespace, key, found, now)?;
            }
        }
        Ok(found)
    }

    fn note_incoherent(&self, namespace: &Namespace, key: &[u8], found: &Found, now: u64) -> Result<()> {
        let word = self.engine.stamps.load(found.record.slot);
        if let (Some(word), Some(writer)) = (word, &self.writer)
            && self.incoherent.note(found.record.slot, word, now)
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

    /// The entry was removed by somebody else together with its file.
    pub fn vanished(&self, namespace: &Namespace, key: &[u8], record: &Record) -> Result<()> {
        let victim = self.victim(namespace, key, record)?;
        self.writer()?.call(Op::Remove { victims: vec![victim], reason: Reason::Vanished }).map(|_| ())
    }

    /// Begins a value that goes to a file.
    pub fn object_writer(&self, namespace: &str, key: &[u8]) -> Result<Arc<ObjectWriter>> {
        Ok(ObjectWriter::begin(&self.engine, self.writer()?, &self.pool, namespace, key))
    }

    /// Queues a request; the writer waits for those that follow it until `flush`, or two milliseconds.
    pub fn gather(&self, op: Op, done: Completion) {
        match self.writer() {
            Ok(writer) => writer.gather(op, done),
            Err(error) => done(Err(error)),
        }
    }

    /// No more requests follow for now.
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
    pub fn list(
        &self,
        namespace: &Namespace,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Page> {
        reader::list(&self.engine, namespace, prefix, after, limit)
    }

    /// Counters of a namespace over all processes and time, this process's newest included.
    pub fn counters(&self, namespace: &str) -> Result<Counters> {
        let catalog = self.engine.catalog()?;
        let counters = catalog.counters(&catalog.env.read()?, namespace)?;
        Ok(counters.plus(self.engine.pending_counts(namespace)))
    }

    /// One holder less; the last one closes the cache.
    pub fn release(&self) {
        if self.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
        }
    }

    /// Finishes what is queued, writes usage, counters and index.json, and leaves the cache, whoever else holds it.
    pub fn close(&self) {
        // Held to the end: an open of this root meanwhile must wait until it is really closed.
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Some(open) = open.as_mut() {
            open.remove(&self.key);
        }
        self.pool.close();
        let housekeeper = self.housekeeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(housekeeper) = housekeeper {
            housekeeper.stop();
        }
        self.engine.flights.close();
        if let Some(writer) = &self.writer {
            writer.close();
        }
        self.engine.close();
        self.session.lock().unwrap_or_else(PoisonError::into_inner).leave();
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

/// A cache inside a cache would have its files adopted and swept by the outer one.
fn refuse_nested(path: &Path) -> Result<()> {
    for outer in path.ancestors().skip(1) {
        if outer.join(".quiver").join("format.json").exists() {
            return Err(Error::new(
                Code::NestedRoot,
                format!("the folder lies inside the cache {}", outer.display()),
            )
            .at(path));
        }
    }
    Ok(())
}

fn open_format(root: &Root, place: [u64; 2], options: &OpenOptions) -> Result<Format> {
    match Format::read(&root.format())? {
        None if options.read_only => {
            Err(Error::new(Code::Corrupt, "there is no cache in this folder").at(root.path()))
        }
        None => {
            // Before the format: a root with a format is complete.
            root_files::write(options.storage.as_ref(), root, options.modes)?;
            let format = Format::new(place, options.settings.clone());
            format.write(options.storage.as_ref(), root, options.modes)?;
            Ok(format)
        }
        Some(mut format) => {
            let settings = merge_settings(&format.settings, options)?;
            if (settings != format.settings || format.place != place) && !options.read_only {
                if format.place != place {
                    // The folder was copied: two caches must not go by one name.
                    format.uuid = Format::new(place, RootSettings::default()).uuid;
                    format.place = place;
                }
                format.settings = settings;
                format.write(options.storage.as_ref(), root, options.modes)?;
            }
            Ok(format)
        }
    }
}

/// Recorded settings, with the given ones where they may replace them.
fn merge_settings(recorded: &RootSettings, options: &OpenOptions) -> Result<RootSettings> {
    let given = &options.settings;
    if given == recorded {
        return Ok(recorded.clone());
    }
    if options.reconfigure {
        return Ok(given.clone());
    }
    let differs = |name: &str, recorded: String, given: String| {
        Err(Error::new(
            Code::SettingsDiffer,
            format!("the cache is recorded with {name} {recorded}, this opens it with {given}"),
        ))
    };
    if given.max_size.is_some() && given.max_size != recorded.max_size {
        return differs("maxSize", format!("{:?}", recorded.max_size), format!("{:?}", given.max_size));
    }
    if given.max_entries.is_some() && given.max_entries != recorded.max_entries {
        return differs(
            "maxEntries",
            format!("{:?}", recorded.max_entries),
            format!("{:?}", given.max_entries),
        );
    }
    if given.eviction.is_some() && given.eviction != recorded.eviction {
        return differs("eviction", format!("{:?}", recorded.eviction), format!("{:?}", given.eviction));
    }
    if given.durability != recorded.durability && given.durability != crate::settings::Durability::default() {
        return differs(
            "durability",
            format!("{:?}", recorded.durability),
            format!("{:?}", given.durability),
        );
    }
    Ok(recorded.clone())
}

/// LMDB maps its lock file; really allocated, a full disk can't make touching it fail.
fn preallocate_lock_file(root: &Root, modes: Modes) -> Result<()> {
    const READERS_AND_HEAD: u64 = (READERS as u64 + 4) * 64;
    let path = root.catalog().join("lock.mdb");
    if !path.exists() {
        quiver_io::preallocate(&path, READERS_AND_HEAD, modes.file)?;
    }
    Ok(())
}

const READERS: u32 = 1_024;

fn env_options(options: &OpenOptions, durable: bool) -> EnvOptions {
    let limit = options.settings.max_size.unwrap_or(0);
    EnvOptions {
        map_size: (64_usize << 30).max((limit as usize).saturating_mul(4)),
        max_databases: 16,
        max_readers: READERS,
        no_sync: !durable,
        read_only: options.read_only,
        no_lock: false,
        mode: options.modes.file,
    }
}

/// Opens with the largest map that the system allows.
fn open_catalog(folder: &Path, mut options: EnvOptions) -> Result<Catalog> {
    loop {
        match Catalog::open(folder, &options) {
            Err(error)
                if error.message.contains(&LmdbError(libc::ENOMEM).to_string())
                    && options.map_size > 1 << 28 =>
            {
                options.map_size /= 2;
            }
            Err(error) if options.read_only && error.code == Code::ReadOnly => {
                // Media on which nobody writes need no lock, and have no place for one.
                options.no_lock = true;
                return Catalog::open(folder, &options);
            }
            other => return other,
        }
    }
}

/// Looks before LMDB does; what is damaged is rebuilt if nobody else has the cache open.
fn check_catalog(
    root: &Root,
    session: &Session,
    options: &OpenOptions,
    durable: bool,
    notices: &mut Vec<String>,
) -> Result<()> {
    let data = root.data();
    let distrust = session.unclean_boot && !durable;
    let damage = match precheck::check(&data) {
        Ok(Verdict::Absent) if !distrust => return Ok(()),
        Ok(Verdict::Absent) => Some("there is none".into()),
        Ok(Verdict::Sound) if !session.unclean_boot => return Ok(()),
        Ok(Verdict::Sound | Verdict::Short) => {
            let report = walk::walk(&data, &mut |_, _, _| {})?;
            if report.is_sound() { None } else { Some(report.problems.join("; ")) }
        }
        Err(error) => Some(error.message),
    };
    if damage.is_none() && !distrust {
        return Ok(());
    }
    if !session.try_exclusive()? {
        return Err(Error::new(
            Code::Busy,
            "the catalog is damaged and other processes have the cache open: close them, then open it again",
        )
        .at(data));
    }
    let why = damage.unwrap_or_else(|| "the machine was restarted without a clean close".into());
    let rebuilt = repair::rebuild(root, options.modes, env_options(options, durable), distrust)?;
    session.share()?;
    notices.push(format!(
        "the catalog was rebuilt with {} entries, {} were lost: {why}",
        rebuilt.kept, rebuilt.lost
    ));
    Ok(())
}
