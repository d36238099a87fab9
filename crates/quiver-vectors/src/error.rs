//! The one error type of this crate.

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The dataset folder, or the system under it, refused.
    #[error(transparent)]
    Dataset(#[from] quiver_dataset::Error),
    /// A column whose rows are not vectors of float32, float16 or int8.
    #[error("column {0:?} doesn't hold one vector of float32, float16 or int8 a row")]
    NotVectors(String),
    /// Vectors of no elements, or of more than can be counted.
    #[error("a vector has 1 to {limit} elements, not {found}")]
    Dimension {
        /// The most there may be.
        limit: usize,
        /// What was asked for.
        found: usize,
    },
    /// A slice is not as long as the counts beside it say.
    #[error("{what} must hold {expected} values, not {found}")]
    Length {
        /// Which slice.
        what: &'static str,
        /// How many it needs.
        expected: usize,
        /// How many it has.
        found: usize,
    },
    /// A range of n-gram lengths that is empty or too long.
    #[error("n-grams of {what} have 1 to {limit} of them, and the shortest come first")]
    Grams {
        /// Words or characters.
        what: &'static str,
        /// The longest there may be.
        limit: usize,
    },
}

impl From<quiver_tensor::Error> for Error {
    fn from(error: quiver_tensor::Error) -> Self {
        Self::Dataset(error.into())
    }
}

impl Error {
    /// The stable name of the kind.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Dataset(error) => error.code(),
            Self::NotVectors(_) => "ERR_QUIVER_UNSUPPORTED",
            Self::Dimension { .. } | Self::Length { .. } | Self::Grams { .. } => "ERR_QUIVER_BAD_VALUE",
        }
    }

    /// The file or folder concerned.
    pub fn path(&self) -> Option<&std::path::Path> {
        match self {
            Self::Dataset(error) => error.path(),
            _ => None,
        }
    }
}
