//! Being one of the processes that have a cache open: a shared lock, and a mark that tells the others whether we
//! ended well.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quiver_io::RangeLock;

use crate::engine::Modes;
use crate::error::{Code, Error, Result};
use crate::root::Root;

/// Writes the boot id into a process's mark. Durable, as only a mark that a power cut leaves tells the next opener
/// that there is something to put right.
fn write_mark(path: &Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::options().write(true).truncate(true).open(path)?;
    file.write_all(quiver_io::boot_id().as_bytes())?;
    file.sync_data()?;
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

/// This process among those that have the cache open.
#[derive(Debug)]
pub struct Session {
    open: RangeLock,
    mark: Option<(RangeLock, PathBuf)>,
    /// A process that had the cache open ended without closing it.
    pub unclean: bool,
    /// The machine was restarted since: what was not synced may be gone.
    pub unclean_boot: bool,
}

impl Session {
    /// Joins. Waits up to `timeout` for a repair or compaction to end.
    pub fn join(root: &Root, modes: Modes, read_only: bool, timeout: Duration) -> Result<Self> {
        let open = RangeLock::open(&root.locks().join("open"), modes.file)?;
        if !open.lock_timeout(0, 1, false, timeout)? {
            return Err(Error::new(Code::Busy, "the cache is being repaired or compacted").at(root.path()));
        }
        let mut session = Self { open, mark: None, unclean: false, unclean_boot: false };
        if read_only {
            return Ok(session);
        }
        session.look_for_dead(root, modes)?;
        let path = root.locks().join(format!("p-{}", quiver_io::process_identity()));
        let mark = RangeLock::open(&path, modes.file)?;
        if !mark.try_lock(0, 1, true)? {
            return Err(Error::new(
                Code::DuplicateCopy,
                "another copy of this library has the cache open in this process",
            )
            .at(root.path()));
        }
        match write_mark(&path).map_err(|error| Error::os("marking the cache as open", &path, &error)) {
            // A full disk must not keep those out who come to delete. An empty mark reads as another boot's.
            Err(error) if error.code == Code::DiskFull => {}
            written => written?,
        }
        session.mark = Some((mark, path));
        Ok(session)
    }

    /// Marks that nobody locks were left by processes that died.
    fn look_for_dead(&mut self, root: &Root, modes: Modes) -> Result<()> {
        let folder = root.locks();
        let entries =
            std::fs::read_dir(&folder).map_err(|error| Error::os("listing locks", &folder, &error))?;
        let boot = quiver_io::boot_id();
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with("p-") {
                continue;
            }
            let path = entry.path();
            let Ok(mark) = RangeLock::open(&path, modes.file) else { continue };
            if mark.try_lock(0, 1, true).unwrap_or(false) {
                self.unclean = true;
                self.unclean_boot |= std::fs::read_to_string(&path).is_ok_and(|made| made != boot);
                let _ = std::fs::remove_file(&path);
            }
        }
        Ok(())
    }

    /// Tries to be the only process: for repair, compaction, restoring.
    pub fn try_exclusive(&self) -> Result<bool> {
        Ok(self.open.try_lock(0, 1, true)?)
    }

    /// Lets others in again.
    pub fn share(&self) -> Result<()> {
        self.open.try_lock(0, 1, false)?;
        Ok(())
    }

    /// Leaves, having closed everything.
    pub fn leave(&mut self) {
        if let Some((mark, path)) = self.mark.take() {
            let _ = std::fs::remove_file(path);
            drop(mark);
        }
        let _ = self.open.unlock(0, 1);
    }
}
