//! Being one of the processes that have a cache open: shared lock, a mark that tells the others whether we ended
//! well, and the format of the root.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quiver_io::{RangeLock, Storage};
use serde::{Deserialize, Serialize};

use crate::engine::Modes;
use crate::error::{Code, Error, Result};
use crate::root::Root;
use crate::settings::RootSettings;

/// Version of the on-disk format that this code writes.
pub const FORMAT: u32 = 1;

/// `.quiver/format.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Format {
    /// Version of the layout.
    pub layout: u32,
    /// Oldest version that may read it.
    pub min_reader: u32,
    /// Oldest version that may write it.
    pub min_writer: u32,
    /// Random name of this cache.
    pub uuid: String,
    /// Device and inode of the root for which the name was made: a copy of the folder gets a new one.
    pub place: [u64; 2],
    /// C library, architecture and page size that LMDB's structures were made for.
    pub platform: String,
    /// Optional parts of the format in use.
    pub features: Vec<String>,
    /// Settings of the root.
    pub settings: RootSettings,
}

impl Format {
    /// A new cache at `place`.
    pub fn new(place: [u64; 2], settings: RootSettings) -> Self {
        Self {
            layout: FORMAT,
            min_reader: FORMAT,
            min_writer: FORMAT,
            uuid: format!("{:016x}{:016x}", quiver_io::random_u64(), quiver_io::random_u64()),
            place,
            platform: platform(),
            features: Vec::new(),
            settings,
        }
    }

    /// Reads the file; none where there is no cache yet.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::os("reading the format", path, &error)),
        };
        let format: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(Code::Corrupt, format!("the format is unreadable: {error}")).at(path)
        })?;
        if format.min_reader > FORMAT || format.min_writer > FORMAT {
            return Err(Error::new(
                Code::FormatVersion,
                format!("the cache needs version {} of this library's format", format.min_writer),
            )
            .at(path));
        }
        if format.platform != platform() {
            return Err(Error::new(
                Code::ForeignLibc,
                format!("the catalog was made on {:?}, this is {:?}", format.platform, platform()),
            )
            .at(path));
        }
        Ok(Some(format))
    }

    /// Writes the file as a whole, durably.
    pub fn write(&self, storage: &dyn Storage, root: &Root, modes: Modes) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::new(Code::Internal, format!("the format doesn't encode: {error}")))?;
        let temporary = root.engine().join(format!("format-{:016x}", quiver_io::random_u64()));
        let written = storage.create_new(&temporary, modes.file).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync()?;
            drop(file);
            storage.rename(&temporary, &root.format())?;
            storage.sync_dir(&root.engine())
        });
        if written.is_err() {
            let _ = storage.unlink(&temporary);
        }
        Ok(written?)
    }
}

/// Writes the boot id into a process's mark. Durable, as only a mark that a power cut leaves tells the next opener
/// that there is something to put right.
fn write_mark(path: &Path) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::options().write(true).truncate(true).open(path)?;
    file.write_all(quiver_io::boot_id().as_bytes())?;
    file.sync_data()?;
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

/// Structures in lock.mdb depend on all of these.
fn platform() -> String {
    let libc = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    format!("{}-{}-{libc}", std::env::consts::OS, std::env::consts::ARCH)
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
