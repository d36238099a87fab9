//! Being one of the processes that have a cache open: a shared lock, and a mark that tells the others whether we
//! ended well. A process that LMDB can't register as a reader, because it may write nowhere, is an onlooker: writers
//! would reuse the pages that it reads. So onlookers and writers keep each other out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quiver_io::{Disk, ErrorKind, RangeLock, Storage as _};

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
    path.parent().map_or(Ok(()), |folder| Disk.sync_dir(folder).map_err(|error| error.source))
}

/// Makes the mark of this process and locks it.
fn take_mark(root: &Root, modes: Modes) -> Result<(RangeLock, PathBuf)> {
    let path = root.locks().join(format!("p-{}", quiver_io::process_identity()));
    let mark = RangeLock::open(&path, modes.file)?;
    if mark.try_lock(0, 1, true)? {
        return Ok((mark, path));
    }
    let why = "another copy of this library has the cache open in this process";
    Err(Error::new(Code::DuplicateCopy, why).at(root.path()))
}

fn unregistered(root: &Root, why: &str) -> Error {
    let what = format!("the cache can't be read here without being written: {why}");
    Error::new(Code::ReadOnlyLive, what).at(root.path())
}

/// Byte of the lock `open` that everybody shares whom LMDB knows of.
const OPENERS: u64 = 0;
/// Byte of the lock `open` that onlookers share.
const ONLOOKERS: u64 = 1;
/// Byte of the lock `open` under which marks come, go and are looked for. Without it a mark that is made and not locked
/// yet, or removed and still open, would be taken for that of a dead process.
const MARKS: u64 = 2;
/// How long who leaves waits for those who look: they hold the lock for a listing.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// What is in the mark of a process that only reads: it leaves nothing to put right.
const READER: &str = "reader";

/// This process among those that have the cache open.
#[derive(Debug)]
pub struct Session {
    open: RangeLock,
    mark: Option<(RangeLock, PathBuf)>,
    /// LMDB has no place to register this process's reads, and nobody writes while it is here.
    pub onlooker: bool,
    /// A process that had the cache open ended without closing it.
    pub unclean: bool,
    /// The machine was restarted since: what was not synced may be gone.
    pub unclean_boot: bool,
}

impl Session {
    /// Joins. Waits up to `timeout` for a repair or compaction to end. `Code::ReadOnlyLive` where reads can't be
    /// registered and others may write.
    pub fn join(root: &Root, modes: Modes, read_only: bool, timeout: Duration) -> Result<Self> {
        let open = RangeLock::open(&root.locks().join("open"), modes.file)?;
        let mut session = Self { open, mark: None, onlooker: false, unclean: false, unclean_boot: false };
        if read_only {
            match quiver_io::check_writable(&root.reader_table()) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::ReadOnly => {
                    session.look_on(root)?;
                    return Ok(session);
                }
                Err(_) => return Err(unregistered(root, "its folder may be written by others only")),
            }
        }
        if !session.open.lock_timeout(OPENERS, 1, false, timeout)? {
            return Err(Error::new(Code::Busy, "the cache is being repaired or compacted").at(root.path()));
        }
        if read_only {
            session.mark_reader(root, modes, timeout)?;
            return Ok(session);
        }
        // They looked for us after they had come, and so do we for them: one of the two sees the other.
        if session.open.is_locked_by_others(ONLOOKERS, 1)? {
            let why = "a process reads the cache through a read-only mount, where nobody may write meanwhile";
            return Err(Error::new(Code::Busy, why).at(root.path()));
        }
        if !session.open.lock_timeout(MARKS, 1, true, timeout)? {
            return Err(Error::new(Code::Busy, "another process has been opening the cache for too long")
                .at(root.path()));
        }
        session.look_for_dead(root, modes)?;
        let (mark, path) = take_mark(root, modes)?;
        session.open.unlock(MARKS, 1)?;
        match write_mark(&path).map_err(|error| Error::os("marking the cache as open", &path, &error)) {
            // A full disk must not keep those out who come to delete. An empty mark reads as another boot's.
            Err(error) if error.code == Code::DiskFull => {}
            written => written?,
        }
        session.mark = Some((mark, path));
        Ok(session)
    }

    /// Reads where nothing can be written, as long as nobody writes by another way.
    fn look_on(&mut self, root: &Root) -> Result<()> {
        self.onlooker = true;
        let alone = self.open.try_lock(ONLOOKERS, 1, false)? && self.is_alone()?;
        if alone { Ok(()) } else { Err(unregistered(root, "other processes have it open")) }
    }

    /// Marks a process that only reads, so that a second copy of this library in it is found out.
    fn mark_reader(&mut self, root: &Root, modes: Modes, timeout: Duration) -> Result<()> {
        // Marks need a folder and a lock that may be written, reading doesn't.
        if !self.open.lock_timeout(MARKS, 1, true, timeout).unwrap_or(false) {
            return Ok(());
        }
        let taken = take_mark(root, modes);
        if let Ok((_, path)) = &taken {
            let _ = std::fs::write(path, READER);
        }
        self.open.unlock(MARKS, 1)?;
        match taken {
            Ok(mark) => self.mark = Some(mark),
            Err(error) if error.code == Code::DuplicateCopy => return Err(error),
            Err(_) => {}
        }
        Ok(())
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
                let made = std::fs::read_to_string(&path).unwrap_or_default();
                if made != READER {
                    self.unclean = true;
                    self.unclean_boot |= made != boot || boot.is_empty();
                }
                let _ = std::fs::remove_file(&path);
            }
        }
        Ok(())
    }

    /// Tries to be the only process: for repair, compaction, restoring.
    pub fn try_exclusive(&self) -> Result<bool> {
        Ok(self.open.try_lock(OPENERS, 1, true)?)
    }

    /// Whether nobody else has it open who may write.
    pub fn is_alone(&self) -> Result<bool> {
        Ok(!self.open.is_locked_by_others(OPENERS, 1)?)
    }

    /// Lets others in again.
    pub fn share(&self) -> Result<()> {
        self.open.try_lock(OPENERS, 1, false)?;
        Ok(())
    }

    /// Leaves, having closed everything.
    pub fn leave(&mut self) {
        if let Some((mark, path)) = self.mark.take() {
            let _ = self.open.lock_timeout(MARKS, 1, true, LEAVE_TIMEOUT);
            let _ = std::fs::remove_file(path);
            drop(mark);
            let _ = self.open.unlock(MARKS, 1);
        }
        let _ = self.open.unlock(if self.onlooker { ONLOOKERS } else { OPENERS }, 1);
    }
}
