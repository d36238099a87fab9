//! Positions in a database.

use std::marker::PhantomData;

use lmdb_master_sys as ffi;

use super::error::{Result, found};
use super::{bytes_of, empty_value, value_of};

/// A key and its value, borrowed from a transaction.
pub type Pair<'t> = (&'t [u8], &'t [u8]);

/// A position in a database.
#[derive(Debug)]
pub struct Cursor<'t> {
    raw: *mut ffi::MDB_cursor,
    transaction: PhantomData<&'t ()>,
}

impl<'t> Cursor<'t> {
    /// Takes over one that was just opened in a transaction that is borrowed for `'t`.
    pub(super) fn new(raw: *mut ffi::MDB_cursor) -> Self {
        Self { raw, transaction: PhantomData }
    }

    fn step(&mut self, from: &[u8], operation: ffi::MDB_cursor_op) -> Result<Option<Pair<'t>>> {
        let mut key = value_of(from);
        let mut value = empty_value();
        // SAFETY: the cursor is live; LMDB fills key and value from pages of the transaction.
        if found(unsafe { ffi::mdb_cursor_get(self.raw, &raw mut key, &raw mut value, operation) })? {
            // SAFETY: both live as long as the transaction, which `'t` keeps borrowed.
            Ok(Some(unsafe { (bytes_of(&key), bytes_of(&value)) }))
        } else {
            Ok(None)
        }
    }

    /// The first pair whose key is not below `key`.
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<Pair<'t>>> {
        // LMDB refuses empty keys; the smallest non-empty one finds the same pair.
        self.step(if key.is_empty() { &[0] } else { key }, ffi::MDB_SET_RANGE)
    }

    /// The pair after the present one; the first, on a new cursor.
    #[allow(clippy::should_implement_trait, reason = "it can fail")]
    pub fn next(&mut self) -> Result<Option<Pair<'t>>> {
        self.step(&[], ffi::MDB_NEXT)
    }

    /// The last pair.
    pub fn last(&mut self) -> Result<Option<Pair<'t>>> {
        self.step(&[], ffi::MDB_LAST)
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        // SAFETY: the cursor is live and its transaction still open.
        unsafe { ffi::mdb_cursor_close(self.raw) };
    }
}
