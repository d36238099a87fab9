//! macOS. Compiles; has never run.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

// `<sys/fcntl.h>` has them since macOS 14, the kernel since 10.12; `libc` does not.
pub(super) const F_OFD_SETLK: libc::c_int = 90;
pub(super) const F_OFD_GETLK: libc::c_int = 92;

/// There is no call that begins to write a file out without waiting.
pub fn start_writing(_file: &File) {}

/// Pages come one by one.
pub fn populate(_memory: &mut [u8]) {}

/// `F_PREALLOCATE` takes blocks and leaves the file's length, so that nothing would be gained.
pub fn allocate(_file: &File, _bytes: u64) -> Result<()> {
    Err(Error::from(ErrorKind::Unsupported))
}

/// Files are cloned by name only, never into one that is there.
pub fn reflink(_source: &File, _target: &File) -> bool {
    false
}

/// The name of the file system under a folder, and whether it is of another host.
pub fn file_system(dir: &Path) -> Result<(String, bool)> {
    let stat = rustix::fs::statfs(dir)?;
    let name =
        stat.f_fstypename.iter().take_while(|unit| **unit != 0).map(|unit| *unit as u8 as char).collect();
    Ok((name, stat.f_flags & libc::MNT_LOCAL as u32 == 0))
}

/// Changes with every boot.
pub fn boot_id() -> String {
    // A UUID as text, with the zero that ends it.
    let mut text = [0_u8; 37];
    let mut length = text.len();
    // SAFETY: the name is NUL-terminated; at most `length` bytes are written to `text`; nothing is set.
    let answer = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            text.as_mut_ptr().cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    let id = if answer == 0 { CStr::from_bytes_until_nul(&text).ok() } else { None };
    id.map(|id| id.to_string_lossy().into_owned()).unwrap_or_default()
}

/// When this process started.
pub fn process_origin() -> String {
    // SAFETY: integers and arrays of them, for which zeros are values.
    let mut facts: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::proc_bsdinfo>() as libc::c_int;
    // SAFETY: at most `size` bytes are written to `facts`, which has that many.
    let written = unsafe {
        libc::proc_pidinfo(
            std::process::id() as libc::c_int,
            libc::PROC_PIDTBSDINFO,
            0,
            (&raw mut facts).cast(),
            size,
        )
    };
    if written == size {
        format!("{}.{:06}-", facts.pbi_start_tvsec, facts.pbi_start_tvusec)
    } else {
        "-".into()
    }
}
