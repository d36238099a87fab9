//! Which commit was flushed last, known to all processes: whoever commits next to it needs one flush (see `seal`).
//!
//! The word is stored after the flush and under the write lock, so what it says is true, also after a power cut. A
//! process that dies in between leaves an older one, which costs the next commit a second flush.

use std::path::Path;
use std::sync::atomic::Ordering;

use quiver_io::SharedTable;

/// A page: less can't be mapped.
const SIZE: u64 = 4_096;
/// Its name in the catalog's folder.
pub const NAME: &str = "flushed";

/// The word, as one process has it mapped.
#[derive(Debug)]
pub struct Flushed(SharedTable);

impl Flushed {
    /// Opens or makes it in the catalog's folder; none if the disk has no room for it. It is of one data file: whoever
    /// puts another in its place removes it first, because transactions are counted anew there.
    pub fn open(folder: &Path, mode: u32) -> Option<Self> {
        SharedTable::open(&folder.join(NAME), SIZE, SIZE, mode).ok().map(Self)
    }

    /// Whether this transaction, and with it all before it, was flushed last.
    pub fn is(&self, transaction: u64) -> bool {
        self.0.word(0).load(Ordering::Acquire) == transaction as u32
    }

    /// This transaction is flushed.
    pub fn note(&self, transaction: u64) {
        self.0.word(0).store(transaction as u32, Ordering::Release);
    }
}
