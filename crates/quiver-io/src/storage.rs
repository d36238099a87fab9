//! The seam through which the store touches files, so that failures and power cuts can be simulated.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use crate::error::{ErrorKind, Result};
use crate::os;

/// What is known of a file without reading it. Symbolic links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Device number; the serial number of a volume on Windows.
    pub dev: u64,
    /// Inode number; the index of a file on Windows.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes on disk.
    pub allocated: u64,
    /// Last change of the contents, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Last change of the facts, nanoseconds since 1970.
    pub ctime_ns: i128,
    /// Permission bits, as far as the system keeps them.
    pub mode: u32,
    /// Names.
    pub nlink: u64,
    /// A folder.
    pub is_dir: bool,
    /// A regular file, not a link, device or pipe.
    pub is_file: bool,
}

impl FileFacts {
    /// Whether the file has the permission bits that it would have been made with, as far as the system keeps them.
    pub fn has_mode(&self, mode: u32) -> bool {
        os::is_mode(self.mode, mode)
    }
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name.
    pub name: OsString,
    /// A folder.
    pub is_dir: bool,
}

/// Where files are. Every call blocks until the system has answered. None is durable by itself, except where it
/// says so: contents are by [`StorageFile::sync`], names by [`Storage::sync_dir`] on their folder.
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// Makes a file with exactly these permission bits, whatever the umask. `AlreadyExists` when there is anything
    /// of that name, a symbolic link included.
    fn create_new(&self, path: &Path, mode: u32) -> Result<Box<dyn StorageFile>>;
    /// Opens a file to go on behind its first `length` bytes; what lies behind them is cut off. `Other` when it has
    /// fewer, and for anything that is no regular file.
    fn reopen(&self, path: &Path, length: u64) -> Result<Box<dyn StorageFile>>;
    /// Opens a file to read; a symbolic link in its place is an error.
    fn open_read(&self, path: &Path) -> Result<File>;
    /// Renames, replacing what is there: whoever opens `to` meanwhile gets the old file or the new one.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Renames; `AlreadyExists` when something is there. Where the system has no such call, `from` may stay as a
    /// second name when the process dies in between.
    fn rename_new(&self, from: &Path, to: &Path) -> Result<()>;
    /// Swaps two names on one file system, whatever they name: whoever opens either meanwhile gets one or the other.
    /// Where the system has no such call it takes three renames, between which `to` is missing for a moment.
    fn exchange(&self, from: &Path, to: &Path) -> Result<()>;
    /// Gives a file another name, which must be free.
    fn link(&self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a name; `NotFound` when there is none. Who has the file open or mapped keeps it.
    fn unlink(&self, path: &Path) -> Result<()>;
    /// Removes a name, if it is there.
    fn unlink_if_there(&self, path: &Path) -> Result<()> {
        match self.unlink(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
    /// Makes a folder and its missing parents with these permission bits, durably: each parent is synced, up to
    /// the first that was there. Whether the folder was made.
    fn create_dir(&self, path: &Path, mode: u32) -> Result<bool>;
    /// Makes names in a folder durable.
    fn sync_dir(&self, path: &Path) -> Result<()>;
    /// Removes a folder with all it holds; none is fine.
    fn remove_dir_all(&self, path: &Path) -> Result<()>;
    /// Names in a folder, in no order; what comes or goes meanwhile may be in it or not.
    fn list(&self, path: &Path) -> Result<Vec<DirEntry>>;
    /// Facts of a file; of a symbolic link itself, not of what it names.
    fn facts(&self, path: &Path) -> Result<FileFacts>;
    /// The whole of a small file, in memory.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;
    /// Copies a file to a name that must be free, sharing its blocks where the file system can. The copy's contents
    /// are durable; when copying fails, nothing stays.
    fn copy_or_reflink(&self, from: &Path, to: &Path, mode: u32) -> Result<()>;
}

/// A file being written.
pub trait StorageFile: Send + std::fmt::Debug {
    /// Appends all of it. After an error the file may hold a part.
    fn write_all(&mut self, bytes: &[u8]) -> Result<()>;
    /// Replaces bytes that are there; the next ones are still appended at the end.
    fn replace(&mut self, at: u64, bytes: &[u8]) -> Result<()>;
    /// Has the system begin to write out what was appended, without waiting for it: what syncs later waits for less.
    fn start_writing(&mut self);
    /// Makes contents and facts durable. After an error they may be lost even if a later sync succeeds: such a file
    /// must not be acknowledged.
    fn sync(&mut self) -> Result<()>;
    /// Locks the file, without waiting, until it is dropped; false when somebody else has it.
    fn lock(&mut self) -> Result<bool>;
    /// Facts of the file as it is now; no names (`nlink` 0) once it was unlinked.
    fn facts(&self) -> Result<FileFacts>;
}
