//! Embeddings: vectors of hashed n-grams, digests of texts, and the exact nearest rows of a column.
//!
//! Work above a threshold is divided among threads; results don't depend on how many.
#![deny(unsafe_code)]

mod error;
mod finite;
pub mod hashing;
pub mod nearest;
mod parallel;
pub mod search;
pub mod texts;
mod unfinished;
mod view;

pub use error::{Error, Result};
pub use finite::first_non_finite;
pub use unfinished::sweep;
