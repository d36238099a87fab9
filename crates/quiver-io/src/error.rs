//! What the operating system refused, while doing what, to which file.

use std::path::{Path, PathBuf};

use crate::os;

/// A refusal.
#[derive(Debug, thiserror::Error)]
#[error("{op} {}: {source}", path.display())]
pub struct Error {
    /// What was being done: "renaming", "syncing", …
    pub op: &'static str,
    /// To which file.
    pub path: PathBuf,
    /// What the system said.
    pub source: std::io::Error,
}

/// Kinds that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// There is no such file.
    NotFound,
    /// There is one already.
    AlreadyExists,
    /// Not allowed.
    PermissionDenied,
    /// The file system is read-only.
    ReadOnly,
    /// Disk or quota full.
    DiskFull,
    /// Too many files are open.
    TooManyFiles,
    /// Anything else.
    Other,
}

/// What this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::of(&self.source)
    }
}

impl ErrorKind {
    /// The kind of a system error.
    pub fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound,
            std::io::ErrorKind::AlreadyExists => Self::AlreadyExists,
            std::io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ if os::has_too_many_files(error) => Self::TooManyFiles,
            _ => Self::Other,
        }
    }
}

/// Adds what was being done to a system error.
pub(crate) trait Context<T> {
    fn during(self, op: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Context<T> for std::result::Result<T, E> {
    fn during(self, op: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error { op, path: path.to_path_buf(), source: source.into() })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn system_errors_have_kinds() {
        let kind = |errno| {
            let source = std::io::Error::from_raw_os_error(errno);
            Error { op: "testing", path: PathBuf::from("file"), source }.kind()
        };
        for (errno, expected) in [
            (libc::ENOENT, ErrorKind::NotFound),
            (libc::EEXIST, ErrorKind::AlreadyExists),
            (libc::EACCES, ErrorKind::PermissionDenied),
            (libc::EPERM, ErrorKind::PermissionDenied),
            (libc::EROFS, ErrorKind::ReadOnly),
            (libc::ENOSPC, ErrorKind::DiskFull),
            (libc::EDQUOT, ErrorKind::DiskFull),
            (libc::EMFILE, ErrorKind::TooManyFiles),
            (libc::EIO, ErrorKind::Other),
        ] {
            assert_eq!(kind(errno), expected);
        }
    }
}
