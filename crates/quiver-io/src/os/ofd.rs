//! Locks of byte ranges on Linux and macOS, whose kernels have the same calls by other numbers.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Error, Result};
use std::os::fd::AsRawFd;

use super::{F_OFD_GETLK, F_OFD_SETLK};

// Of another integer type on each system.
const SHARED: libc::c_short = libc::F_RDLCK as libc::c_short;
const EXCLUSIVE: libc::c_short = libc::F_WRLCK as libc::c_short;
const NONE: libc::c_short = libc::F_UNLCK as libc::c_short;

/// Locks of byte ranges that belong to one open file.
#[derive(Debug)]
pub struct ByteLocks(File);

impl ByteLocks {
    /// An owner of locks.
    pub fn new(file: File) -> Self {
        Self(file)
    }

    /// Locks a range, replacing what this owner has on it; false when somebody else's lock is in the way.
    pub fn try_lock(&self, start: u64, len: u64, exclusive: bool) -> Result<bool> {
        let kind = if exclusive { EXCLUSIVE } else { SHARED };
        match self.control(F_OFD_SETLK, start, len, kind) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a range up.
    pub fn unlock(&self, start: u64, len: u64) -> Result<()> {
        self.control(F_OFD_SETLK, start, len, NONE).map(drop)
    }

    /// Whether another owner has any lock on a range.
    pub fn is_locked_by_others(&self, start: u64, len: u64) -> Result<bool> {
        Ok(self.control(F_OFD_GETLK, start, len, EXCLUSIVE)? != NONE)
    }

    /// Asks the kernel; the kind of lock that it wrote into the description, or left there.
    fn control(
        &self,
        command: libc::c_int,
        start: u64,
        len: u64,
        kind: libc::c_short,
    ) -> Result<libc::c_short> {
        let mut lock = libc::flock {
            l_start: start as libc::off_t,
            l_len: len as libc::off_t,
            l_pid: 0,
            l_type: kind,
            l_whence: libc::SEEK_SET as libc::c_short,
        };
        // SAFETY: the descriptor is this file's, and both commands take a `struct flock` that outlives the call.
        match unsafe { libc::fcntl(self.0.as_raw_fd(), command, &raw mut lock) } {
            -1 => Err(Error::last_os_error()),
            _ => Ok(lock.l_type),
        }
    }
}
