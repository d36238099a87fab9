//! The operating system's edge: everything that touches files, locks, maps or the process itself. What differs between
//! systems is in `os`, one body each; Linux is tested, macOS and Windows are kept compiling.
//!
//! Nothing here knows what the bytes mean.

#![deny(unsafe_code)]

pub mod crew;
mod digest;
mod disk;
mod error;
mod faulty;
mod identity;
mod lock;
mod map;
mod os;
mod power_cut;
mod probe;
mod publish;
mod read_back;
mod sigbus;
mod storage;
mod table;

pub use digest::{CHUNK, ChunkSums, Digester, Digests, Sha256, digest_of_sums, hex, sum64, sum128};
pub use disk::{Disk, check_writable, open_or_create, preallocate};
pub use error::{Error, ErrorKind, Result};
pub use faulty::{Faulty, Op};
pub use identity::{boot_id, process_identity, random_u64};
pub use lock::RangeLock;
pub use map::{Advice, Mapping};
pub use os::{file_of_descriptor, populate, read_at, read_exact_at, try_lock_file, write_all_at};
pub use probe::{FsProbe, file_system, free_bytes};
pub use publish::{Published, Sealed, TempObject, hold};
pub use read_back::sums_of_file;
pub use storage::{DirEntry, FileFacts, Storage, StorageFile};
pub use table::SharedTable;
