//! The catalog and the values beside it. ARCHITECTURE.md tells how the parts fit; `store::Store` is the face.

#![deny(unsafe_code)]

pub mod adopt;
pub mod catalog;
pub mod engine;
pub mod error;
pub mod eviction;
pub mod flights;
pub mod heat;
pub mod holds;
mod housekeeper;
pub mod ids;
pub mod index_json;
pub mod listing;
pub mod maintenance;
mod names;
pub mod open_values;
pub mod order;
pub mod path_leases;
pub mod pool;
pub mod publisher;
pub mod reader;
pub mod removals;
pub mod repair;
pub mod root;
mod root_files;
pub mod session;
pub mod settings;
pub mod stamps;
pub mod store;
pub mod sweep;
pub mod victims;
pub mod writer;

pub use error::{Code, Error, Result};
pub use store::{OpenOptions, Store};
