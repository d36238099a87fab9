//! Arrow IPC, as streams (what Hugging Face datasets are made of) and as files.
//!
//! ```text
//! message := ff ff ff ff | u32 length of the metadata | metadata, padded | body
//! stream  := schema message, record batch messages, ff ff ff ff 00 00 00 00
//! file    := "ARROW1" 00 00 | stream | footer | u32 length of the footer | "ARROW1"
//! ```
//! Metadata are flatbuffers, whose tables come from `arrow-ipc`; bodies are read and written here, so that columns
//! stay where they lie. Source: <https://arrow.apache.org/docs/format/Columnar.html>.
//!
//! [`read`] yields [`Batch`]es of [`Array`]s, which say where in the file each buffer lies; [`values`] tells how the
//! values of one can be used as a tensor; [`tensors`] does both for whole files of tensors. [`Growing`] appends rows of arrays of any type, and [`write`](mod@write)
//! frames what has grown.

mod array;
mod bits;
pub mod build;
pub mod features;
mod growing;
mod layout;
mod offsets;
mod read;
pub mod tensors;
pub mod values;
pub mod write;

pub use array::{Array, Batch};
pub use arrow_schema::{DataType, Field, Fields, Schema};
pub use bits::{count_ones, expand};
pub use growing::{Extent, Growing, Piece, Sink, extent, fixed_extent, largest_buffer};
pub use layout::{dtype_of, storage_of};
pub use offsets::{Offsets, Width};
pub use read::{Stream, read};

/// Bodies and buffers are written at multiples of this.
pub const ALIGNMENT: usize = 64;

/// The first and the last bytes of the file format.
pub const MAGIC: &[u8; 6] = b"ARROW1";
