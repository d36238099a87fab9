//! Opening a cache: one store a root and process, its folders, its shared parts, its threads.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use quiver_io::{Disk, FsProbe, RangeLock, Storage};

use super::{Store, catalog_file, format};
use crate::engine::{Clock, Engine, Modes};
use crate::error::{Code, Error, Result};
use crate::flights::Flights;
use crate::heat::Heat;
use crate::holds::Holds;
use crate::housekeeper::Housekeeper;
use crate::ids::ContentIds;
use crate::open_values::{Limits, OpenValues};
use crate::order::Order;
use crate::pool::Pool;
use crate::reader::Incoherent;
use crate::removals::Removals;
use crate::root::Root;
use crate::session::Session;
use crate::settings::{Durability, RootSettings};
use crate::stamps::Stamps;
use crate::sweep;
use crate::victims::Victims;
use crate::writer::Writer;

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

/// Stores of this process by device and inode of their root.
pub(super) type Registry = HashMap<(u64, u64), Weak<Store>>;

static OPEN: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

/// Held as long as a root is being opened or closed.
pub(super) fn registry() -> MutexGuard<'static, Registry> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

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
        let mut open = registry();
        if let Some(store) = open.get(&key).and_then(Weak::upgrade) {
            if store.engine.read_only && !options.read_only {
                let why = "this process has the cache open read-only: close it first";
                return Err(Error::new(Code::Busy, why).at(path));
            }
            store.compare_settings(options)?;
            store.holders.fetch_add(1, Ordering::AcqRel);
            return Ok(store);
        }
        let store = Arc::new(Self::open_new(path, key, options)?);
        open.insert(key, Arc::downgrade(&store));
        store.holders.fetch_add(1, Ordering::AcqRel);
        if let Err(error) = store.start(options) {
            store.close_registered(open);
            return Err(error);
        }
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
        let format = format::open(&root, [key.0, key.1], options)?;
        let durable = format.settings.durability == Durability::Full;
        if options.read_only {
            catalog_file::check(&root, &session)?;
        } else {
            catalog_file::preallocate_lock(&root, modes)?;
            catalog_file::mend(&root, &session, options, durable, &mut notices)?;
        }
        let env_options = catalog_file::env_options(options, durable, session.onlooker);
        let catalog = catalog_file::open(&root.catalog(), env_options)?;
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
            removals: Removals::new(Arc::clone(&options.storage)),
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
        format::merge_settings(&self.engine.settings(), options).map(|_| ())
    }
}

/// A cache inside a cache would have its files adopted and swept by the outer one.
pub(crate) fn refuse_nested(path: &Path) -> Result<()> {
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
