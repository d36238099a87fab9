//! What Linux and macOS share.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use memmap2::MmapMut;
use rustix::fs::{Access, AtFlags, CWD, RenameFlags, accessat, renameat_with};
use rustix::io::Errno;

use crate::map::Advice;
use crate::storage::FileFacts;

/// Address space may be mapped past the end of a file, and is usable as far as the file then grows.
pub const MAPS_PAST_END: bool = true;

/// Opens; a symbolic link in the file's place is an error.
pub fn open(options: &mut OpenOptions, path: &Path) -> Result<File> {
    options.custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Makes a file to read and write, with these permission bits or fewer; `AlreadyExists` when anything is there.
pub fn create_new(path: &Path, mode: u32) -> Result<File> {
    open(OpenOptions::new().read(true).write(true).create_new(true).mode(mode), path)
}

/// Sets exactly these permission bits, whatever the umask. Looks first, as a change goes through the file system's journal.
pub fn set_mode(file: &File, mode: u32) -> Result<()> {
    if mode_of(&file.metadata()?) == mode {
        return Ok(());
    }
    file.set_permissions(Permissions::from_mode(mode))
}

/// The same for what has this name.
pub fn set_mode_at(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Permission bits.
pub fn mode_of(metadata: &Metadata) -> u32 {
    metadata.mode() & 0o7777
}

/// Whether permission bits of a file are those that it was given.
pub fn is_mode(found: u32, given: u32) -> bool {
    found == given
}

/// Makes a folder with these permission bits or fewer.
pub fn create_dir(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().mode(mode & 0o777).create(path)
}

/// Gives a new folder its bits whatever the umask took away; a group taken over from the parent stays taken over.
pub fn set_dir_mode(path: &Path, mode: u32) -> Result<()> {
    let inherited = std::fs::metadata(path)?.mode() & 0o2000;
    set_mode_at(path, mode | inherited)
}

/// Makes the names in a folder durable.
pub fn sync_dir(path: &Path) -> Result<()> {
    File::open(path)?.sync_all()
}

fn facts_of(metadata: &Metadata) -> FileFacts {
    FileFacts {
        dev: metadata.dev(),
        ino: metadata.ino(),
        size: metadata.len(),
        allocated: metadata.blocks() * 512,
        mtime_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        ctime_ns: i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec()),
        mode: mode_of(metadata),
        nlink: metadata.nlink(),
        is_dir: metadata.is_dir(),
        is_file: metadata.is_file(),
    }
}

/// Facts of an open file.
pub fn facts(file: &File) -> Result<FileFacts> {
    Ok(facts_of(&file.metadata()?))
}

/// Facts of what has this name; of a symbolic link itself.
pub fn facts_at(path: &Path) -> Result<FileFacts> {
    Ok(facts_of(&std::fs::symlink_metadata(path)?))
}

/// Renames, replacing what is there.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to)
}

/// Renames; `AlreadyExists` when something is there. Unsupported by some file systems.
pub fn rename_new(from: &Path, to: &Path) -> Result<()> {
    rename_with(from, to, RenameFlags::NOREPLACE)
}

/// Swaps two names. Unsupported by some file systems.
pub fn exchange(from: &Path, to: &Path) -> Result<()> {
    rename_with(from, to, RenameFlags::EXCHANGE)
}

fn rename_with(from: &Path, to: &Path, flags: RenameFlags) -> Result<()> {
    renameat_with(CWD, from, CWD, to, flags).map_err(|errno| {
        if [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP].contains(&errno) {
            Error::from(ErrorKind::Unsupported)
        } else {
            errno.into()
        }
    })
}

/// Removes a name.
pub fn unlink(path: &Path) -> Result<()> {
    std::fs::remove_file(path)
}

/// Whether a file could be opened to write, or made.
pub fn check_writable(path: &Path) -> Result<()> {
    let ask = |path: &Path, access| accessat(CWD, path, access, AtFlags::EACCESS);
    let answer = match (ask(path, Access::WRITE_OK), path.parent()) {
        (Err(Errno::NOENT), Some(folder)) => ask(folder, Access::WRITE_OK | Access::EXEC_OK),
        (answer, _) => answer,
    };
    Ok(answer?)
}

/// Reads some bytes at an offset; 0 at the end of the file.
#[inline]
pub fn read_at(file: &File, bytes: &mut [u8], at: u64) -> Result<usize> {
    file.read_at(bytes, at)
}

/// Fills `bytes` from an offset; `UnexpectedEof` when the file ends before.
#[inline]
pub fn read_exact_at(file: &File, bytes: &mut [u8], at: u64) -> Result<()> {
    file.read_exact_at(bytes, at)
}

/// Writes all of it at an offset.
#[inline]
pub fn write_all_at(file: &File, bytes: &[u8], at: u64) -> Result<()> {
    file.write_all_at(bytes, at)
}

/// Locks a whole file without waiting, until it is closed; false when somebody else has it. What it holds can be read
/// and written all the same.
pub fn try_lock_file(file: &File) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The same, waiting for as long as it takes.
pub fn lock_file(file: &File) -> Result<()> {
    file.lock()
}

/// Gives the lock of a whole file up.
pub fn unlock_file(file: &File) -> Result<()> {
    file.unlock()
}

/// Whether the file system has no locks of whole files.
pub fn has_no_locks(error: &Error) -> bool {
    let numbers = [libc::ENOLCK, libc::EOPNOTSUPP, libc::ENOTSUP, libc::ENOSYS];
    error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

/// Whether this process, or the machine, has too many files open.
pub fn has_too_many_files(error: &Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Tells the system how a range of a mapping is going to be read.
pub fn advise(map: &MmapMut, advice: Advice, start: usize, length: usize) -> Result<()> {
    let advice = match advice {
        Advice::Random => memmap2::Advice::Random,
        Advice::WillNeed => memmap2::Advice::WillNeed,
        Advice::Normal => memmap2::Advice::Normal,
    };
    map.advise_range(advice, start, length)
}

/// Bytes of a page of memory. May be asked for by signal handlers.
#[allow(unsafe_code)]
pub fn page_size() -> usize {
    // SAFETY: only a number is asked for, one that every system has.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// Whether the page at the start of some mapped bytes is in memory; none where the system doesn't say.
#[allow(unsafe_code)]
pub fn is_resident(bytes: &[u8]) -> Option<bool> {
    let mut state = 0_u8;
    let inside = bytes.as_ptr().addr().checked_rem(page_size())?;
    // SAFETY: the address is that of the page that the bytes begin in, of which the system writes one byte to `state`.
    let told = unsafe {
        libc::mincore(bytes.as_ptr().sub(inside).cast_mut().cast(), 1, (&raw mut state).cast()) == 0
    };
    told.then_some(state & 1 == 1)
}

/// A file of its own for a descriptor that somebody else has open. A number that is none is an error.
#[allow(unsafe_code)]
pub fn file_of_descriptor(descriptor: i32) -> Result<File> {
    if descriptor < 0 {
        return Err(Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the number is not -1, and all that is done with it is to duplicate it, which fails where it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Ok(File::from(borrowed.try_clone_to_owned()?))
}

/// Bytes that this user can still write to the file system of a folder.
pub fn free_bytes(dir: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail * stat.f_frsize)
}
