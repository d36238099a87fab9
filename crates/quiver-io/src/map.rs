//! Files in memory: copy-on-write, so that nothing written into a view reaches the file or another reader, and
//! without a claim on swap, so that a file larger than memory can be mapped.

#![allow(unsafe_code)]

use std::fs::File;
use std::ops::Range;

use memmap2::{MmapMut, MmapOptions};

use crate::error::{Context, Result};
use crate::os;
use crate::sigbus::{self, Guard};

/// How a range is going to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Here and there: reading ahead would waste.
    Random,
    /// Soon, all of it.
    WillNeed,
    /// As the system thinks.
    Normal,
}

/// A mapped file. Unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    // Fields are dropped in order: the guard before the memory it guards.
    guard: Option<Guard>,
    map: Option<MmapMut>,
}

impl Mapping {
    /// Maps all of a file, at its present length. Two to five microseconds, whatever the length.
    pub fn open(file: &File) -> Result<Self> {
        let length = file.metadata().during("looking at", std::path::Path::new("(mapping)"))?.len();
        Self::of_length(file, length)
    }

    /// The same for a file of which the length is known.
    pub fn of_length(file: &File, length: u64) -> Result<Self> {
        let here = std::path::Path::new("(mapping)");
        if length == 0 {
            return Ok(Self { guard: None, map: None });
        }
        let length = usize::try_from(length)
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::FileTooLarge))
            .during("mapping", here)?;
        // SAFETY: the pages are private to this process once written, and files that are mapped are published
        // once and never written again. Should another program truncate one all the same, the guard replaces
        // its lost pages by zeros and says so.
        let map = unsafe { MmapOptions::new().len(length).no_reserve_swap().map_copy(file) }
            .during("mapping", here)?;
        Ok(Self { guard: Some(sigbus::guard(map.as_ptr() as usize, length)), map: Some(map) })
    }

    /// The same for a file that may as well be read: `None` where it can't be mapped or is empty, or where this
    /// process has so many mappings that the values of caches need the rest.
    ///
    /// Other programs may change such a file. What they write shows in pages that nobody here has written to; what
    /// they cut off reads as zeros, and [`Self::is_whole`] tells.
    pub fn open_foreign(file: &File) -> Option<Self> {
        if sigbus::is_crowded() {
            return None;
        }
        Self::open(file).ok().filter(|mapping| !mapping.is_empty())
    }

    /// Whether nothing has been cut off so far. Reads the last byte, by which a file that is shorter now shows.
    pub fn is_whole(&self) -> bool {
        if let Some(last) = self.len().checked_sub(1) {
            // SAFETY: inside the mapping; volatile, because the read matters and not its result.
            unsafe { std::ptr::read_volatile(self.as_ptr().add(last)) };
        }
        !self.is_poisoned()
    }

    /// Where it is.
    pub fn as_ptr(&self) -> *const u8 {
        self.map
            .as_ref()
            .map_or(std::ptr::NonNull::<u8>::dangling().as_ptr().cast_const(), |map| map.as_ptr())
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.map.as_ref().map_or(0, |map| map.len())
    }

    /// Of an empty file.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    /// Whether pages of it were lost and read as zeros.
    pub fn is_poisoned(&self) -> bool {
        self.guard.as_ref().is_some_and(Guard::is_poisoned)
    }

    /// Whether the page of the byte at `at` is in memory, so that to read it waits for no disk; none where the system
    /// doesn't say. A fraction of a microsecond.
    pub fn is_resident(&self, at: usize) -> Option<bool> {
        self.as_slice().get(at..).filter(|rest| !rest.is_empty()).and_then(os::is_resident)
    }

    /// Tells the system how a range is going to be read.
    pub fn advise(&self, advice: Advice, range: Range<usize>) -> Result<()> {
        let Some(map) = &self.map else { return Ok(()) };
        let end = range.end.min(map.len());
        if range.start >= end {
            return Ok(());
        }
        os::advise(map, advice, range.start, end - range.start)
            .during("advising on", std::path::Path::new("(mapping)"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn writes_stay_private_and_unlinked_files_stay_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [7; 10_000]).unwrap();
        let mut mapping = Mapping::open(&File::open(&path).unwrap()).unwrap();
        mapping.map.as_mut().unwrap()[5] = 1;
        assert_eq!(std::fs::read(&path).unwrap()[5], 7);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(mapping.as_slice()[9_999], 7);
    }

    #[test]
    #[cfg(unix)]
    fn a_truncated_file_poisons_its_mapping_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![7; 20_000]).unwrap();
        let mapping = Mapping::open(&File::open(&path).unwrap()).unwrap();
        let other = Mapping::open(&File::open(&path).unwrap()).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(4_096).unwrap();
        // SAFETY: the address is inside the mapping; a volatile read can't be optimised away.
        let byte = unsafe { std::ptr::read_volatile(mapping.as_ptr().add(12_345)) };
        assert_eq!(byte, 0);
        assert!(mapping.is_poisoned());
        assert!(!other.is_poisoned());
        assert!(!other.is_whole());
    }

    #[test]
    #[cfg(unix)]
    fn a_foreign_file_is_whole_until_it_is_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![7; 20_000]).unwrap();
        let mapping = Mapping::open_foreign(&File::open(&path).unwrap()).unwrap();
        assert!(mapping.is_whole());
        std::fs::write(&path, vec![8; 100]).unwrap();
        assert!(!mapping.is_whole());
        assert!(Mapping::open_foreign(&File::open("/dev/null").unwrap()).is_none());
    }

    #[test]
    #[cfg(unix)]
    fn pages_are_in_memory_once_they_were_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create_new(folder.path().join("file")).unwrap();
        // A hole, of which the system has no pages.
        file.set_len(1 << 20).unwrap();
        drop(file);
        let mapping = Mapping::open(&File::open(folder.path().join("file")).unwrap()).unwrap();
        let at = (1 << 19) + 123;
        assert_eq!(mapping.is_resident(at), Some(false));
        // SAFETY: the address is inside the mapping; a volatile read can't be optimised away.
        unsafe { std::ptr::read_volatile(mapping.as_ptr().add(at)) };
        assert_eq!(mapping.is_resident(at), Some(true));
        assert_eq!(mapping.is_resident(1 << 20), None);
    }

    #[test]
    fn an_empty_file_maps_to_nothing() {
        let file = tempfile::tempfile().unwrap();
        assert!(Mapping::open_foreign(&file).is_none());
        assert!(Mapping::open(&file).unwrap().as_slice().is_empty());
    }
}
