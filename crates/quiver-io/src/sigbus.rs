//! Survives the loss of a mapped file's pages. Another program that truncates a file, a bad sector, or a hole that
//! a full disk can't fill make the next access to the mapping SIGBUS, which ends the process. For ranges that are
//! registered here, a page of zeros is put in place instead and the range is marked as poisoned; every other
//! SIGBUS goes to the handler that was there before. Where the system has no such signal, no range is ever poisoned.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::os;

/// Ranges that can be registered at once; the bound on mappings is below it.
const SLOTS: usize = 32_768;

struct Slot {
    start: AtomicUsize,
    len: AtomicUsize,
    poisoned: AtomicBool,
}

static RANGES: [Slot; SLOTS] = [const {
    Slot { start: AtomicUsize::new(0), len: AtomicUsize::new(0), poisoned: AtomicBool::new(false) }
}; SLOTS];
static FREE: Mutex<Free> = Mutex::new(Free { next: 0, returned: Vec::new() });
/// One past the highest slot that was ever used: where the handler's search ends.
static USED: AtomicUsize = AtomicUsize::new(0);

struct Free {
    next: usize,
    returned: Vec<usize>,
}

/// A registered range; ends when dropped, which must be before it is unmapped.
#[derive(Debug)]
pub struct Guard {
    slot: Option<usize>,
}

/// Registers mapped memory. Beyond the table's size a range goes unprotected.
pub fn guard(start: usize, len: usize) -> Guard {
    os::catch_lost_pages(mend);
    let slot = {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.returned.pop().or_else(|| {
            (free.next < SLOTS).then(|| {
                free.next += 1;
                USED.store(free.next, Ordering::Release);
                free.next - 1
            })
        })
    };
    if let Some(slot) = slot {
        let range = &RANGES[slot];
        range.poisoned.store(false, Ordering::Relaxed);
        range.len.store(len, Ordering::Relaxed);
        range.start.store(start, Ordering::Release);
    }
    Guard { slot }
}

/// Whether half of the table is taken.
pub fn is_crowded() -> bool {
    let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    free.next - free.returned.len() >= SLOTS / 2
}

impl Guard {
    /// Whether zeros were put in place of anything in the range.
    pub fn is_poisoned(&self) -> bool {
        self.slot.is_some_and(|slot| RANGES[slot].poisoned.load(Ordering::Acquire))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            RANGES[slot].start.store(0, Ordering::Release);
            FREE.lock().unwrap_or_else(PoisonError::into_inner).returned.push(slot);
        }
    }
}

/// Runs on the thread that touched the missing page, in a signal handler. Atomics and one system call: nothing here
/// allocates or locks.
fn mend(address: usize) -> bool {
    let used = USED.load(Ordering::Acquire);
    for range in &RANGES[..used] {
        let start = range.start.load(Ordering::Acquire);
        if start == 0 || address < start || address - start >= range.len.load(Ordering::Relaxed) {
            continue;
        }
        // SAFETY: the page lies in a range that this process has mapped and registered; replacing it by
        // anonymous memory takes nothing from anybody else.
        if unsafe { os::put_zeros(address) } {
            range.poisoned.store(true, Ordering::Release);
            return true;
        }
    }
    false
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    use super::*;

    const CHILD: &str = "QUIVER_IO_TEST_CHILD";

    /// Runs one test of this file again, in a process of its own that may die.
    fn child(test: &str) -> ExitStatus {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap()
            .status
    }

    fn is_child() -> bool {
        std::env::var_os(CHILD).is_some()
    }

    /// Reads a page that its file has lost, of a mapping that nobody registered.
    fn fault() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8_192).unwrap();
        // SAFETY: the mapping is private to this test, and read below by a volatile access only.
        let map = unsafe { memmap2::MmapOptions::new().map_copy_read_only(&file) }.unwrap();
        file.set_len(0).unwrap();
        // SAFETY: inside the mapping; that the page is gone is the point.
        unsafe { std::ptr::read_volatile(map.as_ptr().add(5_000)) };
    }

    #[test]
    fn a_fault_elsewhere_ends_the_process_as_ever() {
        if is_child() {
            os::catch_lost_pages(mend);
            fault();
            std::process::exit(0);
        }
        assert_eq!(
            child("sigbus::tests::a_fault_elsewhere_ends_the_process_as_ever").signal(),
            Some(libc::SIGBUS)
        );
    }

    #[test]
    fn a_signal_sent_by_a_process_ends_this_one_as_ever() {
        if is_child() {
            // SAFETY: takes the place of the handler that Rust's runtime has for stack overflows, then raises a
            // signal whose handler is installed.
            unsafe {
                libc::signal(libc::SIGBUS, libc::SIG_DFL);
                os::catch_lost_pages(mend);
                libc::raise(libc::SIGBUS);
            }
            std::process::exit(0);
        }
        let status = child("sigbus::tests::a_signal_sent_by_a_process_ends_this_one_as_ever");
        assert_eq!(status.signal(), Some(libc::SIGBUS));
    }

    #[test]
    fn a_handler_that_was_there_before_gets_what_is_not_ours() {
        extern "C" fn earlier(_signal: libc::c_int) {
            // SAFETY: ends the process without running anything.
            unsafe { libc::_exit(42) };
        }
        if is_child() {
            // SAFETY: the handler is a function that may run in a signal.
            unsafe { libc::signal(libc::SIGBUS, earlier as *const () as usize) };
            os::catch_lost_pages(mend);
            fault();
            std::process::exit(0);
        }
        let status = child("sigbus::tests::a_handler_that_was_there_before_gets_what_is_not_ours");
        assert_eq!(status.code(), Some(42));
    }

    #[test]
    fn a_place_is_used_again_unpoisoned() {
        let page = 4_096;
        let first = guard(page, page);
        let slot = first.slot.unwrap();
        RANGES[slot].poisoned.store(true, Ordering::Release);
        assert!(first.is_poisoned());
        drop(first);
        assert_eq!(RANGES[slot].start.load(Ordering::Relaxed), 0);
        // Other tests register ranges too: take places until this one comes round.
        let mut held = Vec::new();
        let again = loop {
            let guard = guard(page, page);
            if guard.slot == Some(slot) {
                break guard;
            }
            held.push(guard);
            assert!(held.len() < 1_000);
        };
        assert!(!again.is_poisoned());
    }
}
