//! Where not all of LMDB's syncs pass through here, no commit is sealed.

/// A write transaction begins.
pub fn begin() {}

/// It is about to be committed.
pub fn begin_commit(_flushed: bool) {}

/// It is over; whether it is known to be durable.
pub fn end() -> bool {
    false
}

#[cfg(unix)]
pub(super) fn note_pages<'b>(_offset: libc::off_t, _pieces: impl Iterator<Item = &'b [u8]>) {}

#[cfg(unix)]
pub(super) fn write_meta(_fd: libc::c_int, _meta: &[u8], _offset: libc::off_t) -> Option<libc::ssize_t> {
    None
}
