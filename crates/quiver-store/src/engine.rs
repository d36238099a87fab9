//! What all parts of an open store share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use quiver_io::Storage;

use crate::catalog::lmdb::{EnvOptions, Read};
use crate::catalog::{Catalog, Counters, Totals};
use crate::error::{Code, Error, Result};
use crate::flights::Flights;
use crate::heat::Heat;
use crate::holds::Holds;
use crate::ids::ContentIds;
use crate::order::Order;
use crate::removals::Removals;
use crate::root::Root;
use crate::settings::{Durability, RootSettings};
use crate::stamps::Stamps;
use crate::victims::Victims;
use crate::writer::Removed;

/// Permission bits of what the cache makes.
#[derive(Debug, Clone, Copy)]
pub struct Modes {
    /// Files that are written again.
    pub file: u32,
    /// Values: nobody writes them again.
    pub object: u32,
    /// Folders.
    pub folder: u32,
}

impl Modes {
    /// For the owner alone.
    pub const PRIVATE: Self = Self { file: 0o600, object: 0o400, folder: 0o700 };
    /// Readable by all, written by the owner: what a shell's defaults give.
    pub const READABLE: Self = Self { file: 0o644, object: 0o444, folder: 0o755 };
    /// Shared with the group; folders pass their group on.
    pub const GROUP: Self = Self { file: 0o660, object: 0o440, folder: 0o2770 };
}

/// The one clock of the store: wall-clock ms, unless a test has stopped it.
#[derive(Debug, Default)]
pub struct Clock {
    /// 0 = the real time.
    stopped_at: AtomicU64,
}

impl Clock {
    /// Now.
    pub fn now(&self) -> u64 {
        match self.stopped_at.load(Ordering::Relaxed) {
            0 => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
            at => at,
        }
    }

    /// Stops the clock at a time, or lets it go on; for tests.
    pub fn stop_at(&self, ms: Option<u64>) {
        self.stopped_at.store(ms.unwrap_or(0), Ordering::Relaxed);
    }
}

/// The shared parts.
#[derive(Debug)]
pub struct Engine {
    /// Paths.
    pub root: Root,
    /// Everything that touches files goes through here.
    pub storage: Arc<dyn Storage>,
    /// Permission bits.
    pub modes: Modes,
    /// The catalog; replaced when it has to be opened again.
    pub(crate) catalog: RwLock<Option<Arc<Catalog>>>,
    /// The stamp table.
    pub stamps: Stamps,
    /// Usage.
    pub heat: Heat,
    /// Makes content ids.
    pub ids: ContentIds,
    /// Order of calls on a key.
    pub order: Order,
    /// Victims prepared ahead.
    pub victims: Victims,
    /// Files on their way out.
    pub removals: Removals,
    /// Values whose files are in use by path.
    pub holds: Holds,
    /// Rights to compute.
    pub flights: Flights,
    /// Time.
    pub clock: Arc<Clock>,
    /// Nothing is written.
    pub read_only: bool,
    /// Readable names are links to objects; where there are no links they are copies, with identities of their own.
    pub hard_links: bool,
    /// How the catalog is opened.
    pub env: EnvOptions,
    pub(crate) settings: RwLock<RootSettings>,
    pub(crate) counts: Mutex<HashMap<String, Counters>>,
    pub(crate) evicted: Mutex<Removed>,
    pub(crate) usage: [AtomicU64; 3],
    pub(crate) dirty: Mutex<std::collections::BTreeSet<String>>,
}

impl Engine {
    /// Wall-clock ms.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Settings of the root.
    pub fn settings(&self) -> RootSettings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether commits are synced.
    pub fn is_durable(&self) -> bool {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).durability == Durability::Full
    }

    /// The catalog as it is open now; `Code::Closed` after the end.
    pub fn catalog(&self) -> Result<Arc<Catalog>> {
        self.catalog_in_place().clone().ok_or_else(|| self.closed())
    }

    /// The same without counting one more holder, for what is over soon: as long as this lives the catalog can't be
    /// opened anew, and nothing else here may ask for it.
    pub(crate) fn catalog_in_place(&self) -> RwLockReadGuard<'_, Option<Arc<Catalog>>> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up the snapshot that look-ups go on with as long as nothing is committed. To be called when no more of them
    /// follow for now; until then, for a second at most, no page that is freed meanwhile can be used again.
    pub fn let_go_of_snapshot(&self) {
        if let Some(catalog) = self.catalog_in_place().as_ref() {
            catalog.env.let_go();
        }
    }

    /// What those are told who come after the end.
    pub(crate) fn closed(&self) -> Error {
        Error::new(Code::Closed, "the cache is closed").at(self.root.path())
    }

    /// Refuses writes where nothing may be written.
    pub fn check_writable(&self) -> Result<()> {
        if self.read_only {
            return Err(Error::new(Code::ReadOnly, "the cache is open read-only").at(self.root.path()));
        }
        Ok(())
    }

    /// Counts what this process did, to be added to the catalog's counters later.
    pub fn count(&self, namespace: &str, more: Counters) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sum) = counts.get_mut(namespace) {
            *sum = sum.plus(more);
        } else {
            counts.insert(namespace.to_owned(), more);
        }
    }

    /// What was counted and not added yet.
    pub fn pending_counts(&self, namespace: &str) -> Counters {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(namespace).copied().unwrap_or_default()
    }

    /// The same of all namespaces that have any.
    pub(crate) fn all_pending_counts(&self) -> Vec<(String, Counters)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .filter(|(_, count)| !count.is_zero())
            .map(|(name, count)| (name.clone(), *count))
            .collect()
    }

    /// These were added to the catalog's counters, whatever was counted meanwhile.
    pub(crate) fn note_counted(&self, added: &[(String, Counters)]) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, added) in added {
            if let Some(sum) = counts.get_mut(name) {
                *sum = sum.minus(*added);
            }
        }
    }

    /// Sums over the cache as of the last commit that this process made or saw.
    pub fn usage(&self) -> Totals {
        let word = |i: usize| self.usage[i].load(Ordering::Relaxed);
        Totals { entries: word(0), bytes: word(1), allocated: word(2) }
    }

    /// Looks at what other processes have added and removed.
    pub(crate) fn refresh_usage(&self) -> Result<()> {
        let catalog = self.catalog()?;
        self.note_usage(catalog.totals.sum(&catalog.env.read()?)?);
        Ok(())
    }

    pub(crate) fn note_usage(&self, totals: Totals) {
        for (place, value) in self.usage.iter().zip([totals.entries, totals.bytes, totals.allocated]) {
            place.store(value, Ordering::Relaxed);
        }
    }

    /// Remembers what writes evicted to make room, for events.
    pub(crate) fn note_evicted(&self, removed: Removed) {
        const SAMPLE: usize = 1_000;
        let mut evicted = self.evicted.lock().unwrap_or_else(PoisonError::into_inner);
        evicted.count += removed.count;
        evicted.bytes += removed.bytes;
        let room = SAMPLE.saturating_sub(evicted.entries.len());
        evicted.entries.extend(removed.entries.into_iter().take(room));
    }

    /// What writes evicted since this was last asked; the entries are a sample.
    pub fn take_evicted(&self) -> Removed {
        std::mem::take(&mut *self.evicted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn mark_dirty(&self, namespaces: std::collections::BTreeSet<String>) {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner).extend(namespaces);
    }

    /// Gives the reserve back to a full disk, so that deletions have pages to write.
    pub(crate) fn release_reserve(&self) {
        let _ = self.storage.unlink(&self.root.reserve());
    }

    /// Makes the reserve again when there is plenty of room.
    pub(crate) fn restore_reserve(&self) {
        let path = self.root.reserve();
        let roomy = quiver_io::free_bytes(self.root.path()).is_ok_and(|free| free > RESERVE * 16);
        if roomy && !path.exists() {
            let _ = quiver_io::preallocate(&path, RESERVE, self.modes.file);
        }
    }

    /// Closes the catalog, so that it can be opened anew or its file replaced. LMDB must not have one file open
    /// twice in a process, so this waits for the last reader, who is quick.
    fn close_catalog(&self, place: &mut Option<Arc<Catalog>>) -> Result<()> {
        for _ in 0..5_000 {
            match place.take().map(Arc::try_unwrap) {
                None | Some(Ok(_)) => return Ok(()),
                Some(Err(shared)) => *place = Some(shared),
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Err(Error::new(Code::Internal, "the catalog is in use and can't be closed").at(self.root.catalog()))
    }

    /// Closes the catalog for good, so that another open of the root in this process finds it free.
    pub(crate) fn close(&self) {
        let mut place = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        // A reader that hangs keeps its environment; the process can then not open the cache again.
        let _ = self.close_catalog(&mut place);
    }

    /// Opens the catalog anew: after a failed write LMDB refuses everything until then.
    pub(crate) fn reopen_catalog(&self) -> Result<()> {
        let mut place = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        self.close_catalog(&mut place)?;
        *place = Some(Arc::new(Catalog::open(&self.root.catalog(), &self.env)?));
        Ok(())
    }

    /// Rewrites the catalog's file without free pages. The caller has the cache to itself, and has paused its writer: a
    /// commit between the copy and its taking the place of the file would be lost.
    pub(crate) fn compact_catalog(&self) -> Result<u64> {
        let folder = self.root.engine().join("catalog-compact");
        self.storage.remove_dir_all(&folder)?;
        self.storage.create_dir(&folder, self.modes.folder)?;
        let saved = self.compact_through(&folder);
        self.storage.remove_dir_all(&folder)?;
        saved
    }

    fn compact_through(&self, folder: &std::path::Path) -> Result<u64> {
        let mut place = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        let next_stamp = {
            let Some(catalog) = place.as_ref() else {
                return Err(Error::new(Code::Io, "the catalog is not open"));
            };
            catalog.env.copy(folder, true)?;
            let txn = catalog.env.read()?;
            catalog.number(&txn, "stampBase")?.unwrap_or(0) + txn.id() + 1
        };
        // A compacted file counts its transactions from one again; stamps must go on from where they were. It is whole
        // and on the disk before it takes the place of the other.
        let size = self.storage.facts(&folder.join("data.mdb"))?.size;
        let room = EnvOptions { map_size: size as usize + SPARE_MAP, ..self.env };
        let compacted = Catalog::open(folder, &room)?;
        let mut txn = compacted.env.write()?;
        compacted.put_number(&mut txn, "stampBase", next_stamp)?;
        txn.commit()?;
        compacted.env.sync()?;
        drop(compacted);
        let before = self.storage.facts(&self.root.data())?.allocated;
        self.close_catalog(&mut place)?;
        let replaced = self.replace_catalog(&folder.join("data.mdb"));
        // Whichever there is now.
        *place = Some(Arc::new(Catalog::open(&self.root.catalog(), &self.env)?));
        drop(place);
        replaced?;
        Ok(before.saturating_sub(self.storage.facts(&self.root.data())?.allocated))
    }

    fn replace_catalog(&self, from: &std::path::Path) -> Result<()> {
        self.storage.unlink_if_there(&self.root.flushed())?;
        self.storage.rename(from, &self.root.data())?;
        Ok(self.storage.sync_dir(&self.root.catalog())?)
    }

    /// Replaces a small derived file as a whole. Not synced: it can be made again from the catalog.
    pub(crate) fn replace_file(&self, path: &std::path::Path, bytes: &[u8]) -> Result<()> {
        let folder = path.parent().unwrap_or(self.root.path());
        self.storage.create_dir(folder, self.modes.folder)?;
        let temporary = folder.join(format!(".quiver-{:016x}", quiver_io::random_u64()));
        let written = self.storage.create_new(&temporary, self.modes.file).and_then(|mut file| {
            file.write_all(bytes)?;
            self.storage.rename(&temporary, path)
        });
        if written.is_err() {
            let _ = self.storage.unlink(&temporary);
        }
        Ok(written?)
    }
}

/// Bytes of a map beyond its file, for a commit of one number.
const SPARE_MAP: usize = 1 << 20;

/// Bytes kept for the day the disk is full.
const RESERVE: u64 = 4 << 20;
