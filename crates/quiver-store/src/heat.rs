//! Usage of entries: last access, count and the visited bit. Losing a second of it costs nothing, so each process
//! counts in private memory, which JavaScript writes directly, and merges it into a shared file once a second.
//! A mapped file in place of that would stall JavaScript during writeback.
//!
//! File: 8 bytes a slot, little-endian: `time (8 ms units since 1970) << 24 | visited << 23 | count (23 bits)`.

#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};
use crate::stamps::MAX_SLOTS;

const ENTRY: u64 = 8;
const COUNT: u64 = (1 << 23) - 1;
const VISITED: u64 = 1 << 23;
const TIME_SHIFT: u32 = 24;
const UNIT_SHIFT: u32 = 3;
/// Slots of one read-modify-write of the file.
const BLOCK: usize = 512;

/// Usage of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Wall-clock ms of the last access, to 8 ms; 0 = never.
    pub last_access: u64,
    /// Accesses, saturating at about eight million.
    pub count: u32,
    /// Accessed since the last eviction that passed over it.
    pub visited: bool,
}

impl Usage {
    /// Whether all of it is from before `time`, of an entry that had the slot then. Within the file's 8 ms it isn't.
    pub fn is_from_before(&self, time: u64) -> bool {
        self.last_access >> UNIT_SHIFT < time >> UNIT_SHIFT
    }

    fn decode(word: u64) -> Self {
        Self {
            last_access: (word >> TIME_SHIFT) << UNIT_SHIFT,
            count: (word & COUNT) as u32,
            visited: word & VISITED != 0,
        }
    }

    fn add(&mut self, count: u32, at: u64) {
        if count > 0 {
            self.last_access = self.last_access.max(at);
            self.count = self.count.saturating_add(count);
            self.visited = true;
        }
    }

    fn encode(self) -> u64 {
        let visited = if self.visited { VISITED } else { 0 };
        (self.last_access >> UNIT_SHIFT) << TIME_SHIFT | visited | u64::from(self.count).min(COUNT)
    }
}

/// Private counts and the file they go to.
#[derive(Debug)]
pub struct Heat {
    /// Accesses since the last merge, a word a slot; JavaScript counts here too.
    counts: Box<[AtomicU32]>,
    /// When, as ms since `origin`, for accesses that were counted natively; 0 = not known, within the last second.
    times: Box<[AtomicU32]>,
    origin: u64,
    file: Option<File>,
    writable: bool,
    merging: Mutex<()>,
}

impl Heat {
    /// Opens or makes the file, with permission bits `mode`; without them it is only read, where it is there, and
    /// what this process counts is forgotten at the end.
    pub fn open(path: &Path, mode: Option<u32>, now: u64) -> Result<Self> {
        let file = match mode {
            Some(mode) => Some(quiver_io::open_or_create(path, mode)?),
            None => File::open(path).ok(),
        };
        Ok(Self {
            counts: zeroed(MAX_SLOTS as usize),
            times: zeroed(MAX_SLOTS as usize),
            origin: now.max(1) - 1,
            file,
            writable: mode.is_some(),
            merging: Mutex::new(()),
        })
    }

    /// Address and bytes of the private counts, for the view through which JavaScript counts.
    pub fn raw(&self) -> (*const u8, usize) {
        (self.counts.as_ptr().cast(), self.counts.len() * 4)
    }

    /// Counts one access.
    pub fn touch(&self, slot: u32, now: u64) {
        if let (Some(count), Some(time)) = (self.counts.get(slot as usize), self.times.get(slot as usize)) {
            time.store(now.saturating_sub(self.origin).min(u64::from(u32::MAX)) as u32, Ordering::Relaxed);
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes what was counted into the file. `slots` = how many are in use.
    pub fn merge(&self, slots: u32, now: u64) -> Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| self.writable) else { return Ok(()) };
        let _guard = self.merging.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let slots = (slots.min(MAX_SLOTS)) as usize;
        for block in (0..slots).step_by(BLOCK) {
            let end = (block + BLOCK).min(slots);
            if self.counts[block..end].iter().all(|count| count.load(Ordering::Relaxed) == 0) {
                continue;
            }
            Self::update(file, block, end, |slot, usage| {
                let count = self.counts[slot].swap(0, Ordering::Relaxed);
                usage.add(count, self.time(self.times[slot].swap(0, Ordering::Relaxed), now));
            })?;
        }
        Ok(())
    }

    /// Forgets slots that now belong to other entries.
    pub fn reset(&self, slots: &[u32]) -> Result<()> {
        for &slot in slots {
            if let Some(count) = self.counts.get(slot as usize) {
                count.store(0, Ordering::Relaxed);
            }
        }
        let Some(file) = self.file.as_ref().filter(|_| self.writable) else { return Ok(()) };
        let _guard = self.merging.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for &slot in slots {
            write_at(file, &[0; ENTRY as usize], u64::from(slot) * ENTRY)?;
        }
        Ok(())
    }

    /// Clears the visited bits that an eviction passed over.
    pub fn unvisit(&self, slots: &[u32]) -> Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| self.writable) else { return Ok(()) };
        let _guard = self.merging.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for &slot in slots {
            Self::update(file, slot as usize, slot as usize + 1, |_, usage| usage.visited = false)?;
        }
        Ok(())
    }

    fn update(
        file: &File,
        start: usize,
        end: usize,
        mut change: impl FnMut(usize, &mut Usage),
    ) -> Result<()> {
        let mut bytes = vec![0; (end - start) * ENTRY as usize];
        let at = start as u64 * ENTRY;
        read_at(file, &mut bytes, at)?;
        for (index, word) in bytes.chunks_exact_mut(ENTRY as usize).enumerate() {
            let mut usage = Usage::decode(u64::from_le_bytes(word.try_into().unwrap_or_default()));
            change(start + index, &mut usage);
            word.copy_from_slice(&usage.encode().to_le_bytes());
        }
        write_at(file, &bytes, at)
    }

    /// Usage of the slots `0 … slots`, what this process has not merged yet included.
    pub fn snapshot(&self, slots: u32, now: u64) -> Result<Vec<Usage>> {
        let slots = slots.min(MAX_SLOTS) as usize;
        let mut bytes = vec![0; slots * ENTRY as usize];
        if let Some(file) = &self.file {
            read_at(file, &mut bytes, 0)?;
        }
        let mut out: Vec<Usage> = bytes
            .chunks_exact(ENTRY as usize)
            .map(|word| Usage::decode(u64::from_le_bytes(word.try_into().unwrap_or_default())))
            .collect();
        for (slot, usage) in out.iter_mut().enumerate() {
            self.add_pending(slot, usage, now);
        }
        Ok(out)
    }

    /// Usage of one slot.
    pub fn usage(&self, slot: u32, now: u64) -> Usage {
        if slot >= MAX_SLOTS {
            return Usage::default();
        }
        let mut word = [0; ENTRY as usize];
        if let Some(file) = &self.file
            && read_at(file, &mut word, u64::from(slot) * ENTRY).is_err()
        {
            word = [0; ENTRY as usize];
        }
        let mut usage = Usage::decode(u64::from_le_bytes(word));
        self.add_pending(slot as usize, &mut usage, now);
        usage
    }

    fn add_pending(&self, slot: usize, usage: &mut Usage, now: u64) {
        let count = self.counts[slot].load(Ordering::Relaxed);
        usage.add(count, self.time(self.times[slot].load(Ordering::Relaxed), now));
    }

    fn time(&self, known: u32, now: u64) -> u64 {
        if known == 0 { now } else { self.origin + u64::from(known) }
    }
}

/// Reads what the file has of a range; beyond its end, zeros.
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> Result<()> {
    while !bytes.is_empty() {
        match quiver_io::read_at(file, bytes, at) {
            Ok(0) => {
                bytes.fill(0);
                return Ok(());
            }
            Ok(read) => {
                bytes = &mut bytes[read..];
                at += read as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::os("reading the usage table", Path::new("heat"), &error)),
        }
    }
    Ok(())
}

fn write_at(file: &File, bytes: &[u8], at: u64) -> Result<()> {
    quiver_io::write_all_at(file, bytes, at)
        .map_err(|error| Error::os("writing the usage table", Path::new("heat"), &error))
}

/// Zeroed counters whose pages the system provides when first touched.
fn zeroed(words: usize) -> Box<[AtomicU32]> {
    let plain: Box<[u32]> = vec![0_u32; words].into_boxed_slice();
    let raw = Box::into_raw(plain);
    // SAFETY: AtomicU32 has the size, alignment and bit validity of u32, so the allocation can change its type.
    unsafe { Box::from_raw(raw as *mut [AtomicU32]) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_two_processes_add_up_and_times_move_forward() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heat");
        let one = Heat::open(&path, Some(0o600), 1_000_000).unwrap();
        let two = Heat::open(&path, Some(0o600), 1_000_000).unwrap();
        one.touch(700, 1_000_080);
        one.touch(700, 1_000_160);
        two.touch(700, 1_000_120);
        one.merge(1_000, 1_000_500).unwrap();
        two.merge(1_000, 1_000_500).unwrap();
        let usage = one.usage(700, 1_000_500);
        assert_eq!((usage.count, usage.visited), (3, true));
        assert_eq!(usage.last_access, 1_000_160 / 8 * 8);
        one.unvisit(&[700]).unwrap();
        assert!(!two.usage(700, 1_000_500).visited);
        one.reset(&[700]).unwrap();
        assert_eq!(two.usage(700, 1_000_500), Usage::default());
    }

    #[test]
    fn a_reader_sees_what_others_merged_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heat");
        let writer = Heat::open(&path, Some(0o600), 1_000).unwrap();
        writer.touch(3, 1_008);
        writer.merge(10, 2_000).unwrap();
        let reader = Heat::open(&path, None, 3_000).unwrap();
        reader.touch(3, 3_008);
        reader.merge(10, 4_000).unwrap();
        assert_eq!(reader.usage(3, 4_000).count, 2);
        assert_eq!(writer.usage(3, 4_000).count, 1);
    }

    #[test]
    fn unmerged_accesses_are_seen_by_their_own_process() {
        let folder = tempfile::tempdir().unwrap();
        let heat = Heat::open(&folder.path().join("absent"), None, 5_000).unwrap();
        heat.touch(3, 5_100);
        assert_eq!(heat.usage(3, 5_200).count, 1);
        assert_eq!(heat.snapshot(10, 5_200).unwrap()[3].count, 1);
    }
}
