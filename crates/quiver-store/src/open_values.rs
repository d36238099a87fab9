//! File values as one process has them open: mapped or copied, with what of them has been verified.
//!
//! Each time that JavaScript opens a value it gets a mapping of its own, gone when all array buffers over it are: nothing
//! of two isolates or two times ever shares an address, whatever the garbage collector's order, and no lease is counted.
//! How many there may be is bounded, far below the kernel's 65,530 mappings; beyond the bound values are copied, within a
//! budget, then refused.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use quiver_io::{CHUNK, Mapping, Sha256, crew};

use crate::catalog::record::Record;
use crate::error::{Code, Error, Result};
use crate::root::Root;

/// Values up to this size are read, not mapped: a mapping costs as much, and a finaliser besides.
pub const COPY_BELOW: u64 = 64 * 1024;
/// Values up to this size are verified when they are opened: then their bytes are at hand, and later the file would have
/// to be opened and read for it.
const VERIFIED_AT_ONCE: u64 = 256 * 1024;
/// Chunks that a thread compares at a time.
const TOGETHER: usize = 16;
/// Values above this have a share of the mappings kept for them.
const LARGE: u64 = 64 << 20;

/// Bounds on open values.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Mappings in this process, of all caches.
    pub mappings: usize,
    /// Of those, how many only values above 64 MiB may take.
    pub reserved: usize,
    /// Bytes of copies beyond the mappings.
    pub copies: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { mappings: 16_384, reserved: 1_024, copies: 1 << 30 }
    }
}

/// The values this process has open.
#[derive(Debug)]
pub struct OpenValues {
    shared: Arc<Gauge>,
    known: Mutex<HashMap<u64, Weak<Checked>>>,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Gauge {
    mappings: AtomicUsize,
    mapped: AtomicU64,
    copied: AtomicU64,
}

/// Mappings of all caches of this process: the kernel's bound is the process's.
static MAPPINGS: AtomicUsize = AtomicUsize::new(0);

/// What is open now.
#[derive(Debug, Clone, Copy, Default)]
pub struct Open {
    /// Live mappings.
    pub mappings: usize,
    /// Bytes of address space they take.
    pub mapped_bytes: u64,
    /// Bytes of live copies.
    pub copied_bytes: u64,
}

/// The bytes of a value, for one holder.
#[derive(Debug)]
pub struct ValueBytes {
    bytes: Bytes,
    gauge: Arc<Gauge>,
    /// What of it has been verified.
    pub checked: Arc<Checked>,
}

#[derive(Debug)]
enum Bytes {
    Mapped(Mapping),
    Copied(Vec<u8>),
}

impl ValueBytes {
    /// Where the bytes are. Writable memory of this process alone: of a mapping, copy-on-write.
    pub fn as_ptr(&self) -> *const u8 {
        match &self.bytes {
            Bytes::Mapped(mapping) => mapping.as_ptr(),
            Bytes::Copied(bytes) => bytes.as_ptr(),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        match &self.bytes {
            Bytes::Mapped(mapping) => mapping.len(),
            Bytes::Copied(bytes) => bytes.len(),
        }
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they lie in a mapped file.
    pub fn is_mapped(&self) -> bool {
        matches!(self.bytes, Bytes::Mapped(_))
    }

    /// Whether nothing was cut off the file under the mapping so far. Reads the last byte, by which that shows.
    pub fn is_whole(&self) -> bool {
        match &self.bytes {
            Bytes::Mapped(mapping) => mapping.is_whole(),
            Bytes::Copied(_) => true,
        }
    }

    /// Asks the system to read a range ahead.
    pub fn prefetch(&self, start: usize, end: usize) {
        if let Bytes::Mapped(mapping) = &self.bytes {
            let _ = mapping.advise(quiver_io::Advice::WillNeed, start..end.min(mapping.len()));
        }
    }
}

impl Drop for ValueBytes {
    fn drop(&mut self) {
        let bytes = self.len() as u64;
        match &self.bytes {
            Bytes::Mapped(_) => {
                MAPPINGS.fetch_sub(1, Ordering::Relaxed);
                self.gauge.mappings.fetch_sub(1, Ordering::Relaxed);
                self.gauge.mapped.fetch_sub(bytes, Ordering::Relaxed);
            }
            Bytes::Copied(_) => {
                self.gauge.copied.fetch_sub(bytes, Ordering::Relaxed);
            }
        }
    }
}

impl OpenValues {
    /// Nothing open yet.
    pub fn new(limits: Limits) -> Self {
        Self { shared: Arc::default(), known: Mutex::default(), limits }
    }

    /// What is open now.
    pub fn open_now(&self) -> Open {
        Open {
            mappings: self.shared.mappings.load(Ordering::Relaxed),
            mapped_bytes: self.shared.mapped.load(Ordering::Relaxed),
            copied_bytes: self.shared.copied.load(Ordering::Relaxed),
        }
    }

    /// Opens a file value. `Ok(None)`: the file is gone.
    pub fn open(&self, root: &Root, record: &Record) -> Result<Option<ValueBytes>> {
        let path = root.object(record.content, &record.extension);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::os("opening a value", &path, &error)),
        };
        let length = file.metadata().map_err(|error| Error::os("reading a value", &path, &error))?.len();
        if length != record.size {
            return Err(Error::new(
                Code::Corrupt,
                format!("the file has {length} bytes, {} were stored", record.size),
            )
            .at(path));
        }
        let checked = self.checked(root, record, path);
        let bytes = match self.map(&file, record.size) {
            Some(mapping) => Bytes::Mapped(mapping),
            None => Bytes::Copied(self.copy(&file, record.size, &checked.path)?),
        };
        let fresh = match &bytes {
            Bytes::Mapped(mapping) => mapping.as_slice(),
            Bytes::Copied(bytes) => bytes,
        };
        checked.verify_fresh(0, record.size, fresh);
        Ok(Some(ValueBytes { bytes, gauge: Arc::clone(&self.shared), checked }))
    }

    /// A mapping of a large value, while there is room for one. The kernel refuses where others in this process have
    /// taken what it allows.
    fn map(&self, file: &File, size: u64) -> Option<Mapping> {
        if size <= COPY_BELOW || !self.reserve_mapping(size) {
            return None;
        }
        let mapping = Mapping::of_length(file, size);
        if mapping.is_ok() {
            self.shared.mappings.fetch_add(1, Ordering::Relaxed);
            self.shared.mapped.fetch_add(size, Ordering::Relaxed);
        } else {
            MAPPINGS.fetch_sub(1, Ordering::Relaxed);
        }
        mapping.ok()
    }

    /// A copy; of a large value within the budget.
    fn copy(&self, file: &File, size: u64, path: &Path) -> Result<Vec<u8>> {
        if size > COPY_BELOW {
            self.admit_copy(size)?;
        } else {
            self.shared.copied.fetch_add(size, Ordering::Relaxed);
        }
        let mut bytes = vec![0; size as usize];
        quiver_io::read_exact_at(file, &mut bytes, 0).map_err(|error| {
            self.shared.copied.fetch_sub(size, Ordering::Relaxed);
            Error::os("reading a value", path, &error)
        })?;
        Ok(bytes)
    }

    fn reserve_mapping(&self, size: u64) -> bool {
        let limit = if size > LARGE {
            self.limits.mappings
        } else {
            self.limits.mappings - self.limits.reserved.min(self.limits.mappings)
        };
        MAPPINGS
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |live| (live < limit).then_some(live + 1))
            .is_ok()
    }

    fn admit_copy(&self, size: u64) -> Result<()> {
        let limit = self.limits.copies;
        self.shared
            .copied
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |copied| {
                copied.checked_add(size).filter(|sum| *sum <= limit)
            })
            .map(|_| ())
            .map_err(|copied| {
                Error::new(
                    Code::TooManyMappings,
                    format!(
                        "{} values are mapped and {copied} bytes copied beyond them; {size} more bytes are over the budget of {limit}",
                        self.limits.mappings
                    ),
                )
            })
    }

    fn checked(&self, root: &Root, record: &Record, path: PathBuf) -> Arc<Checked> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(checked) = known.get(&record.content).and_then(Weak::upgrade) {
            return checked;
        }
        if known.len() >= 2 * self.limits.mappings {
            known.retain(|_, checked| checked.strong_count() > 0);
        }
        let chunks = record.size.div_ceil(CHUNK as u64) as usize;
        let checked = Arc::new(Checked {
            path,
            sums_path: root.sums(record.content),
            size: record.size,
            sha256: record.sha256,
            few_sums: record.sums.clone(),
            many_sums: Mutex::default(),
            bits: (0..chunks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
        });
        known.insert(record.content, Arc::downgrade(&checked));
        checked
    }
}

/// What of a value has been compared with its sums, by anybody in this process.
#[derive(Debug)]
pub struct Checked {
    path: PathBuf,
    sums_path: PathBuf,
    size: u64,
    sha256: Option<[u8; 32]>,
    few_sums: Vec<u64>,
    many_sums: Mutex<ManySums>,
    bits: Box<[AtomicU64]>,
}

/// Sums in a file of their own.
#[derive(Debug, Default)]
enum ManySums {
    #[default]
    Unread,
    /// Those of the first range that was asked for: many a value is looked at once, and opening a large one shall not
    /// take longer than opening a small one.
    ReadInPart,
    Read(Vec<u64>),
}

/// Why chunks can't be said to be right.
enum Unlike {
    Differs,
    Failed(Error),
}

impl Checked {
    fn is_checked(&self, chunk: usize) -> bool {
        self.bits.get(chunk / 64).is_some_and(|word| word.load(Ordering::Acquire) >> (chunk % 64) & 1 == 1)
    }

    fn set_checked(&self, chunk: usize) {
        if let Some(word) = self.bits.get(chunk / 64) {
            word.fetch_or(1 << (chunk % 64), Ordering::Release);
        }
    }

    /// Whether all of `start..end` has been verified.
    pub fn covers(&self, start: u64, end: u64) -> bool {
        chunks(start, end.min(self.size)).all(|chunk| self.is_checked(chunk))
    }

    /// Compares the chunks that cover `start..end` with their sums, each once. The bytes come from the file, not
    /// from the caller's mapping, whose pages JavaScript may have changed for itself. `in_memory` serves when the
    /// file has been unlinked meanwhile.
    pub fn verify(&self, start: u64, end: u64, in_memory: &[u8]) -> Result<()> {
        let end = end.min(self.size);
        if self.covers(start, end) {
            return Ok(());
        }
        let file = File::open(&self.path).ok();
        let range = chunks(start, end);
        let Some(sums) = self.sums(range.clone()) else { return self.verify_whole(file.as_ref(), in_memory) };
        let parts = sums.chunks(TOGETHER).zip(range.step_by(TOGETHER));
        match crew::try_for_each(parts, |(sums, first)| self.compare(first, sums, file.as_ref(), in_memory)) {
            Ok(()) => Ok(()),
            Err(Unlike::Failed(error)) => Err(error),
            // The sums may be what is damaged: the digest of the whole decides.
            Err(Unlike::Differs) => self.verify_whole(file.as_ref(), in_memory),
        }
    }

    /// Compares the chunks from number `first` on, those that nobody has compared.
    fn compare(
        &self,
        first: usize,
        sums: &[u64],
        file: Option<&File>,
        in_memory: &[u8],
    ) -> std::result::Result<(), Unlike> {
        let mut buffer = vec![0; CHUNK];
        for (chunk, sum) in (first..).zip(sums) {
            if self.is_checked(chunk) {
                continue;
            }
            let at = chunk * CHUNK;
            let length = CHUNK.min(self.size as usize - at);
            let bytes = match file {
                Some(file) => {
                    let bytes = &mut buffer[..length];
                    quiver_io::read_exact_at(file, bytes, at as u64)
                        .map_err(|error| Unlike::Failed(Error::os("reading a value", &self.path, &error)))?;
                    &*bytes
                }
                None => in_memory.get(at..at + length).unwrap_or_default(),
            };
            if *sum != quiver_io::sum64(bytes) {
                return Err(Unlike::Differs);
            }
            self.set_checked(chunk);
        }
        Ok(())
    }

    /// Compares the chunks that cover `start..end`, if they are few, in memory, which takes half as long as to open the
    /// file again and read them. `bytes` are all of the value, and nobody has had the chance to change them since they were
    /// mapped or read. Chunks that differ stay as they are: [`Self::verify`] says what is wrong with them when they are
    /// asked for.
    pub fn verify_fresh(&self, start: u64, end: u64, bytes: &[u8]) {
        let end = end.min(self.size);
        let are_few = end.saturating_sub(start) <= VERIFIED_AT_ONCE;
        if !are_few || bytes.len() as u64 != self.size || self.covers(start, end) {
            return;
        }
        let range = chunks(start, end);
        let Some(sums) = self.sums(range.clone()) else { return };
        for ((chunk, bytes), sum) in bytes.chunks(CHUNK).enumerate().skip(range.start).zip(sums) {
            if sum == quiver_io::sum64(bytes) {
                self.set_checked(chunk);
            }
        }
    }

    /// Compares the whole value with its SHA-256; then all of it has been verified.
    pub fn verify_whole(&self, file: Option<&File>, in_memory: &[u8]) -> Result<()> {
        self.compare_whole(file, in_memory)?;
        for chunk in chunks(0, self.size) {
            self.set_checked(chunk);
        }
        Ok(())
    }

    /// The same of bytes that may not be the value's own, as those of a copy.
    pub fn compare_whole(&self, file: Option<&File>, in_memory: &[u8]) -> Result<()> {
        let mut hasher = Sha256::new();
        match file {
            Some(file) => {
                let mut buffer = vec![0; 1 << 20];
                let mut at = 0;
                while at < self.size {
                    let length = buffer.len().min((self.size - at) as usize);
                    quiver_io::read_exact_at(file, &mut buffer[..length], at)
                        .map_err(|error| Error::os("reading a value", &self.path, &error))?;
                    hasher.update(&buffer[..length]);
                    at += length as u64;
                }
            }
            None => hasher.update(in_memory),
        }
        let found = hasher.finish();
        match self.sha256 {
            Some(expected) if expected != found => Err(Error::new(
                Code::ChecksumMismatch,
                format!(
                    "the stored bytes have changed: expected sha256:{}, found sha256:{}",
                    quiver_io::hex(&expected),
                    quiver_io::hex(&found)
                ),
            )
            .at(&self.path)),
            _ => Ok(()),
        }
    }

    /// The sums of some chunks; `None` when they are lost.
    fn sums(&self, range: Range<usize>) -> Option<Vec<u64>> {
        let chunks = self.size.div_ceil(CHUNK as u64) as usize;
        if !self.few_sums.is_empty() {
            return self.few_sums.get(range).filter(|_| self.few_sums.len() == chunks).map(<[u64]>::to_vec);
        }
        let mut many = self.many_sums.lock().unwrap_or_else(PoisonError::into_inner);
        if let ManySums::Read(sums) = &*many {
            return sums.get(range).map(<[u64]>::to_vec);
        }
        let file = File::open(&self.sums_path).ok()?;
        if file.metadata().ok()?.len() != chunks as u64 * 8 {
            return None;
        }
        if matches!(*many, ManySums::Unread) {
            *many = ManySums::ReadInPart;
            return read_sums(&file, range);
        }
        let all = read_sums(&file, 0..chunks)?;
        let asked = all.get(range).map(<[u64]>::to_vec);
        *many = ManySums::Read(all);
        asked
    }
}

fn read_sums(file: &File, range: Range<usize>) -> Option<Vec<u64>> {
    let mut bytes = vec![0; range.len() * 8];
    quiver_io::read_exact_at(file, &mut bytes, range.start as u64 * 8).ok()?;
    let (words, _) = bytes.as_chunks::<8>();
    Some(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
}

fn chunks(start: u64, end: u64) -> Range<usize> {
    if start >= end {
        return 0..0;
    }
    (start / CHUNK as u64) as usize..end.div_ceil(CHUNK as u64) as usize
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_found_wherever_it_is_and_what_is_whole_is_looked_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        let whole: Vec<u8> = (0..3 * TOGETHER * CHUNK + 1_000).map(|i| (i / 5 % 253) as u8).collect();
        let checked = || Checked {
            path: path.clone(),
            sums_path: folder.path().join("none"),
            size: whole.len() as u64,
            sha256: Some(Sha256::of(&whole)),
            few_sums: whole.chunks(CHUNK).map(quiver_io::sum64).collect(),
            many_sums: Mutex::default(),
            bits: [AtomicU64::new(0)].into(),
        };
        for at in (0..whole.len()).step_by(TOGETHER * CHUNK / 2).chain([whole.len() - 1]) {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            std::fs::write(&path, &bytes).unwrap();
            let damaged = checked();
            assert_eq!(
                damaged.verify(0, damaged.size, &whole).unwrap_err().code,
                Code::ChecksumMismatch,
                "{at}"
            );
            assert!(!damaged.is_checked(at / CHUNK));
        }
        std::fs::write(&path, &whole).unwrap();
        let value = checked();
        value.verify(0, value.size, &[]).unwrap();
        assert!(value.covers(0, value.size));
        // Nothing is read again; without its file, what nobody has compared is taken from memory.
        std::fs::remove_file(&path).unwrap();
        value.verify(0, value.size, &[]).unwrap();
        checked().verify(0, value.size, &whole).unwrap();
        assert!(checked().verify(0, value.size, &vec![0; whole.len()]).is_err());
    }
}
