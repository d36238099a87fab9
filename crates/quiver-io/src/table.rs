//! A table of words shared by all processes: mapped once for the largest it may become, really allocated only as
//! far as it is used.

#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::disk::allocate;
use crate::error::{Context, Result};
use crate::sigbus::{self, Guard};

/// The table as one process has it mapped.
#[derive(Debug)]
pub struct SharedTable {
    _guard: Guard,
    map: MmapRaw,
    file: File,
    path: PathBuf,
    allocated: AtomicU64,
}

impl SharedTable {
    /// Opens or makes the table: `reserve` bytes of address space, of which at least `initial` exist.
    pub fn open(path: &Path, reserve: u64, initial: u64, mode: u32) -> Result<Self> {
        let writable = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(mode)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path);
        let file = match writable {
            Ok(file) => {
                allocate(&file, initial).during("allocating", path)?;
                file
            }
            // Nobody can write here: then nobody changes the table either, and a private copy serves.
            Err(_) => File::open(path).during("opening the table", path)?,
        };
        let allocated = file.metadata().during("looking at", path)?.len();
        let map = MmapOptions::new()
            .len(reserve as usize)
            .map_raw(&file)
            .or_else(|_| MmapOptions::new().len(reserve as usize).map_raw_read_only(&file))
            .during("mapping", path)?;
        let guard = sigbus::guard(map.as_ptr() as usize, reserve as usize);
        Ok(Self { _guard: guard, map, file, path: path.to_path_buf(), allocated: AtomicU64::new(allocated) })
    }

    /// Makes sure that the first `bytes` exist; never more than was reserved.
    pub fn grow(&self, bytes: u64) -> Result<()> {
        let bytes = bytes.min(self.reserved());
        allocate(&self.file, bytes).during("allocating", &self.path)?;
        let length = self.file.metadata().during("looking at", &self.path)?.len();
        self.allocated.fetch_max(length.min(self.reserved()), Ordering::AcqRel);
        Ok(())
    }

    /// Bytes that exist, as far as this process knows.
    pub fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Acquire)
    }

    /// Bytes of address space.
    pub fn reserved(&self) -> u64 {
        self.map.len() as u64
    }

    /// A word. It must exist: `index * 4 < allocated()`; beyond that, a word of zeros that nobody shares.
    pub fn word(&self, index: usize) -> &AtomicU32 {
        static NOWHERE: AtomicU32 = AtomicU32::new(0);
        if (index as u64 + 1) * 4 > self.allocated() {
            return &NOWHERE;
        }
        // SAFETY: the word lies in the mapping, which lives as long as `self`, is aligned because mappings are,
        // and is only accessed atomically by every process.
        unsafe { &*self.map.as_mut_ptr().cast::<AtomicU32>().add(index) }
    }

    /// Where the table is.
    pub fn as_ptr(&self) -> *const u32 {
        self.map.as_ptr().cast()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn two_openers_share_words_and_growth() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let one = SharedTable::open(&path, 1 << 20, 4_096, 0o600).unwrap();
        let two = SharedTable::open(&path, 1 << 20, 4_096, 0o600).unwrap();
        one.word(3).store(7, Ordering::Release);
        assert_eq!(two.word(3).load(Ordering::Acquire), 7);
        one.grow(1 << 16).unwrap();
        one.word(10_000).store(9, Ordering::Release);
        two.grow(1 << 16).unwrap();
        assert_eq!(two.word(10_000).load(Ordering::Acquire), 9);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 16);
    }
}
