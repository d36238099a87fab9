//! Files and their names.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Result, Seek as _, SeekFrom};
use std::mem::{offset_of, size_of, size_of_val};
use std::os::windows::ffi::OsStrExt;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::Path;

use windows_sys::Wdk::Storage::FileSystem::{
    FILE_RENAME_IGNORE_READONLY_ATTRIBUTE, FILE_RENAME_POSIX_SEMANTICS, FILE_RENAME_REPLACE_IF_EXISTS,
};
use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, ERROR_TOO_MANY_OPEN_FILES};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, DELETE, FILE_ATTRIBUTE_DEVICE, FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_NORMAL, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_BASIC_INFO,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_INFO_BY_HANDLE_CLASS,
    FILE_READ_ATTRIBUTES, FILE_RENAME_INFO, FILE_STANDARD_INFO, FILE_WRITE_ATTRIBUTES, FileBasicInfo,
    FileRenameInfoEx, FileStandardInfo, GetFileInformationByHandle, GetFileInformationByHandleEx,
    MoveFileExW, SetFileInformationByHandle,
};

use super::{succeeded, wide};
use crate::storage::FileFacts;

/// Permission bits as far as there are any: who has access is inherited from the folder, and a file may be read-only.
const READ_ONLY: u32 = 0o444;
const WRITABLE: u32 = 0o666;
const ANY_WRITE: u32 = 0o222;

/// Opens; a symbolic link in the file's place is an error.
pub fn open(options: &mut OpenOptions, path: &Path) -> Result<File> {
    let file = options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)?;
    if file.metadata()?.file_type().is_symlink() {
        return Err(Error::other("it is a symbolic link"));
    }
    Ok(file)
}

/// Makes a file to read and write, read-only for those who open it later where `mode` gives nobody more;
/// `AlreadyExists` when anything is there.
pub fn create_new(path: &Path, mode: u32) -> Result<File> {
    let attributes = if mode & ANY_WRITE == 0 { FILE_ATTRIBUTE_READONLY } else { FILE_ATTRIBUTE_NORMAL };
    open(OpenOptions::new().read(true).write(true).create_new(true).attributes(attributes), path)
}

/// Makes a file read-only, or not.
pub fn set_mode(file: &File, mode: u32) -> Result<()> {
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(mode & ANY_WRITE == 0);
    file.set_permissions(permissions)
}

/// The same for what has this name.
pub fn set_mode_at(path: &Path, mode: u32) -> Result<()> {
    let mut permissions = std::fs::metadata(path)?.permissions();
    permissions.set_readonly(mode & ANY_WRITE == 0);
    std::fs::set_permissions(path, permissions)
}

/// Permission bits.
pub fn mode_of(metadata: &Metadata) -> u32 {
    if metadata.permissions().readonly() { READ_ONLY } else { WRITABLE }
}

/// Whether permission bits of a file are those that it was given, as far as there are any.
pub fn is_mode(found: u32, given: u32) -> bool {
    (found & ANY_WRITE == 0) == (given & ANY_WRITE == 0)
}

/// Makes a folder. Who has access is inherited.
pub fn create_dir(path: &Path, _mode: u32) -> Result<()> {
    std::fs::create_dir(path)
}

/// A folder has no permission bits: all there is to say is whether it is there.
pub fn set_dir_mode(path: &Path, _mode: u32) -> Result<()> {
    std::fs::metadata(path).map(drop)
}

/// A folder can't be synced, only missed: changes of names are in the journal of NTFS, in order, and reach the disk when
/// that is written.
pub fn sync_dir(path: &Path) -> Result<()> {
    std::fs::metadata(path).map(drop)
}

/// There is no call that begins to write a file out without waiting.
pub fn start_writing(_file: &File) {}

/// Setting a file's length takes its blocks on some file systems and not on others, and could cut off what another
/// process has just added.
pub fn allocate(_file: &File, _bytes: u64) -> Result<()> {
    Err(Error::from(ErrorKind::Unsupported))
}

/// Only `ReFS` shares blocks.
pub fn reflink(_source: &File, _target: &File) -> bool {
    false
}

/// Facts of an open file.
pub fn facts(file: &File) -> Result<FileFacts> {
    let mut identity = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is this file's, and the structure is written as a whole.
    succeeded(unsafe { GetFileInformationByHandle(file.as_raw_handle(), &raw mut identity) })?;
    let standard: FILE_STANDARD_INFO = information(file, FileStandardInfo)?;
    let basic: FILE_BASIC_INFO = information(file, FileBasicInfo)?;
    let has = |attribute| identity.dwFileAttributes & attribute != 0;
    Ok(FileFacts {
        dev: u64::from(identity.dwVolumeSerialNumber),
        ino: u64::from(identity.nFileIndexHigh) << 32 | u64::from(identity.nFileIndexLow),
        size: standard.EndOfFile as u64,
        allocated: standard.AllocationSize as u64,
        mtime_ns: nanoseconds(basic.LastWriteTime),
        ctime_ns: nanoseconds(basic.ChangeTime),
        mode: if has(FILE_ATTRIBUTE_READONLY) { READ_ONLY } else { WRITABLE },
        nlink: if standard.DeletePending { 0 } else { u64::from(standard.NumberOfLinks) },
        is_dir: has(FILE_ATTRIBUTE_DIRECTORY) && !has(FILE_ATTRIBUTE_REPARSE_POINT),
        is_file: !has(FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT | FILE_ATTRIBUTE_DEVICE),
    })
}

/// Facts of what has this name; of a symbolic link itself.
pub fn facts_at(path: &Path) -> Result<FileFacts> {
    facts(&open_name(path, FILE_READ_ATTRIBUTES)?)
}

/// Opens a file, folder or link for what is done to its name or facts.
fn open_name(path: &Path, access: u32) -> Result<File> {
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
    OpenOptions::new().access_mode(access).custom_flags(flags).open(path)
}

fn information<T: Default>(file: &File, class: FILE_INFO_BY_HANDLE_CLASS) -> Result<T> {
    let mut answer = T::default();
    let length = size_of::<T>() as u32;
    // SAFETY: the handle is this file's; at most `length` bytes are written to `answer`, which has that many. The
    // callers pair each class with its structure, whose fields take every value that the system writes.
    succeeded(unsafe {
        GetFileInformationByHandleEx(file.as_raw_handle(), class, (&raw mut answer).cast::<c_void>(), length)
    })?;
    Ok(answer)
}

/// Nanoseconds since 1970 for steps of 100 ns since 1601.
fn nanoseconds(steps: i64) -> i128 {
    const FROM_1601_TO_1970: i128 = 116_444_736_000_000_000;
    (i128::from(steps) - FROM_1601_TO_1970) * 100
}

/// Renames, replacing what is there; on NTFS also where that is read-only or open.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    match rename_over(from, to) {
        Err(error) if error.raw_os_error() == Some(ERROR_INVALID_PARAMETER as i32) => {
            std::fs::rename(from, to)
        }
        renamed => renamed,
    }
}

/// Renames; `AlreadyExists` when something is there.
pub fn rename_new(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (wide(from), wide(to));
    // SAFETY: both names end with a zero and outlive the call.
    succeeded(unsafe { MoveFileExW(from.as_ptr(), to.as_ptr(), 0) })
}

/// Renames as Unix does. `ERROR_INVALID_PARAMETER` where the file system doesn't know how.
fn rename_over(from: &Path, to: &Path) -> Result<()> {
    let source = open_name(from, DELETE)?;
    // Without a folder to start from the call takes the whole path.
    let name: Vec<u16> = std::path::absolute(to)?.as_os_str().encode_wide().collect();
    let length = offset_of!(FILE_RENAME_INFO, FileName) + size_of_val(&name[..]) + size_of::<u16>();
    let mut request = vec![0_u64; length.max(size_of::<FILE_RENAME_INFO>()).div_ceil(size_of::<u64>())];
    let info = request.as_mut_ptr().cast::<FILE_RENAME_INFO>();
    // SAFETY: `request` is aligned for the structure, has room for it with the name at its end, and is zeros.
    unsafe {
        (*info).Anonymous.Flags = FILE_RENAME_REPLACE_IF_EXISTS
            | FILE_RENAME_POSIX_SEMANTICS
            | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE;
        (*info).FileNameLength = size_of_val(&name[..]) as u32;
        std::ptr::copy_nonoverlapping(name.as_ptr(), (&raw mut (*info).FileName).cast::<u16>(), name.len());
    }
    // SAFETY: the handle is open to be renamed, and `length` bytes of `info` were written or are zero.
    succeeded(unsafe {
        SetFileInformationByHandle(
            source.as_raw_handle(),
            FileRenameInfoEx,
            info.cast::<c_void>(),
            length as u32,
        )
    })
}

/// Removes a name, also of a read-only file.
pub fn unlink(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied && facts_at(path)?.mode == READ_ONLY => {
            // The file may have other names, under which it stays read-only.
            let file = open_name(path, FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES)?;
            set_mode(&file, WRITABLE)?;
            let removed = std::fs::remove_file(path);
            let _ = set_mode(&file, READ_ONLY);
            removed
        }
        removed => removed,
    }
}

/// There is no such call.
pub fn exchange(_from: &Path, _to: &Path) -> Result<()> {
    Err(Error::from(ErrorKind::Unsupported))
}

/// Whether a file can be opened to write; where there is none, whether its folder is there.
pub fn check_writable(path: &Path) -> Result<()> {
    match (OpenOptions::new().write(true).open(path), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == ErrorKind::NotFound => {
            std::fs::metadata(folder).map(drop)
        }
        (opened, _) => opened.map(drop),
    }
}

/// Reads some bytes at an offset; 0 at the end of the file. Moves the file's own offset, which nobody who reads by
/// offsets relies on.
pub fn read_at(file: &File, bytes: &mut [u8], at: u64) -> Result<usize> {
    file.seek_read(bytes, at)
}

/// Fills `bytes` from an offset; `UnexpectedEof` when the file ends before.
pub fn read_exact_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> Result<()> {
    while !bytes.is_empty() {
        match read_at(file, bytes, at)? {
            0 => return Err(Error::from(ErrorKind::UnexpectedEof)),
            read => {
                bytes = bytes.get_mut(read..).unwrap_or_default();
                at += read as u64;
            }
        }
    }
    Ok(())
}

/// Writes all of it at an offset. The call moves the file's own offset, where somebody may go on appending: it is put
/// back.
pub fn write_all_at(mut file: &File, mut bytes: &[u8], mut at: u64) -> Result<()> {
    let before = file.stream_position()?;
    while !bytes.is_empty() {
        match file.seek_write(bytes, at)? {
            0 => return Err(Error::from(ErrorKind::WriteZero)),
            written => {
                bytes = bytes.get(written..).unwrap_or_default();
                at += written as u64;
            }
        }
    }
    file.seek(SeekFrom::Start(before)).map(drop)
}

/// Whether this process, or the machine, has too many files open.
pub fn has_too_many_files(error: &Error) -> bool {
    error.raw_os_error() == Some(ERROR_TOO_MANY_OPEN_FILES as i32)
}

/// Descriptors belong to the C library of the program that opened them, which this one doesn't share.
pub fn file_of_descriptor(_descriptor: i32) -> Result<File> {
    Err(Error::from(ErrorKind::Unsupported))
}
