//! Files of `torch.save`: nested Python values with tensors, as a pickle beside the tensors' bytes.
//!
//! A pickle is a program that may call anything. This reader runs nothing: it knows the instructions that
//! `torch.load(weights_only=True)` knows, turns the few calls that plain checkpoints make into values by itself, and
//! refuses everything else by name. What it builds is a graph, because objects may be shared and contain themselves.
//!
//! ```text
//! zip archive: <root>/data.pkl  <root>/byteorder  <root>/version  <root>/data/<key> …
//! legacy:      pickles: magic, version, system, value, keys | per key: number of elements (i64), elements
//! ```

mod calls;
mod container;
mod global;
mod graph;
mod legacy;
mod machine;
mod storage;
mod wire;

pub use container::{Container, open};
pub use graph::{Graph, Node, NodeId, Storage, Tensor};
pub use legacy::{LegacyFile, is_legacy, parse_legacy};
pub use machine::parse;
pub use wire::encode;
