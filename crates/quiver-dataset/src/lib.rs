//! Hugging Face dataset folders, as `save_to_disk` writes and `load_from_disk` reads them.
//!
//! ```text
//! my_data/data-00000-of-00003.arrow …   Arrow streams, rows one after the other
//! my_data/state.json                    which files they are; a digest and the rows of each when written here
//! my_data/dataset_info.json             features
//! my_dict/dataset_dict.json             names of splits, each a folder like the one above
//! ```
//!
//! [`Dataset`] maps the files and says where values lie; [`FolderWriter`] makes a folder row by row and publishes it
//! whole.
#![deny(unsafe_code)]

mod column;
mod dataset;
mod error;
mod files;
mod gather;
mod writer;

pub use column::{Block, Column, Kind};
pub use dataset::{Dataset, Opened, Shard, open};
pub use error::{Error, Result};
pub use writer::{Finished, FolderWriter, Kept, ShardFacts, Sharding, WriteOptions, sweep};
