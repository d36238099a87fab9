//! Windows. Compiles, and its tests pass under Wine; has never run on Windows.
//!
//! Files are shared as Rust's standard library opens them: others may read, write, rename and remove what is open. On
//! NTFS, since Windows 10, the name of an open file that was removed is free at once; elsewhere only when it is closed.

use std::os::windows::ffi::OsStrExt;
use std::path::Path;

mod files;
mod locks;
mod machine;
mod memory;

pub use files::*;
pub use locks::*;
pub use machine::*;
pub use memory::*;

/// A path as the calls below take it.
fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain(std::iter::once(0)).collect()
}

/// The answer of a call that returns zero when it failed.
fn succeeded(answer: windows_sys::core::BOOL) -> std::io::Result<()> {
    if answer == 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
