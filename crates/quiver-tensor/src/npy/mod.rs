//! The npy format: one array in one file.
//!
//! ```text
//! 93 "NUMPY" | major minor | header length (v1: u16, v2 and v3: u32) | header text | data
//! ```
//! The header text is a Python dict literal with the keys `descr`, `fortran_order` and `shape`.

mod descr;
mod literal;
mod read;
mod write;

pub use read::{Header, claimed_length, parse, parse_header, parse_start};
pub use write::header;

/// The first bytes of every npy file.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";
