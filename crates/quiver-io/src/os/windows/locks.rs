//! Locks of byte ranges and of whole files.
//!
//! `LockFileEx` has what is needed, with three differences to locks of Unix. What is locked can't be read by others:
//! so the bytes that are locked here are never those that a file has. An owner's locks add up instead of replacing
//! each other: so each owner remembers its own. And a shared lock can't become an exclusive one in one step: so
//! everybody who changes a lock of a file holds one more byte of it meanwhile, the gate.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Error, Result};
use std::os::windows::io::AsRawHandle;
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::Foundation::{
    ERROR_INVALID_FUNCTION, ERROR_IO_PENDING, ERROR_LOCK_VIOLATION, ERROR_NOT_LOCKED, ERROR_NOT_SUPPORTED,
};
use windows_sys::Win32::Storage::FileSystem::{
    LOCKFILE_EXCLUSIVE_LOCK, LOCKFILE_FAIL_IMMEDIATELY, LockFileEx, UnlockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::succeeded;

/// Exchanges the halves of the offsets below 2^63, so that bytes that a file may have are not locked by a range near
/// its beginning.
const FAR: u64 = 1 << 62;
/// The byte that stands for a whole file; as an offset, the second last.
const WHOLE: Range = Range { start: (1 << 63) - 2, len: 1 };
/// The byte that is held while locks are changed; as an offset, the last.
const GATE: Range = Range { start: (1 << 63) - 1, len: 1 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start: u64,
    len: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Yes,
    No,
}

impl Range {
    fn overlapped(self) -> OVERLAPPED {
        let start = self.start ^ FAR;
        let mut overlapped = OVERLAPPED::default();
        overlapped.Anonymous.Anonymous.Offset = start as u32;
        overlapped.Anonymous.Anonymous.OffsetHigh = (start >> 32) as u32;
        overlapped
    }

    /// Adds a lock to what the file has; false when another one is in the way.
    fn lock(self, file: &File, exclusive: bool, wait: Wait) -> Result<bool> {
        let flags = if exclusive { LOCKFILE_EXCLUSIVE_LOCK } else { 0 }
            | if wait == Wait::No { LOCKFILE_FAIL_IMMEDIATELY } else { 0 };
        let mut overlapped = self.overlapped();
        let (low, high) = (self.len as u32, (self.len >> 32) as u32);
        // SAFETY: the handle is this file's, opened for calls that return when they are done, so that nothing is
        // written to `overlapped` later.
        let answer = unsafe { LockFileEx(file.as_raw_handle(), flags, 0, low, high, &raw mut overlapped) };
        match succeeded(answer) {
            Ok(()) => Ok(true),
            Err(error) if is_one_of(&error, &[ERROR_LOCK_VIOLATION, ERROR_IO_PENDING]) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes one lock away, the exclusive one first; none is fine.
    fn unlock(self, file: &File) -> Result<()> {
        let mut overlapped = self.overlapped();
        let (low, high) = (self.len as u32, (self.len >> 32) as u32);
        // SAFETY: as above.
        let answer = unsafe { UnlockFileEx(file.as_raw_handle(), 0, low, high, &raw mut overlapped) };
        match succeeded(answer) {
            Err(error) if is_one_of(&error, &[ERROR_NOT_LOCKED]) => Ok(()),
            other => other,
        }
    }
}

fn is_one_of(error: &Error, numbers: &[u32]) -> bool {
    error.raw_os_error().is_some_and(|number| numbers.contains(&(number as u32)))
}

/// Held while an owner changes its locks. Nobody holds it for longer than a few calls.
struct Gate<'a>(&'a File);

impl<'a> Gate<'a> {
    fn pass(file: &'a File) -> Result<Self> {
        GATE.lock(file, true, Wait::Yes).map(|_| Self(file))
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        let _ = GATE.unlock(self.0);
    }
}

/// Locks of byte ranges that belong to one open file. Ranges that overlap without being equal are not told apart.
#[derive(Debug)]
pub struct ByteLocks {
    file: File,
    /// Ranges that this owner has locked, and whether exclusively.
    held: Mutex<Vec<(Range, bool)>>,
}

impl ByteLocks {
    /// An owner of locks.
    pub fn new(file: File) -> Self {
        Self { file, held: Mutex::default() }
    }

    /// Locks a range, replacing what this owner has on it; false when somebody else's lock is in the way.
    pub fn try_lock(&self, start: u64, len: u64, exclusive: bool) -> Result<bool> {
        let range = Range { start, len };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.iter_mut().find(|(locked, _)| *locked == range);
        if own.as_ref().is_some_and(|(_, before)| *before == exclusive) {
            return Ok(true);
        }
        let _gate = Gate::pass(&self.file)?;
        match own {
            None => {
                let locked = range.lock(&self.file, exclusive, Wait::No)?;
                if locked {
                    held.push((range, exclusive));
                }
                Ok(locked)
            }
            Some((_, now)) if exclusive => {
                *now = self.replace_shared(range)?;
                Ok(*now)
            }
            Some((_, now)) => {
                // An owner may add a shared lock to its exclusive one, and loses that one first.
                range.lock(&self.file, false, Wait::No)?;
                range.unlock(&self.file)?;
                *now = false;
                Ok(true)
            }
        }
    }

    /// Makes this owner's shared lock exclusive where nobody else has any; whether it could. The caller is in the gate,
    /// so that others give their locks up meanwhile at most.
    fn replace_shared(&self, range: Range) -> Result<bool> {
        range.unlock(&self.file)?;
        let exclusive = range.lock(&self.file, true, Wait::No)?;
        if !exclusive {
            range.lock(&self.file, false, Wait::No)?;
        }
        Ok(exclusive)
    }

    /// Gives a range up.
    pub fn unlock(&self, start: u64, len: u64) -> Result<()> {
        let range = Range { start, len };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(locked, _)| *locked != range);
        range.unlock(&self.file)
    }

    /// Whether another owner has any lock on a range.
    pub fn is_locked_by_others(&self, start: u64, len: u64) -> Result<bool> {
        let range = Range { start, len };
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.iter().find(|(locked, _)| *locked == range).map(|(_, exclusive)| *exclusive);
        let _gate = Gate::pass(&self.file)?;
        let alone = match own {
            Some(true) => true,
            Some(false) => {
                let alone = self.replace_shared(range)?;
                if alone {
                    range.lock(&self.file, false, Wait::No)?;
                    range.unlock(&self.file)?;
                }
                alone
            }
            None => {
                let alone = range.lock(&self.file, true, Wait::No)?;
                if alone {
                    range.unlock(&self.file)?;
                }
                alone
            }
        };
        Ok(!alone)
    }
}

/// Locks a whole file without waiting, until it is closed; false when somebody else has it. What it holds can be read
/// and written all the same.
pub fn try_lock_file(file: &File) -> Result<bool> {
    WHOLE.lock(file, true, Wait::No)
}

/// The same, waiting for as long as it takes.
pub fn lock_file(file: &File) -> Result<()> {
    WHOLE.lock(file, true, Wait::Yes).map(drop)
}

/// Gives the lock of a whole file up.
pub fn unlock_file(file: &File) -> Result<()> {
    WHOLE.unlock(file)
}

/// Whether the file system has no locks.
pub fn has_no_locks(error: &Error) -> bool {
    is_one_of(error, &[ERROR_NOT_SUPPORTED, ERROR_INVALID_FUNCTION])
}
