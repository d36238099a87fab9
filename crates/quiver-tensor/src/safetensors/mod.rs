//! The safetensors format: named tensors behind one header.
//!
//! ```text
//! header length (u64) | header: JSON, padded with spaces | data
//! ```
//! The header maps names to `{"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}`, offsets counted from the
//! start of the data, which the tensors cover without holes; `__metadata__` maps texts to texts.
//! <https://huggingface.co/docs/safetensors>

mod dtype;
mod read;
mod write;

pub use read::{Header, TensorEntry, parse, parse_header, parse_start};
pub use write::{Layout, header};

/// The key of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// The reference implementation refuses longer headers.
const LONGEST_HEADER: u64 = 100_000_000;

/// Bytes of the header's length.
const LENGTH: usize = 8;
