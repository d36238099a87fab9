//! Windows. Compiles; has never run.
//!
//! Files are shared as Rust's standard library opens them: others may read, write, rename and remove what is open.
//! Names of removed files are free at once on NTFS since Windows 10, which has such semantics for both calls used here.

mod files;
mod locks;
mod machine;
mod memory;

pub use files::*;
pub use locks::*;
pub use machine::*;
pub use memory::*;

/// The answer of a call that returns zero when it failed.
fn succeeded(answer: windows_sys::core::BOOL) -> std::io::Result<()> {
    if answer == 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
