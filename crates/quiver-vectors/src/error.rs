//! The one error type of this crate.

/// Result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

/// Arguments that don't fit each other; nothing else can fail here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
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
