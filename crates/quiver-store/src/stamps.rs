//! The stamp table: one word an entry and one a namespace, shared by all processes, written natively inside write
//! transactions and only read by JavaScript. See ARCHITECTURE.md, "Coherence".

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use quiver_io::SharedTable;

use crate::error::Result;

/// Words whose address space is reserved: entries beyond are served from the catalog each time.
pub const MAX_SLOTS: u32 = 1 << 24;
/// Slots are allocated on disk in steps of this many.
const STEP: u32 = 1 << 14;
/// No slot.
pub const NO_SLOT: u32 = u32::MAX;

/// The table as one process has it mapped.
#[derive(Debug)]
pub struct Stamps {
    table: SharedTable,
    growing: Mutex<()>,
}

impl Stamps {
    /// Opens or makes the table; it is really allocated, so that a full disk can't make reading it fail.
    pub fn open(path: &Path, mode: u32) -> Result<Self> {
        let table = SharedTable::open(path, u64::from(MAX_SLOTS) * 4, u64::from(STEP) * 4, mode)?;
        Ok(Self { table, growing: Mutex::new(()) })
    }

    /// Makes sure that `slot` can be read and written; false for slots beyond the table.
    pub fn ensure(&self, slot: u32) -> Result<bool> {
        if slot >= MAX_SLOTS {
            return Ok(false);
        }
        let needed = (u64::from(slot) + 1) * 4;
        if needed > self.table.allocated() {
            let _guard = self.growing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if needed > self.table.allocated() {
                let step = u64::from(STEP) * 4;
                self.table.grow(needed.div_ceil(step) * step)?;
            }
        }
        Ok(true)
    }

    /// The word of a slot; `None` beyond the table, and when the table's pages were lost under this process.
    pub fn load(&self, slot: u32) -> Option<u32> {
        if u64::from(slot) * 4 >= self.table.allocated() || slot >= MAX_SLOTS {
            return None;
        }
        let word = self.table.word(slot as usize).load(Ordering::Acquire);
        (!self.table.is_poisoned()).then_some(word)
    }

    /// Sets the word of a slot. Only inside a write transaction, before its commit.
    ///
    /// Another program that truncates the file takes pages away from the processes that touch them afterwards:
    /// those see zeros of their own there, which no stamp equals, so nothing they hold in memory is valid. It
    /// must stay so, because they don't see what others write: the word goes to the file alone.
    pub fn store(&self, slot: u32, stamp: u32) -> Result<()> {
        if self.ensure(slot)? {
            let word = self.table.word(slot as usize);
            if !self.table.is_poisoned() {
                word.store(stamp, Ordering::Release);
            }
            if self.table.is_poisoned() {
                word.store(0, Ordering::Release);
                self.table.write_through(slot as usize, stamp)?;
            }
        }
        Ok(())
    }

    /// Overwrites every word, so that nothing any process holds in memory stays valid: a table about to be
    /// replaced, or a catalog rebuilt.
    pub fn retire(&self, stamp: u32) {
        for slot in 0..(self.table.allocated() / 4) as usize {
            self.table.word(slot).store(stamp, Ordering::Release);
        }
    }

    /// The greatest word in the table.
    pub fn greatest(&self) -> u32 {
        (0..(self.table.allocated() / 4) as usize)
            .map(|slot| self.table.word(slot).load(Ordering::Relaxed))
            .max()
            .unwrap_or(0)
    }

    /// Address and bytes of the reserved table, for views that only read it.
    pub fn raw(&self) -> (*const u8, usize) {
        (self.table.as_ptr().cast(), (u64::from(MAX_SLOTS) * 4) as usize)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_table_is_valid_for_nobody_and_still_invalidates_what_others_hold() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stamps");
        let one = Stamps::open(&path, 0o600).unwrap();
        one.store(5, 70).unwrap();
        assert_eq!(one.load(5), Some(70));
        std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        let other = Stamps::open(&path, 0o600).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        // The first touch of a lost page is a write.
        one.store(5, 71).unwrap();
        assert_eq!(one.load(5), None);
        assert_eq!(one.table.word(5).load(Ordering::Acquire), 0, "what JavaScript sees equals no stamp");
        assert_eq!(other.load(5), Some(71));
        one.store(5, 72).unwrap();
        assert_eq!(other.load(5), Some(72));
    }
}
