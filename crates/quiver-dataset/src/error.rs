//! What can go wrong with a dataset folder.

use std::path::{Path, PathBuf};

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] quiver_io::Error),
    /// Bytes are not what they should be, or arguments don't fit them.
    #[error(transparent)]
    Tensor(#[from] quiver_tensor::Error),
    /// The same, in this file.
    #[error("{source}")]
    In {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: quiver_tensor::Error,
    },
    /// There is nothing there.
    #[error("there is no dataset at {}", .0.display())]
    NotFound(PathBuf),
    /// A folder that holds no dataset, and why.
    #[error("{} is no dataset: {reason}", path.display())]
    NotADataset {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A file of a dataset contradicts another or was changed.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file no longer has the digest that it was written with.
    #[error("{} has another digest than it was written with", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
    },
    /// There is something already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// There is no column of this name.
    #[error("there is no column {0:?}")]
    NoColumn(String),
    /// The column can't be used like this.
    #[error("column {column:?} {reason}")]
    Column {
        /// Its name.
        column: String,
        /// Why.
        reason: &'static str,
    },
    /// An option that can't be taken.
    #[error("{0}")]
    BadOption(String),
    /// A defect of this library.
    #[error("{0}")]
    Internal(&'static str),
    /// The caller gave up.
    #[error("the operation was aborted")]
    Aborted,
}

impl Error {
    /// The stable name of the kind.
    pub fn code(&self) -> &'static str {
        use quiver_io::ErrorKind as Io;
        use quiver_tensor::ErrorKind as Tensor;
        match self {
            Self::Io(error) => match error.kind() {
                Io::NotFound => "ERR_QUIVER_NOT_FOUND",
                Io::PermissionDenied => "ERR_QUIVER_PERMISSION",
                Io::ReadOnly => "ERR_QUIVER_READ_ONLY",
                Io::DiskFull => "ERR_QUIVER_DISK_FULL",
                _ => "ERR_QUIVER_IO",
            },
            Self::Tensor(source) | Self::In { source, .. } => match source.kind() {
                Tensor::Corrupt => "ERR_QUIVER_CORRUPT",
                Tensor::Unsupported => "ERR_QUIVER_UNSUPPORTED",
                Tensor::BadValue => "ERR_QUIVER_BAD_VALUE",
                Tensor::OutOfRange => "ERR_QUIVER_OUT_OF_RANGE",
            },
            Self::NotFound(_) | Self::NotADataset { .. } | Self::NoColumn(_) => "ERR_QUIVER_NOT_FOUND",
            Self::Damaged { .. } => "ERR_QUIVER_CORRUPT",
            Self::Mismatch { .. } => "ERR_QUIVER_CHECKSUM_MISMATCH",
            Self::Column { .. } => "ERR_QUIVER_UNSUPPORTED",
            Self::Exists(_) | Self::BadOption(_) => "ERR_QUIVER_BAD_OPTION",
            Self::Internal(_) => "ERR_QUIVER_INTERNAL",
            Self::Aborted => "ERR_QUIVER_ABORTED",
        }
    }

    /// The file or folder concerned.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io(error) => Some(&error.path),
            Self::In { path, .. }
            | Self::NotFound(path)
            | Self::NotADataset { path, .. }
            | Self::Damaged { path, .. }
            | Self::Mismatch { path }
            | Self::Exists(path) => Some(path),
            _ => None,
        }
    }

    /// The same about bytes of a file.
    pub(crate) fn within(path: &Path) -> impl Fn(quiver_tensor::Error) -> Self {
        move |source| Self::In { path: path.to_path_buf(), source }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), reason: reason.into() }
    }
}
