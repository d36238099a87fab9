//! Linux, where everything is tested.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

pub(super) use libc::{F_OFD_GETLK, F_OFD_SETLK};

/// Has the system begin to write a file out. What fails here shows when the file is synced.
pub fn start_writing(file: &File) {
    // SAFETY: the descriptor is this file's; no memory is passed.
    unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Has the system provide memory at once, which takes half as long as page by page when each is first written to. Changes
/// no byte of it; a kernel before 5.14 does nothing.
pub fn populate(memory: &mut [u8]) {
    let page = super::page_size();
    let skipped = memory.as_ptr().align_offset(page);
    let Some(pages) = memory.get_mut(skipped..) else { return };
    let length = pages.len() / page * page;
    // SAFETY: whole pages of memory that is borrowed for writing; their bytes stay as they are.
    unsafe { libc::madvise(pages.as_mut_ptr().cast(), length, libc::MADV_POPULATE_WRITE) };
}

/// A thread of this process, for [`keep_off`].
pub type ThreadNumber = rustix::thread::Pid;

/// The thread that asks.
pub fn this_thread() -> ThreadNumber {
    rustix::thread::gettid()
}

/// The processor that this thread runs on.
pub fn processor() -> usize {
    rustix::thread::sched_getcpu()
}

/// Lets a thread run on all processors that the caller may use but this one. If there is no other, or the system
/// refuses, it stays as it is.
pub fn keep_off(thread: ThreadNumber, processor: usize) {
    let Ok(mut allowed) = rustix::thread::sched_getaffinity(None) else { return };
    if processor < rustix::thread::CpuSet::MAX_CPU {
        allowed.unset(processor);
    }
    if allowed.count() > 0 {
        let _ = rustix::thread::sched_setaffinity(Some(thread), &allowed);
    }
}

/// Extends a file to at least `bytes`, with blocks. Unsupported by some file systems.
pub fn allocate(file: &File, bytes: u64) -> Result<()> {
    loop {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Err(Error::from(ErrorKind::Unsupported)),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Makes an empty file share the blocks of another one. Whether the file system could.
pub fn reflink(source: &File, target: &File) -> bool {
    rustix::fs::ioctl_ficlone(target, source).is_ok()
}

/// The name of the file system under a folder, or its number in hexadecimal; and whether several hosts may share it.
pub fn file_system(dir: &Path) -> Result<(String, bool)> {
    let (name, network) = match rustix::fs::statfs(dir)?.f_type {
        0xef53 => ("ext4", false),
        0x5846_5342 => ("xfs", false),
        0x9123_683e => ("btrfs", false),
        0x0102_1994 => ("tmpfs", false),
        0x794c_7630 => ("overlay", false),
        0x2fc1_2fc1 => ("zfs", false),
        0x6969 => ("nfs", true),
        0x517b => ("smb", true),
        0xfe53_4d42 => ("smb2", true),
        0xff53_4d42 => ("cifs", true),
        0x6573_5546 => ("fuse", true),
        0x0bd0_0bd0 => ("lustre", true),
        0x00c3_6400 => ("ceph", true),
        0x4750_4653 => ("gpfs", true),
        0x0102_1997 => ("9p", true),
        0x5346_414f => ("afs", true),
        other => return Ok((format!("{other:#x}"), false)),
    };
    Ok((name.to_owned(), network))
}

/// Changes with every boot; empty where `/proc` is missing.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// When this process started, and the namespace that its number belongs to.
pub fn process_origin() -> String {
    let started = std::fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|stat| {
            // The name in parentheses may hold anything; fields are counted after it. Start time is the 22nd.
            let rest = stat.rsplit_once(')')?.1.to_owned();
            rest.split_whitespace().nth(19).map(str::to_owned)
        })
        .unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid")
        .map(|link| link.to_string_lossy().chars().filter(char::is_ascii_digit).collect::<String>())
        .unwrap_or_default();
    format!("{started}-{namespace}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn whole_pages_are_provided_and_bytes_stay() {
        let mut memory = memmap2::MmapMut::map_anon(64 << 10).unwrap();
        memory[10_000] = 7;
        populate(&mut memory[100..60_000]);
        assert_eq!(memory[10_000], 7);
        populate(&mut memory[1..2]);
        populate(&mut []);
        let mut resident = [0_u8; 16];
        // SAFETY: the range is mapped and has as many pages as there is room for.
        let failed =
            unsafe { libc::mincore(memory.as_mut_ptr().cast(), memory.len(), resident.as_mut_ptr()) };
        assert_eq!(failed, 0);
        // The first page and the last ones are not whole.
        assert_eq!(resident.map(|page| page & 1), [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
    }
}
