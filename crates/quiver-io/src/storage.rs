//! The seam through which the store touches files, so that failures and power cuts can be simulated.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use crate::error::Result;

/// What is known of a file without reading it. Symbolic links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes on disk.
    pub allocated: u64,
    /// Last change of the contents, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Last change of the facts, nanoseconds since 1970.
    pub ctime_ns: i128,
    /// Permission bits.
    pub mode: u32,
    /// Names.
    pub nlink: u64,
    /// A folder.
    pub is_dir: bool,
    /// A regular file, not a link, device or pipe.
    pub is_file: bool,
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name.
    pub name: OsString,
    /// A folder.
    pub is_dir: bool,
}

/// Where files are.
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// Makes a file that must not exist, with exactly these permission bits.
    fn create_new(&self, path: &Path, mode: u32) -> Result<Box<dyn StorageFile>>;
    /// Opens a file to read.
    fn open_read(&self, path: &Path) -> Result<File>;
    /// Renames, replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Renames; `AlreadyExists` when something is there.
    fn rename_new(&self, from: &Path, to: &Path) -> Result<()>;
    /// Gives a file another name, which must be free.
    fn link(&self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a name.
    fn unlink(&self, path: &Path) -> Result<()>;
    /// Makes a folder with its missing parents and syncs those that were there; whether it was made.
    fn create_dir(&self, path: &Path, mode: u32) -> Result<bool>;
    /// Makes names in a folder durable.
    fn sync_dir(&self, path: &Path) -> Result<()>;
    /// Removes a folder with all it holds; none is fine.
    fn remove_dir_all(&self, path: &Path) -> Result<()>;
    /// Names in a folder.
    fn list(&self, path: &Path) -> Result<Vec<DirEntry>>;
    /// Facts of a file.
    fn facts(&self, path: &Path) -> Result<FileFacts>;
    /// The whole of a small file.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;
    /// Copies a file, sharing its blocks where the file system can; the new file is synced.
    fn copy_or_reflink(&self, from: &Path, to: &Path, mode: u32) -> Result<()>;
}

/// A file being written.
pub trait StorageFile: Send + std::fmt::Debug {
    /// Appends.
    fn write_all(&mut self, bytes: &[u8]) -> Result<()>;
    /// Makes contents and facts durable.
    fn sync(&mut self) -> Result<()>;
    /// Locks the file until it is dropped; false when somebody else has.
    fn lock(&mut self) -> Result<bool>;
    /// Facts.
    fn facts(&self) -> Result<FileFacts>;
}
