//! What a file system can do, found by trying.

use std::fs::File;
use std::path::Path;

use crate::disk::Disk;
use crate::error::{Context, ErrorKind, Result};
use crate::identity::random_u64;
use crate::lock::RangeLock;
use crate::os;
use crate::storage::Storage;

/// What the file system under a folder can do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one yes-or-no fact, reported as it is")]
pub struct FsProbe {
    /// Its name, or its number in hexadecimal.
    pub fs_type: String,
    /// Several hosts may share it: locks may hang, lie or succeed for everybody.
    pub network: bool,
    /// Nothing can be written.
    pub read_only: bool,
    /// Whole-file locks exclude.
    pub flock: bool,
    /// Byte-range locks exclude.
    pub ofd_lock: bool,
    /// A file can have two names.
    pub hard_link: bool,
    /// Files can share blocks.
    pub reflink: bool,
    /// Renaming can refuse to replace.
    pub rename_noreplace: bool,
    /// `a` and `A` are two names.
    pub case_sensitive: bool,
}

impl FsProbe {
    /// Tries everything in a folder of its own, which it removes.
    pub fn of(dir: &Path) -> Self {
        let (fs_type, network) = file_system(dir);
        let mut probe = Self { fs_type, network, ..Self::default() };
        let folder = dir.join(format!(".quiver-probe-{:016x}", random_u64()));
        if let Err(error) = Disk.create_dir(&folder, 0o700).and_then(|_| probe.try_files(&folder)) {
            if matches!(error.kind(), ErrorKind::ReadOnly | ErrorKind::PermissionDenied) {
                probe.read_only = true;
            } else {
                // A full disk can do what it could before it was full.
                probe.presume();
            }
        }
        let _ = Disk.remove_dir_all(&folder);
        probe
    }

    /// What a local file system can do as a rule.
    fn presume(&mut self) {
        let local = !self.network;
        (self.flock, self.ofd_lock, self.hard_link) = (local, local, local);
        (self.rename_noreplace, self.case_sensitive) = (local, true);
    }

    fn try_files(&mut self, folder: &Path) -> Result<()> {
        let (a, b, c) = (folder.join("a"), folder.join("b"), folder.join("c"));
        std::fs::write(&a, b"probe").during("writing", &a)?;
        // Only locks that don't wait: those of a network file system may hang.
        self.flock = (|| -> std::io::Result<bool> {
            let (one, two) = (File::open(&a)?, File::open(&a)?);
            Ok(os::try_lock_file(&one)? && !os::try_lock_file(&two)?)
        })()
        .unwrap_or(false);
        self.ofd_lock = (|| -> Result<bool> {
            let (one, two) = (RangeLock::open(&a, 0o600)?, RangeLock::open(&a, 0o600)?);
            Ok(one.try_lock(0, 1, true)? && !two.try_lock(0, 1, true)?)
        })()
        .unwrap_or(false);
        self.hard_link = Disk.link(&a, &b).is_ok();
        self.case_sensitive = !folder.join("A").exists();
        let _ = Disk.unlink(&b);
        let _ = std::fs::write(&b, b"other");
        self.rename_noreplace = Disk.rename_new(&a, &b).is_err();
        self.reflink = reflinks(&b, &c);
        Ok(())
    }
}

fn reflinks(from: &Path, to: &Path) -> bool {
    let (Ok(source), Ok(target)) = (File::open(from), File::create(to)) else { return false };
    os::reflink(&source, &target)
}

/// The name of the file system under a folder, empty where it can't be told, and whether several hosts may share it.
/// Tries nothing.
pub fn file_system(dir: &Path) -> (String, bool) {
    os::file_system(dir).unwrap_or_default()
}

/// Bytes that can still be written by this user.
pub fn free_bytes(dir: &Path) -> Result<u64> {
    os::free_bytes(dir).during("looking at the file system of", dir)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_local_folder_can_do_what_the_cache_needs_and_stays_clean() {
        let folder = tempfile::tempdir().unwrap();
        let probe = FsProbe::of(folder.path());
        assert!(
            probe.flock && probe.ofd_lock && probe.hard_link && probe.rename_noreplace && !probe.read_only
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(free_bytes(folder.path()).unwrap() > 0);
    }

    #[test]
    fn the_file_system_is_known_without_trying() {
        assert_eq!(file_system(Path::new("/proc/self/no such folder")), (String::new(), false));
        let folder = tempfile::tempdir().unwrap();
        let probe = FsProbe::of(folder.path());
        assert_eq!(file_system(folder.path()), (probe.fs_type, probe.network));
    }

    #[test]
    fn a_folder_that_may_not_be_written_is_read_only() {
        // Nobody can add a folder to the kernel's own, whoever runs this.
        let probe = FsProbe::of(Path::new("/sys"));
        assert!(probe.read_only && !probe.flock);
    }

    #[test]
    fn where_nothing_can_be_tried_the_file_system_decides() {
        let probe = FsProbe::of(Path::new("/proc/self/no such folder"));
        assert!(!probe.read_only && probe.flock && probe.hard_link);
    }
}
