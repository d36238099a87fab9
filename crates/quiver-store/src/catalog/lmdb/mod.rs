//! A small safe face over liblmdb: environments, read transactions that are renewed instead of begun anew, write
//! transactions, cursors. Written against liblmdb itself because renewal, per-transaction flags and statistics of
//! a database are not to be had through a wrapper.
//!
//! Rules that LMDB leaves to its callers and that this module keeps by its types:
//! bytes borrowed from a transaction live no longer than the borrow of it; one write transaction at a time
//! (`Env::write` takes a mutex first, so that threads of this process queue there and not inside LMDB); an
//! environment closes only when nothing borrows it.

#![allow(unsafe_code)]

mod cursor;
mod env;
mod error;
mod snapshots;
mod txn;

use std::ptr;

use lmdb_master_sys as ffi;

pub use cursor::{Cursor, Pair};
pub use env::{Env, EnvOptions};
pub use error::{LmdbError, Result};
pub use txn::{Database, DatabaseStat, Read, ReadTxn, WriteTxn};

fn value_of(bytes: &[u8]) -> ffi::MDB_val {
    ffi::MDB_val { mv_size: bytes.len(), mv_data: bytes.as_ptr().cast_mut().cast() }
}

fn empty_value() -> ffi::MDB_val {
    ffi::MDB_val { mv_size: 0, mv_data: ptr::null_mut() }
}

fn empty_stat() -> ffi::MDB_stat {
    ffi::MDB_stat {
        ms_psize: 0,
        ms_depth: 0,
        ms_branch_pages: 0,
        ms_leaf_pages: 0,
        ms_overflow_pages: 0,
        ms_entries: 0,
    }
}

/// # Safety
/// `value` must have been filled by LMDB from a transaction that lives for `'a` and isn't written meanwhile.
unsafe fn bytes_of<'a>(value: &ffi::MDB_val) -> &'a [u8] {
    if value.mv_size == 0 {
        &[]
    } else {
        // SAFETY: by the caller's promise.
        unsafe { std::slice::from_raw_parts(value.mv_data.cast::<u8>(), value.mv_size) }
    }
}
