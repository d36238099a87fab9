//! The real disk.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::os;
use crate::storage::{DirEntry, FileFacts, Storage, StorageFile};

/// Bytes of one call. With more, Linux looks for large pieces of memory to keep them in, and where it has to make those
/// first, as in virtual machines, the whole write takes several times as long.
const WRITTEN_AT_ONCE: usize = 32 << 10;

/// The real disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

#[derive(Debug)]
struct DiskFile {
    file: File,
    path: PathBuf,
}

impl Storage for Disk {
    fn create_new(&self, path: &Path, mode: u32) -> Result<Box<dyn StorageFile>> {
        let file = os::create_new(path, mode).during("creating", path)?;
        // Whatever the umask took away.
        os::set_mode(&file, mode).during("setting permissions of", path)?;
        Ok(Box::new(DiskFile { file, path: path.to_path_buf() }))
    }

    fn reopen(&self, path: &Path, length: u64) -> Result<Box<dyn StorageFile>> {
        let open = || {
            let mut file = os::open(OpenOptions::new().read(true).write(true), path)?;
            let facts = file.metadata()?;
            if !facts.is_file() || facts.len() < length {
                return Err(std::io::Error::other("the file is shorter than what is known of it"));
            }
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            Ok(file)
        };
        let file = open().during("reopening", path)?;
        Ok(Box::new(DiskFile { file, path: path.to_path_buf() }))
    }

    fn open_read(&self, path: &Path) -> Result<File> {
        os::open(OpenOptions::new().read(true), path).during("opening", path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        os::rename(from, to).during("renaming", from)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        rename_new(from, to)
    }

    fn exchange(&self, from: &Path, to: &Path) -> Result<()> {
        match os::exchange(from, to) {
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => exchange_by_renames(from, to),
            other => other.during("exchanging", to),
        }
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::hard_link(from, to).during("linking", to)
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        os::unlink(path).during("removing", path)
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
        match os::create_dir(path, mode) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => {
                // Made by somebody else just now, who may not have come to sync it.
                self.sync_parent(path)?;
                return Ok(false);
            }
            Err(error) => return Err(error).during("making the folder", path),
        }
        os::set_dir_mode(path, mode).during("setting permissions of", path)?;
        self.sync_parent(path)?;
        Ok(true)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        os::sync_dir(path).during("syncing the folder", path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.during("removing the folder", path),
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        let entries = std::fs::read_dir(path).during("listing", path)?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.during("listing", path)?;
            match entry.file_type() {
                Ok(kind) => found.push(DirEntry { name: entry.file_name(), is_dir: kind.is_dir() }),
                // Gone since it was listed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).during("listing", path),
            }
        }
        Ok(found)
    }

    fn facts(&self, path: &Path) -> Result<FileFacts> {
        os::facts_at(path).during("looking at", path)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        std::fs::read(path).during("reading", path)
    }

    fn copy_or_reflink(&self, from: &Path, to: &Path, mode: u32) -> Result<()> {
        let mut source = File::open(from).during("opening", from)?;
        let mut target = os::create_new(to, mode).during("creating", to)?;
        let copied = (|| {
            if !os::reflink(&source, &target) {
                // std uses copy_file_range and sendfile where they work.
                std::io::copy(&mut source, &mut target)?;
            }
            os::set_mode(&target, mode)?;
            target.sync_all()
        })();
        if copied.is_err() {
            let _ = std::fs::remove_file(to);
        }
        copied.during("copying", to)
    }
}

impl Disk {
    fn sync_parent(self, path: &Path) -> Result<()> {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.sync_dir(parent),
            _ => Ok(()),
        }
    }
}

impl StorageFile for DiskFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        bytes
            .chunks(WRITTEN_AT_ONCE)
            .try_for_each(|piece| self.file.write_all(piece))
            .during("writing", &self.path)
    }

    fn replace(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        os::write_all_at(&self.file, bytes, at).during("writing", &self.path)
    }

    fn start_writing(&mut self) {
        os::start_writing(&self.file);
    }

    fn sync(&mut self) -> Result<()> {
        self.file.sync_all().during("syncing", &self.path)
    }

    fn lock(&mut self) -> Result<bool> {
        os::try_lock_file(&self.file).during("locking", &self.path)
    }

    fn facts(&self) -> Result<FileFacts> {
        os::facts(&self.file).during("looking at", &self.path)
    }
}

fn rename_new(from: &Path, to: &Path) -> Result<()> {
    match os::rename_new(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => link_then_unlink(from, to),
        other => other.during("publishing", to),
    }
}

fn link_then_unlink(from: &Path, to: &Path) -> Result<()> {
    std::fs::hard_link(from, to).during("publishing", to)?;
    std::fs::remove_file(from).during("removing", from)
}

fn exchange_by_renames(from: &Path, to: &Path) -> Result<()> {
    let mut aside = from.as_os_str().to_owned();
    aside.push(".aside");
    std::fs::rename(to, &aside).during("renaming", to)?;
    std::fs::rename(from, to).during("renaming", from)?;
    std::fs::rename(&aside, from).during("renaming", Path::new(&aside))
}

/// Makes a file of `bytes` zeros that really takes its blocks, so that using it later can't find the disk full.
/// A file that is there already and long enough is left as it is.
pub fn preallocate(path: &Path, bytes: u64, mode: u32) -> Result<()> {
    let file = open_or_create(path, mode)?;
    allocate(&file, bytes).during("allocating", path)
}

/// Opens a file to read and write, making it when it is missing. Only a file made here gets its permission bits
/// set, exactly as given whatever the umask: one that is there keeps what its owner gave it. Symbolic links are
/// refused.
pub fn open_or_create(path: &Path, mode: u32) -> Result<File> {
    loop {
        match os::open(OpenOptions::new().read(true).write(true), path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            opened => return opened.during("opening", path),
        }
        match os::create_new(path, mode) {
            // Another process was faster; its file serves.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).during("creating", path),
            Ok(file) => {
                os::set_mode(&file, mode).during("setting permissions of", path)?;
                return Ok(file);
            }
        }
    }
}

/// Whether a file could be opened to write, or made, by this process as it is now; found out without opening it.
/// `ReadOnly` where the media or their mount take no writes, `PermissionDenied` where others may write.
pub fn check_writable(path: &Path) -> Result<()> {
    os::check_writable(path).during("asking to write", path)
}

/// Extends a file to `bytes`, with blocks.
pub(crate) fn allocate(file: &File, bytes: u64) -> std::io::Result<()> {
    if file.metadata()?.len() >= bytes {
        return Ok(());
    }
    match os::allocate(file, bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
        other => return other,
    }
    // The lock keeps two processes that extend the file at once from writing zeros over each other's words; where
    // there are no locks there is nothing better to do than to go on.
    let locked = os::lock_file(file);
    let written = write_zeros(file, bytes);
    if locked.is_ok() {
        os::unlock_file(file)?;
    }
    written
}

/// Where the file system can't allocate: writing does.
fn write_zeros(file: &File, bytes: u64) -> std::io::Result<()> {
    let zeros = vec![0; 1 << 16];
    let mut at = file.metadata()?.len();
    while at < bytes {
        let length = zeros.len().min((bytes - at) as usize);
        os::write_all_at(file, &zeros[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[cfg(unix)]
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;
    use crate::error::ErrorKind;

    #[cfg(unix)]
    fn mode_of(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    #[cfg(unix)]
    fn modes_are_exact_whatever_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // The usual umask takes the group's and others' write permission away.
        drop(Disk.create_new(&path("new"), 0o666).unwrap());
        drop(open_or_create(&path("opened"), 0o666).unwrap());
        preallocate(&path("allocated"), 10, 0o666).unwrap();
        Disk.create_dir(&path("made"), 0o777).unwrap();
        Disk.copy_or_reflink(&path("new"), &path("copied"), 0o666).unwrap();
        for name in ["new", "opened", "allocated", "copied"] {
            assert_eq!(mode_of(&path(name)), 0o666, "{name}");
        }
        assert_eq!(mode_of(&path("made")), 0o777);
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_is_there_keeps_its_mode_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"kept").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        drop(open_or_create(&path, 0o666).unwrap());
        assert_eq!((mode_of(&path), std::fs::read(&path).unwrap()), (0o600, b"kept".to_vec()));
    }

    #[test]
    #[cfg(unix)]
    fn symbolic_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::fs::write(&target, b"elsewhere").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(Disk.open_read(&link).is_err());
        assert!(open_or_create(&link, 0o600).is_err());
        assert_eq!(Disk.create_new(&link, 0o600).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(!Disk.facts(&link).unwrap().is_file);
        std::fs::create_dir(folder.path().join("kept")).unwrap();
        std::fs::write(folder.path().join("kept/file"), b"x").unwrap();
        std::fs::create_dir(folder.path().join("removed")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("kept"), folder.path().join("removed/link")).unwrap();
        Disk.remove_dir_all(&folder.path().join("removed")).unwrap();
        assert!(folder.path().join("kept/file").exists());
    }

    #[test]
    #[cfg(unix)]
    fn a_folder_is_made_with_its_parents_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/c");
        assert!(Disk.create_dir(&path, 0o750).unwrap());
        assert!(!Disk.create_dir(&path, 0o700).unwrap());
        assert_eq!(mode_of(&folder.path().join("a")), 0o750);
        std::fs::write(folder.path().join("file"), b"").unwrap();
        assert!(Disk.create_dir(&folder.path().join("file/under"), 0o700).is_err());
    }

    #[test]
    #[cfg(unix)]
    fn a_folder_keeps_the_group_that_its_parent_passes_on() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o2770)).unwrap();
        let path = folder.path().join("made");
        Disk.create_dir(&path, 0o770).unwrap();
        assert_eq!(mode_of(&path), 0o2770);
    }

    #[test]
    fn publishing_refuses_a_taken_name_either_way() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for publish in [rename_new, link_then_unlink] {
            std::fs::write(&from, b"new").unwrap();
            std::fs::write(&to, b"old").unwrap();
            assert_eq!(publish(&from, &to).unwrap_err().kind(), ErrorKind::AlreadyExists);
            assert_eq!(std::fs::read(&to).unwrap(), b"old");
            std::fs::remove_file(&to).unwrap();
            publish(&from, &to).unwrap();
            assert_eq!((std::fs::read(&to).unwrap(), from.exists()), (b"new".to_vec(), false));
        }
    }

    #[test]
    fn exchanging_swaps_folders_either_way() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir(&from).unwrap();
        std::fs::create_dir(&to).unwrap();
        std::fs::write(from.join("file"), b"new").unwrap();
        Disk.exchange(&from, &to).unwrap();
        assert_eq!((to.join("file").exists(), from.join("file").exists()), (true, false));
        exchange_by_renames(&from, &to).unwrap();
        assert_eq!((to.join("file").exists(), from.join("file").exists()), (false, true));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert_eq!(
            Disk.exchange(&from, &folder.path().join("none")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }

    #[test]
    fn a_copy_is_a_file_of_its_own_and_never_replaces() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::write(&from, vec![7; 100_000]).unwrap();
        Disk.copy_or_reflink(&from, &to, 0o444).unwrap();
        std::fs::write(&from, b"changed").unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), vec![7; 100_000]);
        assert_eq!(Disk.copy_or_reflink(&from, &to, 0o444).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&to).unwrap(), vec![7; 100_000]);
    }

    #[test]
    fn allocation_takes_blocks_and_keeps_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for extend in [allocate, write_zeros] {
            std::fs::write(&path, b"head").unwrap();
            let file = open_or_create(&path, 0o600).unwrap();
            extend(&file, 300_000).unwrap();
            let facts = Disk.facts(&path).unwrap();
            assert_eq!((facts.size, &std::fs::read(&path).unwrap()[..5]), (300_000, b"head\0".as_slice()));
            assert!(facts.allocated >= 300_000);
        }
    }
}
