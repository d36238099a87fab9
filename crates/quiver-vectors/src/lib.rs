//! Arithmetic on embeddings: vectors of hashed n-grams, and the exact nearest rows of a table.
//!
//! Everything works on slices. Work above a threshold is divided among threads; results don't depend on how many.
#![deny(unsafe_code)]

mod error;
pub mod hashing;
pub mod nearest;
mod parallel;

pub use error::{Error, Result};
