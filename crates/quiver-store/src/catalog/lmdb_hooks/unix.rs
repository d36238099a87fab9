//! Where liblmdb makes the calls of Unix. On macOS it syncs by `fcntl`, which is not renamed: syncs are not recorded there.

#![allow(unsafe_code)]

use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::sealing;

/// One recorded effect on a file, in the order in which LMDB asked for it.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Bytes written at an offset.
    Write {
        /// Byte offset in the data file.
        offset: u64,
        /// What was written.
        bytes: Vec<u8>,
        /// The file was opened for synchronous writes: durable once written, as LMDB's meta pages are.
        durable: bool,
    },
    /// Everything written so far is durable.
    Sync,
}

static RECORDING: AtomicBool = AtomicBool::new(false);
static RECORDER: Mutex<Recorder> = Mutex::new(Recorder { effects: Vec::new(), moment: None });
static PROCESS: OnceLock<i32> = OnceLock::new();

/// Tells the moment on another record's time line.
type Moment = Box<dyn Fn() -> usize + Send>;

struct Recorder {
    effects: Vec<(usize, Effect)>,
    moment: Option<Moment>,
}

/// Starts recording what LMDB writes in this process; for tests. Each effect is recorded with what `moment` says
/// then, so that it can be put in order with effects that were recorded elsewhere.
pub fn start_recording(moment: impl Fn() -> usize + Send + 'static) {
    if let Ok(mut recorder) = RECORDER.lock() {
        *recorder = Recorder { effects: Vec::new(), moment: Some(Box::new(moment)) };
    }
    RECORDING.store(true, Ordering::SeqCst);
}

/// Effects recorded so far.
pub fn recorded() -> usize {
    RECORDER.lock().map_or(0, |recorder| recorder.effects.len())
}

/// Stops recording and hands over the effects, each with its moment.
pub fn stop_recording() -> Vec<(usize, Effect)> {
    RECORDING.store(false, Ordering::SeqCst);
    RECORDER.lock().map(|mut recorder| std::mem::take(&mut recorder.effects)).unwrap_or_default()
}

/// Whether liblmdb was compiled against these hooks and has asked for the process id.
pub fn active() -> bool {
    PROCESS.get().is_some()
}

fn record(effect: impl FnOnce() -> Effect) {
    if RECORDING.load(Ordering::Relaxed)
        && let Ok(mut recorder) = RECORDER.lock()
    {
        let moment = recorder.moment.as_ref().map_or(0, |moment| moment());
        recorder.effects.push((moment, effect()));
    }
}

fn is_synchronous(fd: libc::c_int) -> bool {
    // SAFETY: F_GETFL reads the flags of a descriptor that LMDB holds open; no memory is passed.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags != -1 && flags & libc::O_DSYNC != 0
}

#[unsafe(no_mangle)]
extern "C" fn quiver_lmdb_getpid() -> libc::pid_t {
    *PROCESS.get_or_init(|| {
        // Zero marks a free reader slot, and offset 0 of the lock file is LMDB's own.
        (quiver_io::random_u64() as i32 & 0x7fff_ffff).max(2)
    })
}

/// A file takes less than it was given when the disk is about full; LMDB would call that EIO.
fn is_short(written: libc::ssize_t, wanted: usize) -> bool {
    usize::try_from(written).is_ok_and(|written| written < wanted)
}

fn no_space() -> libc::ssize_t {
    nix::errno::Errno::ENOSPC.set();
    -1
}

#[unsafe(no_mangle)]
unsafe extern "C" fn quiver_lmdb_pwrite(
    fd: libc::c_int,
    buffer: *const libc::c_void,
    count: libc::size_t,
    offset: libc::off_t,
) -> libc::ssize_t {
    // SAFETY: LMDB passed `count` readable bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), count) };
    if let Some(written) = sealing::write_meta(fd, bytes, offset) {
        return written;
    }
    // SAFETY: the arguments are LMDB's own, passed on unchanged.
    let written = unsafe { libc::pwrite(fd, buffer, count, offset) };
    if is_short(written, count) {
        return no_space();
    }
    if written > 0 {
        record(|| Effect::Write {
            offset: offset as u64,
            bytes: bytes.get(..written as usize).unwrap_or(bytes).to_vec(),
            durable: is_synchronous(fd),
        });
    }
    written
}

#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn quiver_lmdb_pwritev(
    fd: libc::c_int,
    pieces: *const libc::iovec,
    count: libc::c_int,
    offset: libc::off_t,
) -> libc::ssize_t {
    // SAFETY: LMDB passed `count` iovecs.
    let pieces = unsafe { std::slice::from_raw_parts(pieces, count as usize) };
    let written = match pieces {
        // Most pages of a commit lie alone, and this is the shorter way into the kernel.
        // SAFETY: the iovec names readable bytes.
        [piece] => unsafe { libc::pwrite(fd, piece.iov_base, piece.iov_len, offset) },
        // SAFETY: the arguments are LMDB's own, passed on unchanged.
        pieces => unsafe { libc::pwritev(fd, pieces.as_ptr(), count, offset) },
    };
    if is_short(written, pieces.iter().map(|piece| piece.iov_len).sum()) {
        return no_space();
    }
    if written > 0 {
        sealing::note_pages(
            offset,
            // SAFETY: each iovec names readable bytes.
            pieces.iter().map(|piece| unsafe {
                std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len)
            }),
        );
        record(|| {
            let mut bytes = Vec::with_capacity(written as usize);
            for piece in pieces {
                // SAFETY: as above.
                bytes.extend_from_slice(unsafe {
                    std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len)
                });
            }
            bytes.truncate(written as usize);
            Effect::Write { offset: offset as u64, bytes, durable: is_synchronous(fd) }
        });
    }
    written
}

#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
pub(super) extern "C" fn quiver_lmdb_fdatasync(fd: libc::c_int) -> libc::c_int {
    if sealing::defers_flush(fd) {
        return 0;
    }
    // SAFETY: the descriptor is LMDB's own.
    let result = unsafe { libc::fdatasync(fd) };
    if result == 0 {
        record(|| Effect::Sync);
    }
    result
}
