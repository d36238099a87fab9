//! Memory for the runs of pages that a commit changes. LMDB keeps single pages for the next commit, but allocates and
//! frees each run. An allocator gives that much back to the system as soon as a commit has ended, and fetches it again
//! page by page for the next one: so runs are kept here, for all environments of the process.

#![allow(unsafe_code)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::catalog::values::INLINE_LIMIT;

/// Bytes of LMDB's pages.
const PAGE: usize = 4_096;
/// The longest run that is kept: the pages of the largest packed value, and one for its header.
const LONGEST: usize = INLINE_LIMIT / PAGE + 1;
/// Bytes that are kept.
const KEPT: usize = 2 << 20;

static FREE: Mutex<Free> = Mutex::new(Free { runs: [const { Vec::new() }; LONGEST + 1], bytes: 0 });

/// A piece of the allocator's that nobody uses.
struct Run(*mut libc::c_void);

// SAFETY: whoever takes it is its only owner, and what the allocator gives out may be freed by any thread.
unsafe impl Send for Run {}

struct Free {
    /// By the number of whole pages in them.
    runs: [Vec<Run>; LONGEST + 1],
    bytes: usize,
}

impl Free {
    fn take(&mut self, pages: usize) -> Option<Run> {
        let run = self.runs.get_mut(pages)?.pop()?;
        self.bytes -= pages * PAGE;
        Some(run)
    }

    /// Keeps a piece of so many bytes, unless it is none of those that are kept, or there are enough.
    fn keep(&mut self, run: Run, bytes: usize) -> Result<(), Run> {
        let pages = bytes / PAGE;
        let is_wanted = pages > 1 && self.bytes + pages * PAGE <= KEPT;
        match self.runs.get_mut(pages).filter(|_| is_wanted) {
            None => Err(run),
            Some(runs) => {
                runs.push(run);
                self.bytes += pages * PAGE;
                Ok(())
            }
        }
    }
}

fn free() -> MutexGuard<'static, Free> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of a piece that the allocator has given out; 0 where it doesn't tell.
fn usable(piece: *mut libc::c_void) -> usize {
    // SAFETY: LMDB frees only what it was given, and `free` of nothing does not come here.
    #[cfg(target_os = "linux")]
    return unsafe { libc::malloc_usable_size(piece) };
    // SAFETY: as above.
    #[cfg(target_os = "macos")]
    return unsafe { libc::malloc_size(piece) };
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    return {
        let _ = piece;
        0
    };
}

/// LMDB's `malloc`.
#[unsafe(no_mangle)]
extern "C" fn quiver_lmdb_malloc(bytes: libc::size_t) -> *mut libc::c_void {
    let is_run = bytes > PAGE && bytes <= LONGEST * PAGE;
    match is_run.then(|| free().take(bytes.div_ceil(PAGE))).flatten() {
        Some(Run(piece)) => piece,
        // SAFETY: any size may be asked for.
        None => unsafe { libc::malloc(bytes) },
    }
}

/// LMDB's `free`.
#[unsafe(no_mangle)]
unsafe extern "C" fn quiver_lmdb_free(piece: *mut libc::c_void) {
    if piece.is_null() {
        return;
    }
    let bytes = usable(piece);
    let given_back = if bytes > PAGE { free().keep(Run(piece), bytes) } else { Err(Run(piece)) };
    if let Err(Run(piece)) = given_back {
        // SAFETY: the piece is the allocator's, and LMDB's no more.
        unsafe { libc::free(piece) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_long_enough_whoever_had_it_before() {
        let sizes = [PAGE + 1, 2 * PAGE, 3 * PAGE - 1, 3 * PAGE, 5 * PAGE, 5 * PAGE + 1, 100, PAGE];
        for round in 0..3 {
            let pieces: Vec<_> = sizes.iter().map(|&size| (size, quiver_lmdb_malloc(size))).collect();
            for (index, &(size, piece)) in pieces.iter().enumerate() {
                assert!(usable(piece) >= size);
                // SAFETY: so many bytes are ours.
                unsafe { piece.cast::<u8>().write_bytes(index as u8 + round, size) };
            }
            for (index, &(size, piece)) in pieces.iter().enumerate() {
                // SAFETY: they were written above.
                let bytes = unsafe { std::slice::from_raw_parts(piece.cast::<u8>(), size) };
                assert!(bytes.iter().all(|&byte| byte == index as u8 + round), "two have one piece");
                // SAFETY: it came from there, and is freed once.
                unsafe { quiver_lmdb_free(piece) };
            }
        }
    }

    #[test]
    fn no_more_is_kept_than_is_allowed() {
        let pieces: Vec<_> = (0..KEPT / PAGE).map(|_| quiver_lmdb_malloc(3 * PAGE)).collect();
        for piece in pieces {
            // SAFETY: it came from there, and is freed once.
            unsafe { quiver_lmdb_free(piece) };
        }
        let free = free();
        let bytes: usize = free.runs.iter().enumerate().map(|(pages, runs)| pages * PAGE * runs.len()).sum();
        assert_eq!(free.bytes, bytes);
        assert!(bytes <= KEPT);
    }
}
