//! Mapped files.

#![allow(unsafe_code)]

use std::io::Result;

use memmap2::MmapMut;
use windows_sys::Win32::System::Memory::{PrefetchVirtualMemory, WIN32_MEMORY_RANGE_ENTRY};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::succeeded;
use crate::map::Advice;

/// A file can be mapped as far as it goes.
pub const MAPS_PAST_END: bool = false;

/// Bytes of a page of memory, on every processor that Windows runs on.
pub fn page_size() -> usize {
    4096
}

/// Pages come one by one.
pub fn populate(_memory: &mut [u8]) {}

/// Has the system read a range that is needed soon; there is nothing to say about the order of other reads.
pub fn advise(map: &MmapMut, advice: Advice, start: usize, length: usize) -> Result<()> {
    let Some(range) = map.get(start..).and_then(|rest| rest.get(..length)) else { return Ok(()) };
    if advice != Advice::WillNeed {
        return Ok(());
    }
    let entry = WIN32_MEMORY_RANGE_ENTRY {
        VirtualAddress: range.as_ptr().cast_mut().cast(),
        NumberOfBytes: range.len(),
    };
    // SAFETY: one entry is passed, which lies in a mapping that outlives the call; nothing is written to it.
    succeeded(unsafe { PrefetchVirtualMemory(GetCurrentProcess(), 1, &raw const entry, 0) })
}

/// Not asked.
pub fn is_resident(_bytes: &[u8]) -> Option<bool> {
    None
}

/// The system refuses to shorten a mapped file. A sector that can't be read ends the process all the same: here a page
/// can't be put in place of one that is mapped.
pub fn catch_lost_pages(_mend: fn(usize) -> bool) {}

/// Can't be done.
///
/// # Safety
/// None is needed; other systems need some.
pub unsafe fn put_zeros(_address: usize) -> bool {
    false
}
