//! Files that somebody uses by path. What is set and removed takes files of values away. So a lease gives the file a name
//! of its own, `.quiver/leased/<content>-<random>.<ext>`, which stays until its end. With it goes a hold on the value, so
//! that it isn't evicted, and so that nobody takes the name for one that a process left which died (`sweep`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_io::ErrorKind;

use crate::adopt::{self, NamedFile};
use crate::catalog::record::Record;
use crate::engine::Engine;
use crate::error::Result;
use crate::reader::{self, Namespace};
use crate::removals::Old;
use crate::store::Store;

/// A file to be used by path, until this is dropped.
#[derive(Debug)]
pub struct PathLease {
    /// The file.
    pub path: PathBuf,
    /// The name made for it, if any: it may be all that is left of a large file.
    name: Option<Old>,
    hold: Hold,
}

impl Drop for PathLease {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.hold.engine.removals.remove_by_thread(name);
        }
    }
}

/// A value that isn't evicted until this is dropped.
#[derive(Debug)]
struct Hold {
    engine: Arc<Engine>,
    content: u64,
}

impl Hold {
    fn new(engine: &Arc<Engine>, content: u64) -> Result<Self> {
        engine.holds.hold(content)?;
        Ok(Self { engine: Arc::clone(engine), content })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _ = self.engine.holds.release(self.content);
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
        let mut tried = None;
        while let Some(record) = self.entry_in_file(namespace, key)? {
            let hold = Hold::new(&self.engine, record.content)?;
            let lease = self.lease_held(namespace, key, &record, verify, hold)?;
            // Replaced since the look-up; where it is the same value once more, the entry is on its way out.
            if lease.is_some() || tried == Some(record.content) {
                return Ok(lease);
            }
            tried = Some(record.content);
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

    /// A lease of a value that is held; none where its file is gone, or its readable name has become another's.
    fn lease_held(
        &self,
        namespace: &Namespace,
        key: &[u8],
        record: &Record,
        verify: bool,
        hold: Hold,
    ) -> Result<Option<PathLease>> {
        let readable = adopt::name_shown(&self.engine, namespace, record);
        let is_readable = readable.is_some();
        let lease = match readable {
            Some(path) => Some(PathLease { path, name: None, hold }),
            None => named(namespace, record, hold)?,
        };
        // Has the entry removed whose file is gone.
        let Some(bytes) = self.open_value(namespace, key, record)? else { return Ok(None) };
        let Some(lease) = lease else { return Ok(None) };
        let verified = if verify {
            let file = self.engine.storage.open_read(&lease.path);
            file.map_err(Into::into).and_then(|file| bytes.checked.verify_whole(Some(&file), &[]))
        } else {
            Ok(())
        };
        if is_readable && adopt::name_shown(&self.engine, namespace, record).is_none() {
            return Ok(None);
        }
        verified.map(|()| Some(lease))
    }
}

/// A lease with a name of its own, where anything can be written; none where the file is gone.
fn named(namespace: &Namespace, record: &Record, hold: Hold) -> Result<Option<PathLease>> {
    let engine = &hold.engine;
    let object = engine.root.object(record.content, &record.extension);
    if engine.read_only {
        return Ok(Some(PathLease { path: object, name: None, hold }));
    }
    let name = format!("{:016x}-{:016x}.{}", record.content, quiver_io::random_u64(), record.extension);
    let path = engine.root.leased().join(name);
    let storage = engine.storage.as_ref();
    storage.create_dir(&engine.root.leased(), engine.modes.folder)?;
    let copied = || storage.copy_or_reflink(&object, &path, engine.modes.object);
    // Where a readable name is to show the file next, one link more would change the time by which files of other
    // programs are told from those that the name held before.
    let made = if namespace.is_named() {
        copied()
    } else {
        storage.link(&object, &path).or_else(|error| match error.kind() {
            // There are no links here, or none to files of other users, or no more to this one.
            ErrorKind::PermissionDenied | ErrorKind::Other => copied(),
            _ => Err(error),
        })
    };
    match made {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
        Ok(()) => {
            let name = Some(Old { path: path.clone(), size: record.size });
            Ok(Some(PathLease { path, name, hold }))
        }
    }
}
