//! What differs between operating systems: one body each, with functions of the same names, so that no other module
//! asks which system it runs on. `unix`, `ofd` and `signal` are what Linux and macOS share, `linux` and `apple` are what they
//! don't, `unplaced` is what macOS and Windows share. `host_sha256` is Linux's on x86-64 alone.
//!
//! Linux is tested. The bodies for macOS and Windows are kept compiling and have never run there. ARCHITECTURE.md, "The
//! edge to the operating system", says how they differ.
//!
//! Where a body can't do what it is asked, it says [`Unsupported`](std::io::ErrorKind::Unsupported), and its caller knows
//! a way that works everywhere.

#[cfg(target_vendor = "apple")]
mod apple;
#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), path = "no_host_sha256.rs")]
mod host_sha256;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(unix)]
mod ofd;
#[cfg(unix)]
mod signal;
#[cfg(unix)]
mod unix;
#[cfg(not(target_os = "linux"))]
mod unplaced;
#[cfg(windows)]
mod windows;

#[cfg(target_vendor = "apple")]
pub use apple::*;
pub use host_sha256::HostSha256;
#[cfg(target_os = "linux")]
pub use linux::*;
#[cfg(unix)]
pub use ofd::ByteLocks;
#[cfg(unix)]
pub use signal::{catch_lost_pages, put_zeros};
#[cfg(unix)]
pub use unix::*;
#[cfg(not(target_os = "linux"))]
pub use unplaced::*;
#[cfg(windows)]
pub use windows::*;

#[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
compile_error!("quiver-io knows Linux, macOS and Windows: another system needs a body of its own in src/os");
