//! SIGBUS: what a thread gets that touches a page which its file no longer has.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::{Once, OnceLock};

struct Previous(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: written once, before the handler is installed; only read after.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new(MaybeUninit::uninit()));
static MEND: OnceLock<fn(usize) -> bool> = OnceLock::new();

/// Has `mend` called with the address wherever a mapped page turns out to be lost, from now on and for good. It runs
/// on the thread that touched the page and may only do what a signal handler may: neither allocate nor lock. If it
/// says no, the handler that was there before gets the signal.
pub fn catch_lost_pages(mend: fn(usize) -> bool) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        MEND.get_or_init(|| mend);
        // SAFETY: both structures are valid; the old action is stored before the new one can run, because it is
        // fetched by a call of its own first. The handler does only what a signal handler may.
        unsafe {
            libc::sigaction(libc::SIGBUS, std::ptr::null(), (*PREVIOUS.0.get()).as_mut_ptr());
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_sigbus as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
        }
    });
}

/// Puts a page of zeros at an address, in place of what is mapped there; whether it could.
///
/// # Safety
/// The address must lie in memory that this process has mapped, of which nobody holds the page's bytes borrowed as
/// unchanging. Called by signal handlers, it does nothing that they may not.
pub unsafe fn put_zeros(address: usize) -> bool {
    let page = super::page_size();
    // SAFETY: by the caller's promise; mmap is a plain system call here.
    let mapped = unsafe {
        libc::mmap(
            (address & !(page - 1)) as *mut libc::c_void,
            page,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    mapped != libc::MAP_FAILED
}

extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to a handler installed with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() } as usize;
    if !MEND.get().is_some_and(|mend| mend(address)) {
        chain(signal, info, context);
    }
}

fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: PREVIOUS was filled before this handler was installed.
    let previous = unsafe { (*PREVIOUS.0.get()).assume_init_ref() };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: gives the signal its default meaning and sends it once more, which ends the process when
            // this handler returns, as it would have without us, whether a bad access or another process sent it.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                libc::raise(signal);
            }
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: with SA_SIGINFO the address is a function of this type.
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without SA_SIGINFO the address is a function of this type.
            let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}
