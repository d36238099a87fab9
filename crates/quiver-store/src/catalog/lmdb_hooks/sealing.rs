//! Which writes and syncs of LMDB belong to which step of a commit, and what becomes of them where it is sealed.

#![allow(unsafe_code)]

use std::cell::RefCell;

use super::unix::{quiver_lmdb_fdatasync, quiver_lmdb_pwritev};
use crate::catalog::seal::{NO_SEAL, Written};

/// How far the commit of a write transaction is that this thread has open. LMDB commits on the thread that asks for it.
#[derive(Default)]
enum Stage {
    /// There is none, or it is not durable.
    #[default]
    None,
    /// It is open; LMDB writes pages ahead of the commit when there are many.
    Open { ahead: bool },
    /// Its pages are being written.
    Pages { written: Option<Written> },
    /// They are written. Without a descriptor to flush they are flushed too.
    Meta { sealing: Option<(libc::c_int, Written)> },
    /// All of it is durable.
    Done,
}

thread_local! {
    static STAGE: RefCell<Stage> = const { RefCell::new(Stage::None) };
}

/// A write transaction begins on this thread whose commit is to be durable.
pub fn begin() {
    STAGE.set(Stage::Open { ahead: false });
}

/// It is about to be committed: with one flush, if it can be sealed and all commits before it are `flushed`.
pub fn begin_commit(flushed: bool) {
    STAGE.with_borrow_mut(|stage| {
        if let Stage::Open { ahead } = *stage {
            *stage = Stage::Pages { written: (flushed && !ahead).then(Written::default) };
        }
    });
}

/// It is over; whether anything was written, which is durable then.
pub fn end() -> bool {
    matches!(STAGE.take(), Stage::Done)
}

/// LMDB has written pages.
pub(super) fn note_pages<'b>(offset: libc::off_t, pieces: impl Iterator<Item = &'b [u8]>) {
    STAGE.with_borrow_mut(|stage| match stage {
        Stage::Open { ahead } => *ahead = true,
        Stage::Pages { written: Some(written) } => written.add(offset as u64, pieces),
        _ => {}
    });
}

/// Whether the pages are flushed later, together with the meta page.
pub(super) fn defers_flush(fd: libc::c_int) -> bool {
    STAGE.with_borrow_mut(|stage| {
        let Stage::Pages { written } = stage else { return false };
        let sealing = written.take().filter(Written::fits).map(|written| (fd, written));
        let defers = sealing.is_some();
        *stage = Stage::Meta { sealing };
        defers
    })
}

/// Writes the meta page of a commit, with a seal and flushed, or with none through LMDB's synchronous descriptor.
pub(super) fn write_meta(fd: libc::c_int, meta: &[u8], offset: libc::off_t) -> Option<libc::ssize_t> {
    let Stage::Meta { sealing } = STAGE.with_borrow_mut(|stage| match stage {
        Stage::Meta { .. } => std::mem::take(stage),
        _ => Stage::None,
    }) else {
        return None;
    };
    let flush = |fd| quiver_lmdb_fdatasync(fd) == 0;
    let written = match sealing {
        None => write_both(fd, meta, &NO_SEAL, offset),
        Some((pages, written)) => match written.seal(offset as u64, meta) {
            Some(seal) => write_both(pages, meta, &seal, offset) && flush(pages),
            None => flush(pages) && write_both(fd, meta, &NO_SEAL, offset),
        },
    };
    if !written {
        return Some(-1);
    }
    STAGE.set(Stage::Done);
    Some(meta.len() as libc::ssize_t)
}

fn write_both(fd: libc::c_int, meta: &[u8], seal: &[u8], offset: libc::off_t) -> bool {
    let pieces = [meta, seal]
        .map(|piece| libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() });
    loop {
        // SAFETY: two pieces that name readable bytes, which live until the call returns.
        let written = unsafe { quiver_lmdb_pwritev(fd, pieces.as_ptr(), 2, offset) };
        if written >= 0 || nix::errno::Errno::last() != nix::errno::Errno::EINTR {
            return written >= 0;
        }
    }
}
