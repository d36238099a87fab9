//! Array buffers over memory of ours: of all of it, or of parts.

#![allow(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

use napi::Env;
use napi::bindgen_prelude::ArrayBuffer;

use crate::errors::{Result, bad_value};

/// An array buffer over `length` bytes at `start`, which `owner` keeps in place: it is dropped when the buffer is
/// collected, or at once where none can be made. napi makes none in an isolate that is being terminated, and then
/// forgets what it was given, so the owner is lent to it and taken back.
///
/// # Safety
/// `owner` must keep the memory mapped until it is dropped. Whatever else reads it, natively or in another isolate, has
/// to bear that JavaScript writes to it.
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

/// The same over the part from `start` to `end`, which are JavaScript's; fails for what isn't within the memory, or is
/// empty.
///
/// # Safety
/// As of `array_buffer`, for all of the memory.
pub unsafe fn part<T: Send + 'static>(
    env: &Env,
    memory: (*const u8, usize),
    (start, end): (f64, f64),
    owner: T,
) -> Result<ArrayBuffer<'_>> {
    let part = part_of(memory, start, end).ok_or_else(|| bad_value("the part is not within the memory"))?;
    // SAFETY: by the caller's promise.
    unsafe { array_buffer(env, part, owner) }.map_err(|error| bad_value(&error.reason))
}

fn part_of((first, length): (*const u8, usize), start: f64, end: f64) -> Option<(*const u8, usize)> {
    let whole = |position: f64| (position >= 0.0 && position.fract() == 0.0).then_some(position as usize);
    let (start, end) = (whole(start)?, whole(end)?);
    (start < end && end <= length).then(|| (first.wrapping_add(start), end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_within_the_memory() {
        let bytes = [0_u8; 100];
        let memory = (bytes.as_ptr(), bytes.len());
        assert_eq!(part_of(memory, 0.0, 100.0), Some(memory));
        assert_eq!(part_of(memory, 98.0, 99.0), Some((&raw const bytes[98], 1)));
        for (start, end) in
            [(0.0, 101.0), (5.0, 5.0), (6.0, 5.0), (-1.0, 5.0), (0.5, 5.0), (0.0, f64::NAN), (0.0, 1e300)]
        {
            assert_eq!(part_of(memory, start, end), None);
        }
    }
}
