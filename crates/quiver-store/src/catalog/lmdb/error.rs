//! What liblmdb and the system under it refuse.

use std::ffi::CStr;

use lmdb_master_sys as ffi;

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

pub(super) fn check(code: i32) -> Result<()> {
    if code == ffi::MDB_SUCCESS { Ok(()) } else { Err(LmdbError(code)) }
}

pub(super) fn found(code: i32) -> Result<bool> {
    match code {
        ffi::MDB_SUCCESS => Ok(true),
        ffi::MDB_NOTFOUND => Ok(false),
        other => Err(LmdbError(other)),
    }
}
