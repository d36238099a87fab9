//! The folder that is written, under a name that nobody loads.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use quiver_io::{ErrorKind, Storage, StorageFile, random_u64};
use std::sync::Arc;

use crate::error::{Error, Result};

const PREFIX: &str = ".tmp_";
const LOCK: &str = ".lock";

/// How often another name is tried when somebody has the lock of a new one.
const ATTEMPTS: usize = 10;

/// A temporary folder and the lock that says somebody is writing it. The lock is a file beside the folder, so that it is
/// held until the folder has its final name.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    lock: Option<Box<dyn StorageFile>>,
}

impl Temporary {
    /// Makes one beside `target`.
    pub(super) fn create(storage: &Arc<dyn Storage>, target: &Path, mode: u32) -> Result<Self> {
        let (parent, stem) = place(target)?;
        storage.create_dir(&parent, mode)?;
        for _ in 0..ATTEMPTS {
            let path = parent.join(format!("{stem}{}-{:016x}", std::process::id(), random_u64()));
            // Locked first: nobody sees a folder that may seem to be left.
            if let Some(lock) = hold(storage.as_ref(), &lock_of(&path))? {
                storage.create_dir(&path, mode)?;
                return Ok(Self { path, lock: Some(lock) });
            }
        }
        Err(Error::Internal("the locks of new temporary folders are taken away at once"))
    }

    /// Locks one that is there; none when somebody is writing it or it is gone.
    pub(super) fn lock(storage: &dyn Storage, path: &Path) -> Result<Option<Self>> {
        let Some(lock) = hold(storage, &lock_of(path))? else { return Ok(None) };
        let mut temporary = Self { path: path.to_path_buf(), lock: Some(lock) };
        if path.is_dir() {
            return Ok(Some(temporary));
        }
        temporary.release(storage)?;
        Ok(None)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn remove(&mut self, storage: &dyn Storage) -> Result<()> {
        if self.lock.is_some() {
            storage.remove_dir_all(&self.path)?;
            self.release(storage)?;
        }
        Ok(())
    }

    /// To be called when the folder has another name or is gone.
    pub(super) fn release(&mut self, storage: &dyn Storage) -> Result<()> {
        if self.lock.is_some() {
            storage.unlink(&lock_of(&self.path))?;
            self.lock = None;
        }
        Ok(())
    }
}

fn lock_of(folder: &Path) -> PathBuf {
    let mut path = folder.as_os_str().to_owned();
    path.push(LOCK);
    path.into()
}

/// Locks the file, made where it is missing; none when somebody else has it or has just removed it.
fn hold(storage: &dyn Storage, path: &Path) -> Result<Option<Box<dyn StorageFile>>> {
    let opened = match storage.create_new(path, 0o600) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => storage.reopen(path, 0),
        created => created,
    };
    let mut lock = match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    // A file system without locks has no waiting writers either: temporaries there go by age.
    Ok(quiver_io::hold(lock.as_mut())?.then_some(lock))
}

/// The folder that a target lies in, and how its temporaries' names start.
fn place(target: &Path) -> Result<(PathBuf, String)> {
    let name = target.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::BadOption("the folder to write needs a name in UTF-8".into()))?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok((parent, format!("{PREFIX}{name}.")))
}

/// Temporary folders of a target, locked ones included; without their locks.
pub(super) fn temporaries(target: &Path) -> Result<Vec<PathBuf>> {
    let (parent, stem) = place(target)?;
    let is_own = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix(stem.as_str())).is_some_and(is_suffix)
    };
    Ok(named(&parent, &stem).into_iter().filter(is_own).collect())
}

/// Whether this is how a temporary folder's name goes on after the target's, which may be the beginning of another's.
fn is_suffix(text: &str) -> bool {
    text.split_once('-').is_some_and(|(process, random)| {
        process.bytes().all(|byte| byte.is_ascii_digit())
            && random.len() == 16
            && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn named(parent: &Path, stem: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(stem)));
    ours.map(|entry| entry.path()).collect()
}

/// Removes temporary folders in `parent` that nobody is writing: own ones for which `keep` says no, and those of other
/// programs, which have no lock, when they are older than `age`. How many were removed.
pub fn sweep(
    storage: &dyn Storage,
    parent: &Path,
    age: Duration,
    keep: impl Fn(&Path) -> bool,
) -> Result<usize> {
    let mut removed = 0;
    for path in named(parent, PREFIX) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let own = name.strip_suffix(LOCK).unwrap_or(name);
        if own.rsplit_once('.').is_some_and(|(_, suffix)| is_suffix(suffix)) {
            // Also where only the lock was left: locking finds that.
            if let Some(mut temporary) = Temporary::lock(storage, &path.with_file_name(own))?
                && !keep(temporary.path())
            {
                temporary.remove(storage)?;
                removed += 1;
            }
        } else if newest(&path)
            .is_some_and(|time| SystemTime::now().duration_since(time).is_ok_and(|old| old > age))
        {
            storage.remove_dir_all(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// When anything in the folder was last written.
fn newest(folder: &Path) -> Option<SystemTime> {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|facts| facts.modified()).ok();
    let inside = std::fs::read_dir(folder).ok()?.flatten().filter_map(|entry| modified(&entry.path())).max();
    modified(folder).max(inside)
}
