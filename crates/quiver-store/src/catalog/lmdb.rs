//! A small safe face over liblmdb: environments, read transactions that are renewed instead of begun anew, write
//! transactions, cursors. Written against liblmdb itself because renewal, per-transaction flags and statistics of
//! a database are not to be had through a wrapper.
//!
//! Rules that LMDB leaves to its callers and that this module keeps by its types:
//! bytes borrowed from a transaction live no longer than the borrow of it; one write transaction at a time
//! (`Env::write` takes a mutex first, so that threads of this process queue there and not inside LMDB); an
//! environment closes only when nothing borrows it.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use lmdb_master_sys as ffi;

use super::flushed::Flushed;
use super::lmdb_hooks;

/// How often a process that writes looks for readers that died in the middle of a read. As long as one is registered, no
/// page that was freed since can be used again, and the file grows by all that is written.
const READERS_LOOKED_AT: Duration = Duration::from_millis(100);

/// A code that liblmdb or the operating system under it returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LmdbError(pub i32);

impl LmdbError {
    /// The system has no room to map the file: ENOMEM, on Windows `ERROR_NOT_ENOUGH_MEMORY`.
    pub const NO_ROOM_TO_MAP: Self = Self(if cfg!(windows) { 8 } else { libc::ENOMEM });

    /// The map or a transaction is too small for what was asked.
    pub fn is_full(self) -> bool {
        matches!(self.0, ffi::MDB_MAP_FULL | ffi::MDB_TXN_FULL)
    }
    /// The environment refuses everything until it is opened again.
    pub fn is_panic(self) -> bool {
        matches!(self.0, ffi::MDB_PANIC | ffi::MDB_BAD_TXN | ffi::MDB_MAP_RESIZED)
    }
    /// A page is not what its place says.
    pub fn is_corrupt(self) -> bool {
        matches!(
            self.0,
            ffi::MDB_CORRUPTED
                | ffi::MDB_PAGE_NOTFOUND
                | ffi::MDB_INVALID
                | ffi::MDB_VERSION_MISMATCH
                | ffi::MDB_PROBLEM
                | ffi::MDB_CURSOR_FULL
                | ffi::MDB_PAGE_FULL
                | ffi::MDB_INCOMPATIBLE
        )
    }
    /// The operating system's error number, where it was the system that refused.
    pub fn os_error(self) -> Option<i32> {
        (self.0 > 0).then_some(self.0)
    }
}

impl std::fmt::Display for LmdbError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // On Windows liblmdb has texts of the system's errors in memory that is free again when it returns.
        if cfg!(windows)
            && let Some(number) = self.os_error()
        {
            return std::io::Error::from_raw_os_error(number).fmt(f);
        }
        // SAFETY: mdb_strerror returns a NUL-terminated string that is static or thread-local.
        let text = unsafe { CStr::from_ptr(ffi::mdb_strerror(self.0)) };
        f.write_str(&text.to_string_lossy())
    }
}

impl std::error::Error for LmdbError {}

/// What this module returns.
pub type Result<T> = std::result::Result<T, LmdbError>;

fn check(code: i32) -> Result<()> {
    if code == ffi::MDB_SUCCESS { Ok(()) } else { Err(LmdbError(code)) }
}

fn found(code: i32) -> Result<bool> {
    match code {
        ffi::MDB_SUCCESS => Ok(true),
        ffi::MDB_NOTFOUND => Ok(false),
        other => Err(LmdbError(other)),
    }
}

/// A path as liblmdb takes it: bytes on Unix, UTF-8 on Windows.
fn c_path(path: &Path) -> Result<CString> {
    let whole = path.as_os_str().as_encoded_bytes();
    // On Windows a canonical path begins so, and then may have no slash, of which liblmdb adds one.
    let plain = whole.strip_prefix(br"\\?\").filter(|plain| cfg!(windows) && plain.get(1) == Some(&b':'));
    CString::new(plain.unwrap_or(whole)).map_err(|_| LmdbError(libc::EINVAL))
}

fn value_of(bytes: &[u8]) -> ffi::MDB_val {
    ffi::MDB_val { mv_size: bytes.len(), mv_data: bytes.as_ptr().cast_mut().cast() }
}

fn empty_value() -> ffi::MDB_val {
    ffi::MDB_val { mv_size: 0, mv_data: ptr::null_mut() }
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

/// How to open an environment.
#[derive(Debug, Clone, Copy)]
pub struct EnvOptions {
    /// Bytes of address space to reserve; the file grows into it.
    pub map_size: usize,
    /// Named databases.
    pub max_databases: u32,
    /// Reader slots, for all processes together.
    pub max_readers: u32,
    /// Commits don't sync: survives the death of processes, not a power cut.
    pub no_sync: bool,
    /// Nothing is written.
    pub read_only: bool,
    /// No lock file: only for media on which nobody can write.
    pub no_lock: bool,
    /// Permission bits of new files.
    pub mode: u32,
}

/// A handle of a named database, valid for the environment that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Database(ffi::MDB_dbi);

/// Page counts of a database.
#[derive(Debug, Clone, Copy, Default)]
pub struct DatabaseStat {
    /// Branch, leaf and overflow pages together.
    pub pages: u64,
    /// Key-value pairs.
    pub entries: u64,
}

/// An open environment: one a file and process.
#[derive(Debug)]
pub struct Env {
    raw: *mut ffi::MDB_env,
    path: PathBuf,
    /// Held while this process writes; when it last looked for readers that are gone.
    writing: Mutex<Instant>,
    /// Commits are durable when they return.
    durable: bool,
    /// The last transaction that is known to be durable, with all before it; none where nothing is known.
    flushed: Option<Flushed>,
    idle: IdleReads,
    /// The last snapshot of `look`, until it is let go; null while a look-up has it, and where none is kept.
    kept: AtomicPtr<ffi::MDB_txn>,
    /// Whether somebody sees to it that it is let go.
    keeps: bool,
}

/// Read transactions that were reset and wait for their next use; taking and leaving one costs an exchange of a
/// pointer, less than a lock. Begun with `MDB_NOTLS` they belong to no thread.
#[derive(Debug, Default)]
struct IdleReads([AtomicPtr<ffi::MDB_txn>; 16]);

impl IdleReads {
    /// One that from now on is the caller's alone.
    fn take(&self) -> Option<*mut ffi::MDB_txn> {
        self.0.iter().find_map(|place| {
            let raw = place.swap(ptr::null_mut(), Ordering::Acquire);
            (!raw.is_null()).then_some(raw)
        })
    }

    /// Whether there was a place for it.
    fn leave(&self, raw: *mut ffi::MDB_txn) -> bool {
        self.0.iter().any(|place| {
            place.compare_exchange(ptr::null_mut(), raw, Ordering::Release, Ordering::Relaxed).is_ok()
        })
    }
}

// SAFETY: LMDB environments are made for use by many threads; transactions are fenced by the types below.
unsafe impl Send for Env {}
// SAFETY: as above.
unsafe impl Sync for Env {}

impl Env {
    /// Opens or creates the environment in the folder `path` (files data.mdb and lock.mdb).
    pub fn open(path: &Path, options: &EnvOptions) -> Result<Self> {
        let c_path = c_path(path)?;
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` receives a fresh environment, closed below on every failure.
        check(unsafe { ffi::mdb_env_create(&raw mut raw) })?;
        let mut flags = ffi::MDB_NOTLS;
        for (on, flag) in [
            (options.no_sync, ffi::MDB_NOSYNC),
            (options.read_only, ffi::MDB_RDONLY),
            (options.no_lock, ffi::MDB_NOLOCK),
        ] {
            if on {
                flags |= flag;
            }
        }
        // SAFETY: `raw` is the environment just created and not yet shared; the path is NUL-terminated.
        let opened = unsafe {
            check(ffi::mdb_env_set_mapsize(raw, options.map_size as _))
                .and_then(|()| check(ffi::mdb_env_set_maxdbs(raw, options.max_databases)))
                .and_then(|()| check(ffi::mdb_env_set_maxreaders(raw, options.max_readers)))
                .and_then(|()| check(ffi::mdb_env_open(raw, c_path.as_ptr(), flags, options.mode as _)))
        };
        if let Err(error) = opened {
            // SAFETY: closing after a failed open is what LMDB asks for.
            unsafe { ffi::mdb_env_close(raw) };
            return Err(error);
        }
        Ok(Self {
            raw,
            path: path.to_path_buf(),
            writing: Mutex::new(Instant::now()),
            durable: !options.no_sync,
            flushed: (!options.no_sync && !options.read_only)
                .then(|| Flushed::open(path, options.mode))
                .flatten(),
            idle: IdleReads::default(),
            kept: AtomicPtr::default(),
            keeps: !options.read_only,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A read transaction: a consistent snapshot of the last commit. About 0.1 us when one is idle.
    pub fn read(&self) -> Result<ReadTxn<'_>> {
        if let Some(raw) = self.idle.take() {
            // SAFETY: `raw` was reset and is ours alone now.
            match check(unsafe { ffi::mdb_txn_renew(raw) }) {
                Ok(()) => return Ok(ReadTxn { env: self, raw, stays: false }),
                // SAFETY: a transaction that can't be renewed is given up.
                Err(_) => unsafe { ffi::mdb_txn_abort(raw) },
            }
        }
        let mut raw = ptr::null_mut();
        let begin = |raw: &mut *mut ffi::MDB_txn| {
            // SAFETY: the environment is open; `raw` receives the transaction.
            check(unsafe { ffi::mdb_txn_begin(self.raw, ptr::null_mut(), ffi::MDB_RDONLY, raw) })
        };
        match begin(&mut raw) {
            Err(LmdbError(ffi::MDB_READERS_FULL)) => {
                self.clear_stale_readers()?;
                begin(&mut raw)?;
            }
            other => other?,
        }
        Ok(ReadTxn { env: self, raw, stays: false })
    }

    /// The same for a look-up. Where nothing was committed since, it goes on with a snapshot that was [kept](ReadTxn::keep):
    /// in a renewed one LMDB looks each database up by its name, which is a good part of finding out that there is no entry.
    pub fn look(&self) -> Result<ReadTxn<'_>> {
        match self.take_kept() {
            Some(kept) if kept.id() == self.last_commit() => Ok(kept),
            // One that is behind is given up first, to be the one that is renewed.
            kept => {
                drop(kept);
                self.read()
            }
        }
    }

    /// Gives the snapshot up that look-ups have kept. Called before each write of this process, at the end of a turn of
    /// the event loop, and once a second.
    pub fn let_go(&self) {
        drop(self.take_kept());
    }

    /// What was kept, from now on the caller's alone and not to stay.
    fn take_kept(&self) -> Option<ReadTxn<'_>> {
        let raw = self.kept.swap(ptr::null_mut(), Ordering::Acquire);
        (!raw.is_null()).then_some(ReadTxn { env: self, raw, stays: false })
    }

    /// Number of the last commit, by whatever process.
    fn last_commit(&self) -> u64 {
        let mut info = ffi::MDB_envinfo {
            me_mapaddr: ptr::null_mut(),
            me_mapsize: 0,
            me_last_pgno: 0,
            me_last_txnid: 0,
            me_maxreaders: 0,
            me_numreaders: 0,
        };
        // SAFETY: the environment is open; `info` is a valid place for the answer.
        unsafe { ffi::mdb_env_info(self.raw, &raw mut info) };
        info.me_last_txnid as u64
    }

    /// The write transaction. Blocks while another thread of this process has it; the caller keeps other
    /// processes out by a lock of its own.
    pub fn write(&self) -> Result<WriteTxn<'_>> {
        self.let_go();
        let mut guard = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if guard.elapsed() >= READERS_LOOKED_AT {
            // Failing to look is not the write's failure.
            let _ = self.clear_stale_readers();
            *guard = Instant::now();
        }
        let mut raw = ptr::null_mut();
        // SAFETY: the environment is open and this thread has no other write transaction (the guard).
        check(unsafe { ffi::mdb_txn_begin(self.raw, ptr::null_mut(), 0, &raw mut raw) })?;
        if self.durable {
            lmdb_hooks::begin();
        }
        Ok(WriteTxn { env: self, raw, guard })
    }

    /// Frees the slots of readers whose process is gone; how many.
    pub fn clear_stale_readers(&self) -> Result<usize> {
        let mut dead = 0;
        // SAFETY: the environment is open.
        check(unsafe { ffi::mdb_reader_check(self.raw, &raw mut dead) })?;
        Ok(dead as usize)
    }

    /// Makes everything committed durable.
    pub fn sync(&self) -> Result<()> {
        // SAFETY: the environment is open.
        check(unsafe { ffi::mdb_env_sync(self.raw, 1) })
    }

    /// Writes a consistent copy into the folder `to`, leaving free pages out when `compact`. Readers and
    /// writers go on meanwhile.
    pub fn copy(&self, to: &Path, compact: bool) -> Result<()> {
        let c_path = c_path(to)?;
        let flags = if compact { ffi::MDB_CP_COMPACT } else { 0 };
        // SAFETY: the environment is open and the path NUL-terminated.
        check(unsafe { ffi::mdb_env_copy2(self.raw, c_path.as_ptr(), flags) })
    }

    /// Bytes of one page.
    pub fn page_size(&self) -> u64 {
        let mut stat = ffi::MDB_stat {
            ms_psize: 0,
            ms_depth: 0,
            ms_branch_pages: 0,
            ms_leaf_pages: 0,
            ms_overflow_pages: 0,
            ms_entries: 0,
        };
        // SAFETY: `stat` is a valid place for the answer.
        unsafe { ffi::mdb_env_stat(self.raw, &raw mut stat) };
        u64::from(stat.ms_psize)
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        self.let_go();
        while let Some(raw) = self.idle.take() {
            // SAFETY: idle transactions are ours alone; they end before the environment does.
            unsafe { ffi::mdb_txn_abort(raw) };
        }
        // SAFETY: every transaction borrows the environment, so none is open here.
        unsafe { ffi::mdb_env_close(self.raw) };
    }
}

/// Reading, shared by both kinds of transaction.
pub trait Read {
    /// The raw transaction.
    #[doc(hidden)]
    fn raw(&self) -> *mut ffi::MDB_txn;

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
        Ok(Cursor { raw, transaction: PhantomData })
    }

    /// Page counts.
    fn stat(&self, database: Database) -> Result<DatabaseStat> {
        let mut stat = ffi::MDB_stat {
            ms_psize: 0,
            ms_depth: 0,
            ms_branch_pages: 0,
            ms_leaf_pages: 0,
            ms_overflow_pages: 0,
            ms_entries: 0,
        };
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

impl ReadTxn<'_> {
    /// Keeps the snapshot for the next look-up. As long as it is kept, no page can be used again that anybody has freed
    /// since, so it is to be let go soon.
    pub fn keep(mut self) {
        self.stays = self.env.keeps;
    }

    /// Opens a named database if it is there.
    pub fn open(&self, name: &CStr) -> Result<Option<Database>> {
        open_database(self.raw, name, 0)
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
        // Whatever another thread has kept meanwhile makes room.
        let raw = if self.stays { self.env.kept.swap(self.raw, Ordering::AcqRel) } else { self.raw };
        if raw.is_null() {
            return;
        }
        // SAFETY: the transaction is ours and nothing borrows it any more; reset gives its snapshot up.
        unsafe { ffi::mdb_txn_reset(raw) };
        if !self.env.idle.leave(raw) {
            // SAFETY: it is ours still, and isn't used again.
            unsafe { ffi::mdb_txn_abort(raw) };
        }
    }
}

fn open_database(txn: *mut ffi::MDB_txn, name: &CStr, flags: u32) -> Result<Option<Database>> {
    let mut dbi = 0;
    // SAFETY: the transaction is live and the name NUL-terminated.
    let code = unsafe { ffi::mdb_dbi_open(txn, name.as_ptr(), flags, &raw mut dbi) };
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

impl WriteTxn<'_> {
    /// Opens a named database, made if absent.
    pub fn create(&mut self, name: &CStr) -> Result<Database> {
        open_database(self.raw, name, ffi::MDB_CREATE)?.ok_or(LmdbError(ffi::MDB_NOTFOUND))
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

/// A key and its value, borrowed from a transaction.
pub type Pair<'t> = (&'t [u8], &'t [u8]);

/// A position in a database.
#[derive(Debug)]
pub struct Cursor<'t> {
    raw: *mut ffi::MDB_cursor,
    transaction: PhantomData<&'t ()>,
}

impl<'t> Cursor<'t> {
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
