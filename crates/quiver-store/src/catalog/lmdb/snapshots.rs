//! Read transactions between their uses. Begun with `MDB_NOTLS` they belong to no thread.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use lmdb_master_sys as ffi;

/// Those of one environment. Taking and leaving one costs an exchange of a pointer, less than a lock.
#[derive(Debug)]
pub(super) struct Snapshots {
    /// Without a snapshot, to be renewed.
    idle: [AtomicPtr<ffi::MDB_txn>; 16],
    /// With its snapshot, for the next look-up; null while one has it, and where none is kept.
    kept: AtomicPtr<ffi::MDB_txn>,
    /// Whether somebody sees to it that what is kept is let go.
    keeps: bool,
}

impl Snapshots {
    pub(super) fn new(keeps: bool) -> Self {
        Self { idle: Default::default(), kept: AtomicPtr::default(), keeps }
    }

    /// One to be renewed, from now on the caller's alone.
    pub(super) fn take_idle(&self) -> Option<*mut ffi::MDB_txn> {
        self.idle.iter().find_map(taken)
    }

    /// The one that was kept, from now on the caller's alone.
    pub(super) fn take_kept(&self) -> Option<*mut ffi::MDB_txn> {
        taken(&self.kept)
    }

    /// Takes one over, with its snapshot if that may be kept.
    ///
    /// # Safety
    /// It is a read transaction of the environment, the caller's alone, and nothing borrows it.
    pub(super) unsafe fn keep(&self, raw: *mut ffi::MDB_txn) {
        // What another thread has kept meanwhile makes room.
        let over = if self.keeps { self.kept.swap(raw, Ordering::AcqRel) } else { raw };
        if !over.is_null() {
            // SAFETY: by the caller's promise, which was given for the other one too.
            unsafe { self.end(over) };
        }
    }

    /// Takes one over, without its snapshot.
    ///
    /// # Safety
    /// As for [`keep`](Self::keep).
    pub(super) unsafe fn end(&self, raw: *mut ffi::MDB_txn) {
        // SAFETY: by the caller's promise; reset gives the snapshot up.
        unsafe { ffi::mdb_txn_reset(raw) };
        let is_left = self.idle.iter().any(|place| {
            place.compare_exchange(ptr::null_mut(), raw, Ordering::Release, Ordering::Relaxed).is_ok()
        });
        if !is_left {
            // SAFETY: it is the caller's still, and isn't used again.
            unsafe { ffi::mdb_txn_abort(raw) };
        }
    }
}

fn taken(place: &AtomicPtr<ffi::MDB_txn>) -> Option<*mut ffi::MDB_txn> {
    let raw = place.swap(ptr::null_mut(), Ordering::Acquire);
    (!raw.is_null()).then_some(raw)
}
