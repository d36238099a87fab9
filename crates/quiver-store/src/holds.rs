//! Values whose file somebody is using by path: evicted by nobody while held. A hold is a shared OFD lock on one
//! byte at the content id, so that other processes see it and it ends with its process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use quiver_io::RangeLock;

use crate::error::Result;

/// Offsets of a lock are signed.
const MASK: u64 = (1 << 62) - 1;

/// Holds of this process, and a view of the others'.
#[derive(Debug)]
pub struct Holds {
    lock: RangeLock,
    counts: Mutex<HashMap<u64, u32>>,
}

impl Holds {
    /// Over the lock file that all processes share.
    pub fn new(lock: RangeLock) -> Self {
        Self { lock, counts: Mutex::default() }
    }

    /// Holds a value once more.
    pub fn hold(&self, content: u64) -> Result<()> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if !counts.contains_key(&content) {
            self.lock.try_lock(content & MASK, 1, false)?;
        }
        *counts.entry(content).or_default() += 1;
        Ok(())
    }

    /// Ends one hold.
    pub fn release(&self, content: u64) -> Result<()> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&content) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&content);
                self.lock.unlock(content & MASK, 1)?;
            }
        }
        Ok(())
    }

    /// Whether anybody holds the value. Costs a system call.
    pub fn is_held(&self, content: u64) -> bool {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&content)
            || self.lock.is_locked_by_others(content & MASK, 1).unwrap_or(true)
    }
}
