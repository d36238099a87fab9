//! The real disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};
use crate::storage::{DirEntry, FileFacts, Storage, StorageFile};

/// The real disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

#[derive(Debug)]
struct DiskFile {
    file: File,
    path: PathBuf,
}

fn facts(metadata: &std::fs::Metadata) -> FileFacts {
    FileFacts {
        dev: metadata.dev(),
        ino: metadata.ino(),
        size: metadata.len(),
        allocated: metadata.blocks() * 512,
        mtime_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        ctime_ns: i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec()),
        mode: metadata.mode() & 0o7777,
        nlink: metadata.nlink(),
        is_dir: metadata.is_dir(),
        is_file: metadata.is_file(),
    }
}

impl Storage for Disk {
    fn create_new(&self, path: &Path, mode: u32) -> Result<Box<dyn StorageFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(mode | 0o200)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .during("creating", path)?;
        // Whatever the umask took away.
        file.set_permissions(std::fs::Permissions::from_mode(mode)).during("setting permissions of", path)?;
        Ok(Box::new(DiskFile { file, path: path.to_path_buf() }))
    }

    fn open_read(&self, path: &Path) -> Result<File> {
        File::open(path).during("opening", path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::rename(from, to).during("renaming", from)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        rename_new(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::hard_link(from, to).during("linking", to)
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path).during("removing", path)
    }

    fn create_dir(&self, path: &Path, mode: u32) -> Result<bool> {
        if path.is_dir() {
            return Ok(false);
        }
        if let Some(parent) = path.parent()
            && !parent.as_os_str().is_empty()
        {
            self.create_dir(parent, mode)?;
        }
        match std::fs::DirBuilder::new().mode(mode & 0o777).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(false),
            Err(error) => return Err(error).during("making the folder", path),
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            .during("setting permissions of", path)?;
        if let Some(parent) = path.parent()
            && !parent.as_os_str().is_empty()
        {
            self.sync_dir(parent)?;
        }
        Ok(true)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        File::open(path).and_then(|folder| folder.sync_all()).during("syncing the folder", path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.during("removing the folder", path),
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        let entries = std::fs::read_dir(path).during("listing", path)?;
        entries
            .map(|entry| {
                let entry = entry.during("listing", path)?;
                let is_dir = entry.file_type().during("listing", path)?.is_dir();
                Ok(DirEntry { name: entry.file_name(), is_dir })
            })
            .collect()
    }

    fn facts(&self, path: &Path) -> Result<FileFacts> {
        Ok(facts(&std::fs::symlink_metadata(path).during("looking at", path)?))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        std::fs::read(path).during("reading", path)
    }

    fn copy_or_reflink(&self, from: &Path, to: &Path, mode: u32) -> Result<()> {
        let mut source = File::open(from).during("opening", from)?;
        let mut target = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode | 0o200)
            .custom_flags(libc::O_NOFOLLOW)
            .open(to)
            .during("creating", to)?;
        let copied = (|| {
            if !reflink(&source, &target) {
                // std uses copy_file_range and sendfile where they work.
                std::io::copy(&mut source, &mut target)?;
            }
            target.set_permissions(std::fs::Permissions::from_mode(mode))?;
            target.sync_all()
        })();
        if copied.is_err() {
            let _ = std::fs::remove_file(to);
        }
        copied.during("copying", to)
    }
}

impl StorageFile for DiskFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).during("writing", &self.path)
    }

    fn sync(&mut self) -> Result<()> {
        self.file.sync_all().during("syncing", &self.path)
    }

    fn lock(&mut self) -> Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error).during("locking", &self.path),
        }
    }

    fn facts(&self) -> Result<FileFacts> {
        Ok(facts(&self.file.metadata().during("looking at", &self.path)?))
    }
}

#[cfg(target_os = "linux")]
fn rename_new(from: &Path, to: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            link_then_unlink(from, to)
        }
        other => other.during("publishing", to),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename_new(from: &Path, to: &Path) -> Result<()> {
    link_then_unlink(from, to)
}

fn link_then_unlink(from: &Path, to: &Path) -> Result<()> {
    std::fs::hard_link(from, to).during("publishing", to)?;
    std::fs::remove_file(from).during("removing", from)
}

#[cfg(target_os = "linux")]
fn reflink(source: &File, target: &File) -> bool {
    rustix::fs::ioctl_ficlone(target, source).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn reflink(_source: &File, _target: &File) -> bool {
    false
}

/// Makes a file of `bytes` zeros that really takes its blocks, so that using it later can't find the disk full.
/// A file that is there already and long enough is left as it is.
pub fn preallocate(path: &Path, bytes: u64, mode: u32) -> Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(mode)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .during("creating", path)?;
    allocate(&file, bytes).map_err(|source| Error { op: "allocating", path: path.to_path_buf(), source })?;
    Ok(())
}

/// Extends a file to `bytes`, with blocks.
pub(crate) fn allocate(file: &File, bytes: u64) -> std::io::Result<()> {
    if file.metadata()?.len() >= bytes {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => return Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(error.into()),
    }
    write_zeros(file, bytes)
}

/// Where the file system can't allocate: writing does.
fn write_zeros(file: &File, bytes: u64) -> std::io::Result<()> {
    use std::os::unix::fs::FileExt;
    let zeros = vec![0; 1 << 16];
    let mut at = file.metadata()?.len();
    while at < bytes {
        let length = zeros.len().min((bytes - at) as usize);
        file.write_all_at(&zeros[..length], at)?;
        at += length as u64;
    }
    Ok(())
}
