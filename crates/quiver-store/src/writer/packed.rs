//! Bytes of packed values on their way to the writer's thread. They are allocated on one thread and freed on another,
//! which makes the allocator give pages back and fetch them again for each value: larger ones are kept for the next.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::catalog::values::INLINE_LIMIT;

/// Smaller values are left to the allocator, which keeps them at hand itself.
const REUSED: usize = 2_048;
/// Buffers that are kept: with 16 KiB each, 4 MiB.
const KEPT: usize = 256;

static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A packed value.
#[derive(Debug)]
pub struct PackedBytes(Vec<u8>);

impl PackedBytes {
    /// A copy.
    pub fn copy_of(bytes: &[u8]) -> Self {
        if !is_reused(bytes.len()) {
            return Self(bytes.to_vec());
        }
        let mut buffer = free().pop().unwrap_or_else(|| Vec::with_capacity(INLINE_LIMIT));
        buffer.extend_from_slice(bytes);
        Self(buffer)
    }
}

impl Deref for PackedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for PackedBytes {
    fn drop(&mut self) {
        if !is_reused(self.0.len()) {
            return;
        }
        let mut free = free();
        if free.len() < KEPT {
            self.0.clear();
            free.push(std::mem::take(&mut self.0));
        }
    }
}

fn is_reused(length: usize) -> bool {
    (REUSED..=INLINE_LIMIT).contains(&length)
}

fn free() -> MutexGuard<'static, Vec<Vec<u8>>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_comes_back_holds_nothing_of_the_value_before() {
        for length in [0, 1, REUSED - 1, INLINE_LIMIT, REUSED, 10_000, INLINE_LIMIT + 1] {
            let bytes: Vec<u8> = (0..length).map(|at| (at + length) as u8).collect();
            assert_eq!(&*PackedBytes::copy_of(&bytes), bytes);
        }
    }
}
