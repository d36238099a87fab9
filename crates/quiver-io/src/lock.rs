//! Byte-range locks that belong to an open file: the kernel drops them when the file is closed or its
//! process dies, they work across containers, and two opens in one process exclude each other too.
//!
//! Nothing here blocks in the kernel: waiting is polling, so that it can have a limit.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::disk::open_or_create;
use crate::error::{Context, ErrorKind, Result};
use crate::os::ByteLocks;

/// An open lock file; each is an owner of its own.
#[derive(Debug)]
pub struct RangeLock {
    locks: ByteLocks,
    path: PathBuf,
}

impl RangeLock {
    /// Opens or makes the lock file. One that may not be written is opened as by [`RangeLock::open_shared`].
    pub fn open(path: &Path, mode: u32) -> Result<Self> {
        match open_or_create(path, mode) {
            Ok(file) => Ok(Self { locks: ByteLocks::new(file), path: path.to_path_buf() }),
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnly) => {
                Self::open_shared(path)
            }
            Err(error) => Err(error),
        }
    }

    /// Opens a lock file that is there, where nothing may be written: only shared locks can be had.
    pub fn open_shared(path: &Path) -> Result<Self> {
        let file = File::open(path).during("opening the lock file", path)?;
        Ok(Self { locks: ByteLocks::new(file), path: path.to_path_buf() })
    }

    /// Locks bytes, shared or exclusive, replacing what this owner has on them; false when somebody else's lock
    /// is in the way. Offsets end at 2^63, of which the last two are not to be used; ranges of one file are equal or
    /// apart.
    pub fn try_lock(&self, start: u64, len: u64, exclusive: bool) -> Result<bool> {
        self.locks.try_lock(start, len, exclusive).during("locking", &self.path)
    }

    /// The same, tried again for up to `timeout`. Each pause is an eighth of the time waited so far, two milliseconds at
    /// most, so that a lock that is free again is not left idle for longer than a fraction of what it was waited for.
    pub fn lock_timeout(&self, start: u64, len: u64, exclusive: bool, timeout: Duration) -> Result<bool> {
        const YIELDS: u32 = 32;
        const LONGEST: Duration = Duration::from_millis(2);
        const SHORTEST: Duration = Duration::from_micros(20);
        let mut tries = 0;
        let mut began = None;
        loop {
            if self.try_lock(start, len, exclusive)? {
                return Ok(true);
            }
            let waited = began.get_or_insert_with(Instant::now).elapsed();
            if waited >= timeout {
                return Ok(false);
            }
            tries += 1;
            if tries <= YIELDS {
                std::thread::yield_now();
            } else {
                std::thread::sleep((waited / 8).clamp(SHORTEST, LONGEST));
            }
        }
    }

    /// Gives bytes up.
    pub fn unlock(&self, start: u64, len: u64) -> Result<()> {
        self.locks.unlock(start, len).during("unlocking", &self.path)
    }

    /// Whether another owner has any lock on these bytes.
    pub fn is_locked_by_others(&self, start: u64, len: u64) -> Result<bool> {
        self.locks.is_locked_by_others(start, len).during("looking at the lock", &self.path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn owners_exclude_each_other_by_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (one, two) = (RangeLock::open(&path, 0o600).unwrap(), RangeLock::open(&path, 0o600).unwrap());
        assert!(one.try_lock(5, 1, true).unwrap());
        assert!(!two.try_lock(5, 1, false).unwrap());
        assert!(two.try_lock(6, 1, true).unwrap());
        assert!(two.is_locked_by_others(5, 1).unwrap());
        assert!(!two.is_locked_by_others(6, 1).unwrap());
        one.unlock(5, 1).unwrap();
        assert!(two.try_lock(5, 1, false).unwrap());
        assert!(one.try_lock(5, 1, false).unwrap());
        assert!(!one.lock_timeout(5, 1, true, Duration::from_millis(5)).unwrap());
    }

    #[test]
    fn an_owner_changes_its_lock_and_sees_only_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (one, two) = (RangeLock::open(&path, 0o600).unwrap(), RangeLock::open(&path, 0o600).unwrap());
        assert!(one.try_lock(7, 1, false).unwrap());
        assert!(!one.is_locked_by_others(7, 1).unwrap());
        assert!(one.try_lock(7, 1, true).unwrap());
        assert!(!two.try_lock(7, 1, false).unwrap());
        assert!(one.try_lock(7, 1, false).unwrap());
        assert!(two.try_lock(7, 1, false).unwrap());
        assert!(!one.try_lock(7, 1, true).unwrap());
        assert!(one.is_locked_by_others(7, 1).unwrap() && two.is_locked_by_others(7, 1).unwrap());
        // Refused, it still has what it had.
        two.unlock(7, 1).unwrap();
        assert!(!two.try_lock(7, 1, true).unwrap());
        one.unlock(7, 1).unwrap();
        assert!(two.try_lock(7, 1, true).unwrap());
    }

    #[test]
    fn a_lock_ends_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let one = RangeLock::open(&path, 0o600).unwrap();
        assert!(one.try_lock(0, 1, true).unwrap());
        drop(one);
        assert!(RangeLock::open(&path, 0o600).unwrap().try_lock(0, 1, true).unwrap());
    }
}
