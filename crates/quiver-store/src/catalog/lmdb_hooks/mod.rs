//! The system calls that liblmdb makes under other names (see `.cargo/config.toml`).
//!
//! * **Process id.** LMDB registers readers by pid, as an fcntl lock on the byte at that offset. Containers that
//!   share a volume have equal pids; a second one could not register, and a dead one would look alive. So each
//!   process takes a random 31-bit id instead, which the byte lock proves to be its own.
//! * **Writes and syncs** of a commit are put in another order where it can be sealed (see `seal`), which saves one of
//!   its two flushes.
//! * They pass through a recorder, so that tests can replay every state that a power cut may leave. Outside tests the
//!   recorder is one relaxed load.
//! * **Memory** for runs of pages is kept from one commit to the next (see `memory`).

mod memory;
#[cfg_attr(not(target_os = "linux"), path = "unsealed.rs")]
mod sealing;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

pub(super) use sealing::{begin, begin_commit, end};
#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;
