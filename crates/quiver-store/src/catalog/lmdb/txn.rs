//! Transactions: snapshots, and the one that writes.

use std::ffi::CStr;
use std::ptr;
use std::sync::MutexGuard;
use std::time::Instant;

use lmdb_master_sys as ffi;

use super::cursor::Cursor;
use super::error::{LmdbError, Result, check, found};
use super::{Env, bytes_of, empty_stat, empty_value, value_of};
use crate::catalog::lmdb_hooks;

/// A handle of a database, valid for the environment that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Database(pub(super) ffi::MDB_dbi);

/// Page counts of a database.
#[derive(Debug, Clone, Copy, Default)]
pub struct DatabaseStat {
    /// Branch, leaf and overflow pages together.
    pub pages: u64,
    /// Key-value pairs.
    pub entries: u64,
}

/// Reading, shared by both kinds of transaction.
pub trait Read {
    /// The raw transaction.
    #[doc(hidden)]
    fn raw(&self) -> *mut ffi::MDB_txn;

    /// Opens a named database if it is there.
    fn open(&self, name: &CStr) -> Result<Option<Database>> {
        open_database(self.raw(), Some(name), 0)
    }

    /// Opens the main database, which has a row for each named one. LMDB refuses to change these; other rows may lie
    /// beside them.
    fn main(&self) -> Result<Database> {
        open_database(self.raw(), None, 0)?.ok_or(LmdbError(ffi::MDB_NOTFOUND))
    }

    /// The value of `key`; valid while the transaction is borrowed.
    fn get(&self, database: Database, key: &[u8]) -> Result<Option<&[u8]>> {
        let mut key = value_of(key);
        let mut value = empty_value();
        // SAFETY: the transaction is live; LMDB reads the key and fills the value.
        if found(unsafe { ffi::mdb_get(self.raw(), database.0, &raw mut key, &raw mut value) })? {
            // SAFETY: the bytes live as long as the transaction, which `&self` keeps, and a write transaction
            // can't be written while it is borrowed.
            Ok(Some(unsafe { bytes_of(&value) }))
        } else {
            Ok(None)
        }
    }

    /// A cursor over the database.
    fn cursor(&self, database: Database) -> Result<Cursor<'_>> {
        let mut raw = ptr::null_mut();
        // SAFETY: the transaction is live and outlives the cursor, which borrows it.
        check(unsafe { ffi::mdb_cursor_open(self.raw(), database.0, &raw mut raw) })?;
        Ok(Cursor::new(raw))
    }

    /// Page counts.
    fn stat(&self, database: Database) -> Result<DatabaseStat> {
        let mut stat = empty_stat();
        // SAFETY: the transaction is live; `stat` is a valid place for the answer.
        check(unsafe { ffi::mdb_stat(self.raw(), database.0, &raw mut stat) })?;
        Ok(DatabaseStat {
            pages: (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) as u64,
            entries: stat.ms_entries as u64,
        })
    }

    /// Number of the transaction: of the snapshot for a reader, of the coming commit for a writer.
    fn id(&self) -> u64 {
        // SAFETY: the transaction is live.
        unsafe { ffi::mdb_txn_id(self.raw()) as u64 }
    }
}

/// A consistent snapshot. Dropping it keeps its reader slot for the next one.
#[derive(Debug)]
pub struct ReadTxn<'e> {
    env: &'e Env,
    raw: *mut ffi::MDB_txn,
    /// Whether the next look-up goes on with it.
    stays: bool,
}

impl Read for ReadTxn<'_> {
    fn raw(&self) -> *mut ffi::MDB_txn {
        self.raw
    }
}

impl<'e> ReadTxn<'e> {
    /// Takes over one that has a snapshot and is the caller's alone.
    pub(super) fn new(env: &'e Env, raw: *mut ffi::MDB_txn) -> Self {
        Self { env, raw, stays: false }
    }

    /// Is to be kept for the next look-up when it is dropped.
    pub(super) fn staying(mut self) -> Self {
        self.stays = true;
        self
    }

    /// Ends it without keeping it.
    pub fn end(mut self) {
        self.stays = false;
    }

    /// Ends the transaction for good, which makes the handles it opened usable by others.
    pub fn commit(self) -> Result<()> {
        let raw = self.raw;
        std::mem::forget(self);
        // SAFETY: `raw` was ours and isn't used again.
        check(unsafe { ffi::mdb_txn_commit(raw) })
    }
}

impl Drop for ReadTxn<'_> {
    fn drop(&mut self) {
        let snapshots = &self.env.snapshots;
        // SAFETY: the transaction is ours and nothing borrows it any more.
        unsafe { if self.stays { snapshots.keep(self.raw) } else { snapshots.end(self.raw) } }
    }
}

fn open_database(txn: *mut ffi::MDB_txn, name: Option<&CStr>, flags: u32) -> Result<Option<Database>> {
    let mut dbi = 0;
    // SAFETY: the transaction is live and the name NUL-terminated; null stands for the main database.
    let code = unsafe { ffi::mdb_dbi_open(txn, name.map_or(ptr::null(), CStr::as_ptr), flags, &raw mut dbi) };
    Ok(found(code)?.then_some(Database(dbi)))
}

/// The write transaction. Dropped without `commit` it changes nothing.
#[derive(Debug)]
pub struct WriteTxn<'e> {
    env: &'e Env,
    raw: *mut ffi::MDB_txn,
    guard: MutexGuard<'e, Instant>,
}

impl Read for WriteTxn<'_> {
    fn raw(&self) -> *mut ffi::MDB_txn {
        self.raw
    }
}

impl<'e> WriteTxn<'e> {
    /// Takes over one that was just begun. The guard keeps other threads from beginning another.
    pub(super) fn new(env: &'e Env, raw: *mut ffi::MDB_txn, guard: MutexGuard<'e, Instant>) -> Self {
        Self { env, raw, guard }
    }

    /// Opens a named database, made if absent.
    pub fn create(&mut self, name: &CStr) -> Result<Database> {
        open_database(self.raw, Some(name), ffi::MDB_CREATE)?.ok_or(LmdbError(ffi::MDB_NOTFOUND))
    }

    /// Removes a named database with its rows. Handles of it are void from then on, also if this isn't committed.
    pub(in crate::catalog) fn remove(&mut self, database: Database) -> Result<()> {
        // SAFETY: the transaction is live and no cursor borrows it.
        check(unsafe { ffi::mdb_drop(self.raw, database.0, 1) })
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, database: Database, key: &[u8], value: &[u8]) -> Result<()> {
        self.put_flags(database, key, value, 0).map(|_| ())
    }

    /// Sets `key` unless it is there; whether it was set.
    pub fn insert(&mut self, database: Database, key: &[u8], value: &[u8]) -> Result<bool> {
        self.put_flags(database, key, value, ffi::MDB_NOOVERWRITE)
    }

    /// Sets `key` if it is beyond all others; whether it was set. It is compared with the last one alone.
    pub fn append(&mut self, database: Database, key: &[u8], value: &[u8]) -> Result<bool> {
        self.put_flags(database, key, value, ffi::MDB_APPEND)
    }

    fn put_flags(&mut self, database: Database, key: &[u8], value: &[u8], flags: u32) -> Result<bool> {
        let mut key = value_of(key);
        let mut value = value_of(value);
        // SAFETY: the transaction is live; LMDB copies both.
        match unsafe { ffi::mdb_put(self.raw, database.0, &raw mut key, &raw mut value, flags) } {
            ffi::MDB_KEYEXIST => Ok(false),
            code => check(code).map(|()| true),
        }
    }

    /// Removes `key`; whether it was there.
    pub fn delete(&mut self, database: Database, key: &[u8]) -> Result<bool> {
        let mut key = value_of(key);
        // SAFETY: the transaction is live; no value is needed to delete from a database without duplicates.
        found(unsafe { ffi::mdb_del(self.raw, database.0, &raw mut key, ptr::null_mut()) })
    }

    /// Commits: on return everything is as durable as the environment promises.
    pub fn commit(self) -> Result<()> {
        let (raw, id) = (self.raw, self.id());
        let this = std::mem::ManuallyDrop::new(self);
        let flushed = this.env.flushed.as_ref();
        lmdb_hooks::begin_commit(flushed.is_some_and(|flushed| flushed.is(id.wrapping_sub(1))));
        // SAFETY: `raw` was ours and isn't used again, whatever the outcome.
        let result = check(unsafe { ffi::mdb_txn_commit(raw) });
        if lmdb_hooks::end()
            && result.is_ok()
            && let Some(flushed) = flushed
        {
            flushed.note(id);
        }
        // SAFETY: the guard is read once, and `this` is never dropped.
        drop(unsafe { ptr::read(&raw const this.guard) });
        result
    }

    /// The environment.
    pub fn env(&self) -> &Env {
        self.env
    }
}

impl Drop for WriteTxn<'_> {
    fn drop(&mut self) {
        lmdb_hooks::end();
        // SAFETY: the transaction is live and ours; aborting ends it.
        unsafe { ffi::mdb_txn_abort(self.raw) };
    }
}
