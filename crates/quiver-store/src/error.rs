//! The one error of the store: a stable code, a sentence, and what it concerns. Hints and remedies in words are
//! made by the facade from the code.

use std::path::{Path, PathBuf};

use crate::catalog::lmdb::LmdbError;

/// What kind of failure; each has a stable name that reaches users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// An argument is not what the call takes.
    BadOption,
    /// A key can't be stored.
    BadKey,
    /// A namespace name can't be used.
    BadNamespace,
    /// It is not there, and this cache may not make it.
    NotFound,
    /// Stored bytes are not what they should be.
    Corrupt,
    /// Stored bytes differ from their digest.
    ChecksumMismatch,
    /// The store is closed.
    Closed,
    /// The cache was opened read-only.
    ReadOnly,
    /// Read-only is not possible while others may write.
    ReadOnlyLive,
    /// The disk or a quota is full.
    DiskFull,
    /// The operating system forbids it.
    Permission,
    /// The value is larger than what its namespace may hold.
    TooLarge,
    /// Too many values are in use as views at once.
    TooManyMappings,
    /// A lock was not to be had in time.
    LockTimeout,
    /// Others have the cache open.
    Busy,
    /// A namespace is recorded with other settings.
    SettingsDiffer,
    /// The cache was written by a newer version.
    FormatVersion,
    /// Another C library or architecture has the catalog open.
    ForeignLibc,
    /// A cache inside a cache.
    NestedRoot,
    /// A second copy of the library in this process.
    DuplicateCopy,
    /// The root folder is gone or was replaced.
    RootVanished,
    /// The caller gave up.
    Aborted,
    /// Anything else the operating system refused.
    Io,
    /// A defect of this library.
    Internal,
}

impl Code {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadOption => "ERR_QUIVER_BAD_OPTION",
            Self::BadKey => "ERR_QUIVER_BAD_KEY",
            Self::BadNamespace => "ERR_QUIVER_BAD_NAMESPACE",
            Self::NotFound => "ERR_QUIVER_NOT_FOUND",
            Self::Corrupt => "ERR_QUIVER_CORRUPT",
            Self::ChecksumMismatch => "ERR_QUIVER_CHECKSUM_MISMATCH",
            Self::Closed => "ERR_QUIVER_CLOSED",
            Self::ReadOnly => "ERR_QUIVER_READ_ONLY",
            Self::ReadOnlyLive => "ERR_QUIVER_READ_ONLY_LIVE",
            Self::DiskFull => "ERR_QUIVER_DISK_FULL",
            Self::Permission => "ERR_QUIVER_PERMISSION",
            Self::TooLarge => "ERR_QUIVER_TOO_LARGE",
            Self::TooManyMappings => "ERR_QUIVER_TOO_MANY_MAPPINGS",
            Self::LockTimeout => "ERR_QUIVER_LOCK_TIMEOUT",
            Self::Busy => "ERR_QUIVER_BUSY",
            Self::SettingsDiffer => "ERR_QUIVER_SETTINGS_DIFFER",
            Self::FormatVersion => "ERR_QUIVER_FORMAT_VERSION",
            Self::ForeignLibc => "ERR_QUIVER_FOREIGN_LIBC",
            Self::NestedRoot => "ERR_QUIVER_NESTED_ROOT",
            Self::DuplicateCopy => "ERR_QUIVER_DUPLICATE_COPY",
            Self::RootVanished => "ERR_QUIVER_ROOT_VANISHED",
            Self::Aborted => "ERR_QUIVER_ABORTED",
            Self::Io => "ERR_QUIVER_IO",
            Self::Internal => "ERR_QUIVER_INTERNAL",
        }
    }
}

/// A failure. Cloneable, so that one cause can answer every operation of a group.
#[derive(Debug, Clone)]
pub struct Error {
    /// The kind.
    pub code: Code,
    /// One sentence without a final stop.
    pub message: String,
    /// The key it concerns.
    pub key: Option<String>,
    /// The file or folder it concerns.
    pub path: Option<PathBuf>,
}

/// What the store returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of a kind with its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), key: None, path: None }
    }

    /// The same, about a file.
    #[must_use]
    pub fn at(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().to_path_buf());
        self
    }

    /// The same, about a key.
    #[must_use]
    pub fn about(mut self, key: &[u8]) -> Self {
        self.key = Some(String::from_utf8_lossy(key).into_owned());
        self
    }

    /// Whether it leaves the transaction unusable in which it arose, rather than concerning its request alone.
    pub(crate) fn spoils_transaction(&self) -> bool {
        matches!(self.code, Code::DiskFull | Code::Io | Code::Internal | Code::Corrupt)
    }

    /// A refusal of the operating system while doing `what`.
    pub fn os(what: &str, path: &Path, source: &std::io::Error) -> Self {
        Self::new(code_of(source), format!("{what} failed: {source}")).at(path)
    }
}

fn code_of(source: &std::io::Error) -> Code {
    match quiver_io::ErrorKind::of(source) {
        quiver_io::ErrorKind::DiskFull => Code::DiskFull,
        quiver_io::ErrorKind::PermissionDenied => Code::Permission,
        quiver_io::ErrorKind::ReadOnly => Code::ReadOnly,
        // Somebody cut a file short between the look at its size and the reading.
        _ if source.kind() == std::io::ErrorKind::UnexpectedEof => Code::Corrupt,
        _ => Code::Io,
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if let Some(key) = &self.key {
            write!(f, " (key {key:?})")?;
        }
        if let Some(path) = &self.path {
            write!(f, " ({})", path.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<LmdbError> for Error {
    fn from(error: LmdbError) -> Self {
        let code = match error.os_error() {
            Some(number) => code_of(&std::io::Error::from_raw_os_error(number)),
            None if error.is_full() => Code::DiskFull,
            None if error.is_corrupt() => Code::Corrupt,
            None => Code::Internal,
        };
        Self::new(code, format!("the catalog refused: {error}"))
    }
}

impl From<quiver_io::Error> for Error {
    fn from(error: quiver_io::Error) -> Self {
        Self::os(error.op, &error.path, &error.source)
    }
}
