//! Where threads are not kept off a processor: macOS and Windows.

/// A thread of this process, for [`keep_off`].
#[derive(Clone, Copy)]
pub struct ThreadNumber;

/// The thread that asks.
pub fn this_thread() -> ThreadNumber {
    ThreadNumber
}

/// Not asked for, since threads can't be kept off it.
pub fn processor() -> usize {
    0
}

/// Does nothing.
pub fn keep_off(_thread: ThreadNumber, _processor: usize) {}
