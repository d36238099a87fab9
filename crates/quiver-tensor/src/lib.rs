//! Tensor files as bytes: element types, layouts, Arrow, npy, pt, safetensors, zip archives; encode, check, gather,
//! summarise.
//!
//! Everything works on byte slices and nothing opens a file. Whatever a header claims is untrusted: offsets, counts
//! and products are checked against the real length before anything is allocated or believed, and no input panics.
#![deny(unsafe_code)]

pub mod arrow;
mod compact;
mod dtype;
mod error;
mod float8;
mod gather;
mod layout;
pub mod npy;
pub mod pt;
pub mod safetensors;
mod summary;
mod swap;
pub mod zip;

pub use compact::compact;
pub use dtype::DType;
pub use error::{Error, ErrorKind, Result};
pub use gather::{Rows, gather_located, gather_rows};
pub use layout::{ALIGNMENT, NewTensor, byte_length, element_count, extent};
pub use summary::{Summary, Tally};
pub use swap::swap_bytes;
