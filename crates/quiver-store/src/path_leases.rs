//! Files that somebody uses by path. What is set and removed takes files of values away. So a lease gives the file a name
//! of its own, `.quiver/leased/<content>-<random>.<ext>`, which stays until its end. With it goes a hold on the value, so
//! that it isn't evicted, and so that nobody takes the name for one that a process left which died (`sweep`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quiver_io::ErrorKind;

use crate::adopt::NamedFile;
use crate::catalog::record::Record;
use crate::engine::Engine;
use crate::error::Result;
use crate::reader::{self, Namespace};
use crate::removals::Old;
use crate::store::Store;

/// A file to be used by path.
#[derive(Debug, Clone)]
pub struct PathLease {
    /// What ends it.
    pub id: u32,
    /// The file.
    pub path: PathBuf,
}

/// Those of this process that have not ended.
#[derive(Debug, Default)]
pub struct PathLeases(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    last: u32,
    leased: HashMap<u32, Leased>,
}

#[derive(Debug)]
struct Leased {
    content: u64,
    /// The name made for it, if any, and how large the file is.
    name: Option<Old>,
}

impl PathLeases {
    fn add(&self, leased: Leased) -> u32 {
        let mut open = self.lock();
        open.last = open.last.wrapping_add(1);
        let id = open.last;
        open.leased.insert(id, leased);
        id
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value that a name in the folder of leased files is one of.
pub(crate) fn content_of(name: &Path) -> Option<u64> {
    let (content, _) = name.file_name()?.to_str()?.split_once('-')?;
    u64::from_str_radix(content, 16).ok()
}

impl Store {
    /// Leases the file of an entry, which isn't evicted meanwhile. It stays as it is, whatever is set or removed; where
    /// values have readable names it is under that name, which the next value takes. With `verify` all of it is compared
    /// with its SHA-256 before. None where there is no entry, or no file of it. Where the cache is open read-only, the path
    /// is that of the value's file itself, which is kept from eviction only.
    pub fn lease(&self, namespace: &Namespace, key: &[u8], verify: bool) -> Result<Option<PathLease>> {
        let mut gone = None;
        while let Some(record) = self.entry_in_file(namespace, key)? {
            // The same value once more without its file: the entry is on its way out.
            if gone == Some(record.content) {
                return Ok(None);
            }
            self.engine.holds.hold(record.content)?;
            match self.lease_held(namespace, key, &record, verify) {
                Ok(Some(lease)) => return Ok(Some(lease)),
                // Replaced between the look-up and the hold.
                Ok(None) => gone = Some(record.content),
                Err(error) => {
                    self.engine.holds.release(record.content)?;
                    return Err(error);
                }
            }
            self.engine.holds.release(record.content)?;
        }
        Ok(None)
    }

    /// The entry, if its value is in a file. A file that another program put under its name is taken over before.
    fn entry_in_file(&self, namespace: &Namespace, key: &[u8]) -> Result<Option<Record>> {
        let mut before = None;
        loop {
            let found = reader::lookup(&self.engine, namespace, key, &mut Vec::new())?;
            let record = found.map(|found| found.record);
            let is_ours = |record: &Record| {
                !namespace.is_named() || self.named_file(namespace, record) == NamedFile::Same
            };
            if record.as_ref().is_some_and(is_ours) {
                return Ok(record.filter(|record| !record.is_inline()));
            }
            // A name that was swapped since the look-up is that of another program's file for the old record only.
            let stamp = record.map(|record| record.stamp);
            if before == Some(stamp) {
                return Ok(None);
            }
            before = Some(stamp);
            self.adopt(namespace, key)?;
        }
    }

    /// A lease of a value that is held; none where its file is gone.
    fn lease_held(
        &self,
        namespace: &Namespace,
        key: &[u8],
        record: &Record,
        verify: bool,
    ) -> Result<Option<PathLease>> {
        let engine = &self.engine;
        let object = engine.root.object(record.content, &record.extension);
        // One name more would change the time of the file's facts, by which files of other programs are told from those
        // that a name held before.
        let is_to_name = !engine.read_only && !namespace.is_named();
        let name = is_to_name.then(|| Old { path: leased_name(engine, record), size: record.size });
        let leased = Leased { content: record.content, name };
        if let Some(name) = &leased.name {
            name_file(engine, &object, &name.path)?;
        }
        // Not what a readable name shows, which may be the next value by now.
        let file = leased.name.as_ref().map_or(object, |name| name.path.clone());
        match self.is_right(namespace, key, record, verify.then_some(&file)) {
            Ok(true) => {
                let path = if is_to_name { file } else { self.readable(namespace, record).unwrap_or(file) };
                Ok(Some(PathLease { id: engine.path_leases.add(leased), path }))
            }
            other => {
                remove_name(engine, leased);
                other.map(|_| None)
            }
        }
    }

    /// The file under its readable name, where it has one.
    fn readable(&self, namespace: &Namespace, record: &Record) -> Option<PathBuf> {
        let folder = self.engine.root.namespace(&namespace.name);
        record.name.as_ref().map(|name| folder.join(name)).filter(|path| path.exists())
    }

    /// Whether the file of an entry is there: if not, the entry goes too. Fails where it is not as long as it was, and
    /// where what is to be verified differs from its sum.
    fn is_right(
        &self,
        namespace: &Namespace,
        key: &[u8],
        record: &Record,
        verified: Option<&PathBuf>,
    ) -> Result<bool> {
        let Some(bytes) = self.open_value(namespace, key, record)? else { return Ok(false) };
        if let Some(path) = verified {
            match self.engine.storage.open_read(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                file => bytes.checked.verify_whole(Some(&file?), &[])?,
            }
        }
        Ok(true)
    }

    /// Ends a lease; one that has ended is none.
    pub fn release_lease(&self, id: u32) -> Result<()> {
        let leased = self.engine.path_leases.lock().leased.remove(&id);
        let Some(leased) = leased else { return Ok(()) };
        let content = leased.content;
        remove_name(&self.engine, leased);
        self.engine.holds.release(content)
    }

    /// Ends all.
    pub(crate) fn end_path_leases(&self) {
        let ids: Vec<u32> = self.engine.path_leases.lock().leased.keys().copied().collect();
        for id in ids {
            let _ = self.release_lease(id);
        }
    }
}

fn leased_name(engine: &Engine, record: &Record) -> PathBuf {
    let name = format!("{:016x}-{:016x}.{}", record.content, quiver_io::random_u64(), record.extension);
    engine.root.leased().join(name)
}

/// Gives the file of a value another name, or makes a copy where files have one name only. A file that is gone gets none.
fn name_file(engine: &Engine, object: &Path, name: &Path) -> Result<()> {
    let storage = engine.storage.as_ref();
    storage.create_dir(&engine.root.leased(), engine.modes.folder)?;
    let named = storage.link(object, name).or_else(|error| match error.kind() {
        ErrorKind::NotFound => Err(error),
        _ => storage.copy_or_reflink(object, name, engine.modes.object),
    });
    match named {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// May be all that is left of a large file.
fn remove_name(engine: &Engine, leased: Leased) {
    if let Some(name) = leased.name {
        engine.removals.remove(name);
    }
}
