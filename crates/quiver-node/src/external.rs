//! Array buffers over memory of ours.

#![allow(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::ArrayBuffer;

/// An array buffer over `length` bytes at `start`, which `owner` keeps in place: it is dropped when the buffer is
/// collected, or at once where none can be made. napi makes none in an isolate that is being terminated, and then
/// forgets what it was given, so the owner is lent to it and taken back.
///
/// # Safety
/// `owner` must keep the memory mapped until it is dropped, no other array buffer may lie over it, and whatever
/// else reads it natively has to bear that JavaScript writes to it.
pub unsafe fn array_buffer<T: Send + 'static>(
    env: &Env,
    (start, length): (*const u8, usize),
    owner: T,
) -> napi::Result<ArrayBuffer<'_>> {
    let lent = Arc::new(Mutex::new(Some(owner)));
    let take = |lent: &Mutex<Option<T>>| lent.lock().unwrap_or_else(PoisonError::into_inner).take();
    // SAFETY: the finalizer drops the owner, and with it the memory, when nothing of JavaScript refers to it; the
    // rest by the caller's promise.
    let made = unsafe {
        ArrayBuffer::from_external(env, start.cast_mut(), length, Arc::clone(&lent), move |_, lent| {
            drop(take(&lent));
        })
    };
    if made.is_err() {
        drop(take(&lent));
    }
    made
}
