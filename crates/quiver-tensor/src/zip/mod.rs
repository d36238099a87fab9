//! Zip archives, which npz and pt files are.
//!
//! The central directory is what counts: local headers may leave sizes open. Members are stored or deflated; stored
//! ones are written at multiples of 64 bytes, so that they can be viewed in a mapped archive.

mod directory;
mod stream;
mod write;

pub use directory::{Member, members};
pub use flate2::Crc;
pub use stream::{Deflater, Inflater};
pub use write::{directory, local_header};

const LOCAL_SIGNATURE: [u8; 4] = *b"PK\x03\x04";
const CENTRAL_SIGNATURE: [u8; 4] = *b"PK\x01\x02";
const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const ZIP64_END_SIGNATURE: [u8; 4] = *b"PK\x06\x06";
const ZIP64_LOCATOR_SIGNATURE: [u8; 4] = *b"PK\x06\x07";

/// Lengths without signature-dependent parts.
const LOCAL_LENGTH: usize = 30;
const CENTRAL_LENGTH: usize = 46;
const END_LENGTH: usize = 22;
const ZIP64_LOCATOR_LENGTH: usize = 20;
const ZIP64_END_LENGTH: usize = 56;

/// Id of the extra field that holds 64-bit sizes and positions.
const ZIP64_EXTRA: u16 = 1;

/// In a 32- or 16-bit field: look at the zip64 part instead.
const SEE_ZIP64: u32 = u32::MAX;
const SEE_ZIP64_COUNT: u16 = u16::MAX;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Flag: the name is UTF-8.
const UTF8_FLAG: u16 = 1 << 11;
