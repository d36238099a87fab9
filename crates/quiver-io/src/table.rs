//! A table of words shared by all processes: mapped once for the largest it may become, really allocated only as
//! far as it is used.

#![allow(unsafe_code)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::disk::{allocate, open_or_create};
use crate::error::{Context, ErrorKind, Result};
use crate::os;
use crate::sigbus::{self, Guard};

/// The table as one process has it mapped.
#[derive(Debug)]
pub struct SharedTable {
    // Dropped before the memory it guards.
    guard: Guard,
    map: MmapRaw,
    file: File,
    path: PathBuf,
    allocated: AtomicU64,
}

impl SharedTable {
    /// Opens or makes the table: `reserve` bytes of address space, of which at least `initial` exist. Where the file
    /// may not be written the table can be read; what is then written into it stays in this process. Where the system
    /// maps no more than a file has, all of it exists from the start.
    pub fn open(path: &Path, reserve: u64, initial: u64, mode: u32) -> Result<Self> {
        let length = usize::try_from(reserve)
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::FileTooLarge))
            .during("mapping", path)?;
        let initial = if os::MAPS_PAST_END { initial } else { reserve };
        let (file, map) = match open_or_create(path, mode) {
            Ok(file) => {
                allocate(&file, initial).during("allocating", path)?;
                let map = MmapOptions::new().len(length).map_raw(&file).during("mapping", path)?;
                (file, map)
            }
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnly) => {
                let file = File::open(path).during("opening the table", path)?;
                // SAFETY: pages show the file's words until this process writes into them, and then are its own;
                // words are only accessed atomically.
                let map = unsafe { MmapOptions::new().len(length).no_reserve_swap().map_copy(&file) }
                    .during("mapping", path)?;
                (file, MmapRaw::from(map))
            }
            Err(error) => return Err(error),
        };
        let allocated = file.metadata().during("looking at", path)?.len().min(reserve);
        let guard = sigbus::guard(map.as_ptr() as usize, length);
        Ok(Self { guard, map, file, path: path.to_path_buf(), allocated: AtomicU64::new(allocated) })
    }

    /// Whether pages of the file were lost under this process, which then sees words of its own in their place:
    /// nothing that was kept under a word of this table may be trusted any more.
    pub fn is_poisoned(&self) -> bool {
        self.guard.is_poisoned()
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
        #[allow(clippy::cast_ptr_alignment, reason = "mappings begin at a page")]
        unsafe {
            &*self.map.as_mut_ptr().cast::<AtomicU32>().add(index)
        }
    }

    /// Writes a word into the file, past this process's pages: for a table that is poisoned here and in use
    /// elsewhere. Others see it at once.
    pub fn write_through(&self, index: usize, word: u32) -> Result<()> {
        os::write_all_at(&self.file, &word.to_ne_bytes(), index as u64 * 4).during("writing", &self.path)
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
        let exists = if os::MAPS_PAST_END { 1 << 16 } else { 1 << 20 };
        assert_eq!(std::fs::metadata(&path).unwrap().len(), exists);
    }

    #[test]
    #[cfg(unix)]
    fn words_that_do_not_exist_read_as_zero() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let table = SharedTable::open(&path, 1 << 20, 4_096, 0o600).unwrap();
        assert_eq!((table.allocated(), table.reserved()), (4_096, 1 << 20));
        assert_eq!(table.word(1_024).load(Ordering::Relaxed), 0);
        table.grow(2 << 20).unwrap();
        assert_eq!((table.allocated(), std::fs::metadata(&path).unwrap().len()), (1 << 20, 1 << 20));
    }

    #[test]
    #[cfg(unix)]
    fn a_truncated_table_is_poisoned_and_ends_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let table = SharedTable::open(&path, 1 << 20, 8_192, 0o600).unwrap();
        table.word(2_000).store(7, Ordering::Release);
        File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        assert!(!table.is_poisoned());
        assert_eq!(table.word(2_000).load(Ordering::Acquire), 0);
        assert!(table.is_poisoned());
    }
}
