//! An environment: one file of LMDB's and the lock file beside it.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use lmdb_master_sys as ffi;

use super::error::{LmdbError, Result, check};
use super::snapshots::Snapshots;
use super::{Read, ReadTxn, WriteTxn, empty_stat};
use crate::catalog::flushed::Flushed;
use crate::catalog::lmdb_hooks;

/// How often a process that writes looks for readers that died in the middle of a read. As long as one is registered, no
/// page that was freed since can be used again, and the file grows by all that is written.
const READERS_LOOKED_AT: Duration = Duration::from_millis(100);

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
    pub(super) flushed: Option<Flushed>,
    pub(super) snapshots: Snapshots,
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
            snapshots: Snapshots::new(!options.read_only),
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A read transaction: a consistent snapshot of the last commit. About 0.1 us when one is idle.
    pub fn read(&self) -> Result<ReadTxn<'_>> {
        if let Some(raw) = self.snapshots.take_idle() {
            // SAFETY: `raw` was reset and is ours alone now.
            match check(unsafe { ffi::mdb_txn_renew(raw) }) {
                Ok(()) => return Ok(ReadTxn::new(self, raw)),
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
        Ok(ReadTxn::new(self, raw))
    }

    /// The same for a look-up. Dropped, it is kept for the next one, unless it was [ended](ReadTxn::end) or something is
    /// committed before: in a renewed one LMDB looks each database up by its name, which is a good part of finding out
    /// that there is no entry. As long as it is kept, no page can be used again that anybody has freed since, so it is to
    /// be let go soon.
    pub fn look(&self) -> Result<ReadTxn<'_>> {
        let txn = match self.take_kept() {
            Some(kept) if kept.id() == self.last_commit() => kept,
            // One that is behind is given up first, to be the one that is renewed.
            kept => {
                drop(kept);
                self.read()?
            }
        };
        Ok(txn.staying())
    }

    /// Gives the snapshot up that look-ups have kept. Called before each write of this process, at the end of a turn of
    /// the event loop, and once a second.
    pub fn let_go(&self) {
        drop(self.take_kept());
    }

    /// What was kept, from now on the caller's alone and not to stay.
    fn take_kept(&self) -> Option<ReadTxn<'_>> {
        self.snapshots.take_kept().map(|raw| ReadTxn::new(self, raw))
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
        Ok(WriteTxn::new(self, raw, guard))
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
        let mut stat = empty_stat();
        // SAFETY: `stat` is a valid place for the answer.
        unsafe { ffi::mdb_env_stat(self.raw, &raw mut stat) };
        u64::from(stat.ms_psize)
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        self.let_go();
        while let Some(raw) = self.snapshots.take_idle() {
            // SAFETY: idle transactions are ours alone; they end before the environment does.
            unsafe { ffi::mdb_txn_abort(raw) };
        }
        // SAFETY: every transaction borrows the environment, so none is open here.
        unsafe { ffi::mdb_env_close(self.raw) };
    }
}

/// A path as liblmdb takes it: bytes on Unix, UTF-8 on Windows.
fn c_path(path: &Path) -> Result<CString> {
    let whole = path.as_os_str().as_encoded_bytes();
    // On Windows a canonical path begins so, and then may have no slash, of which liblmdb adds one.
    let plain = whole.strip_prefix(br"\\?\").filter(|plain| cfg!(windows) && plain.get(1) == Some(&b':'));
    CString::new(plain.unwrap_or(whole)).map_err(|_| LmdbError(libc::EINVAL))
}
