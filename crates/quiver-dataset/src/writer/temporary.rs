//! The folder that is written, under a name that nobody loads.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use quiver_io::{ErrorKind, Storage, open_or_create, random_u64, try_lock_file};
use std::sync::Arc;

use crate::error::{Error, Result};

const PREFIX: &str = ".tmp_";
pub(super) const LOCK: &str = "lock";

/// How often a new folder is made when somebody sweeps it before it is locked.
const ATTEMPTS: usize = 10;

/// A temporary folder and the lock that says somebody is writing it.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    lock: Option<File>,
}

impl Temporary {
    /// Makes one beside `target`.
    pub(super) fn create(storage: &Arc<dyn Storage>, target: &Path, mode: u32) -> Result<Self> {
        let (parent, stem) = place(target)?;
        storage.create_dir(&parent, mode)?;
        for _ in 0..ATTEMPTS {
            let path = parent.join(format!("{stem}{}-{:016x}", std::process::id(), random_u64()));
            storage.create_dir(&path, mode)?;
            // Until it is locked another writer may take it for one that was left.
            if let Some(temporary) = Self::lock(&path)? {
                return Ok(temporary);
            }
        }
        Err(Error::Internal("new temporary folders are taken away at once"))
    }

    /// Locks one that is there; none when somebody is writing it or it is gone.
    pub(super) fn lock(path: &Path) -> Result<Option<Self>> {
        let lock = match open_or_create(&path.join(LOCK), 0o600) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        // A file system without locks has no waiting writers either: temporaries there go by age.
        match try_lock_file(&lock) {
            Ok(false) => Ok(None),
            _ if !path.is_dir() => Ok(None),
            _ => Ok(Some(Self { path: path.to_path_buf(), lock: Some(lock) })),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the lock file, so that it is not published. The lock stays until this is dropped.
    pub(super) fn hide_lock(&self, storage: &dyn Storage) -> Result<()> {
        Ok(storage.unlink(&self.path.join(LOCK))?)
    }

    pub(super) fn remove(&mut self, storage: &dyn Storage) -> Result<()> {
        if self.lock.is_some() {
            storage.remove_dir_all(&self.path)?;
            self.lock = None;
        }
        Ok(())
    }

    /// The folder has another name now and is nobody's to remove.
    pub(super) fn published(&mut self) {
        self.lock = None;
    }
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

/// Temporary folders of a target, locked ones included.
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

/// Removes temporary folders in `parent` that nobody is writing: those for which `keep` says no, and those that have
/// no lock file when they are older than `age`, because another program may be writing them. How many were removed.
pub fn sweep(
    storage: &dyn Storage,
    parent: &Path,
    age: Duration,
    keep: impl Fn(&Path) -> bool,
) -> Result<usize> {
    let mut removed = 0;
    for path in named(parent, PREFIX) {
        let ours = path.join(LOCK).exists();
        let abandoned = if ours {
            match Temporary::lock(&path)? {
                Some(_held) => !keep(&path),
                None => false,
            }
        } else {
            newest(&path)
                .is_some_and(|time| SystemTime::now().duration_since(time).is_ok_and(|old| old > age))
        };
        if abandoned {
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
