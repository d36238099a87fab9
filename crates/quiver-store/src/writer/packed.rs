//! Keys and packed values on their way to the writer's thread, any number of them in one piece of memory. It is allocated
//! on one thread and freed on another, which makes the allocator give pages back and fetch them again each time: larger
//! pieces are kept for the next.

use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Smaller pieces are left to the allocator, which keeps them at hand itself.
const REUSED: usize = 2_048;
/// Bytes of pieces that are kept.
const KEPT: usize = 4 << 20;

static FREE: Mutex<Free> = Mutex::new(Free { pieces: Vec::new(), bytes: 0 });

struct Free {
    pieces: Vec<Vec<u8>>,
    bytes: usize,
}

/// A packed value or a key, or several until they are told apart. Clones and parts share its memory.
#[derive(Debug, Clone)]
pub struct PackedBytes {
    piece: Arc<Piece>,
    range: Range<usize>,
}

#[derive(Debug)]
struct Piece(Vec<u8>);

impl PackedBytes {
    /// A copy.
    pub fn copy_of(bytes: &[u8]) -> Self {
        if bytes.len() < REUSED {
            return bytes.to_vec().into();
        }
        let mut piece = free().take();
        piece.extend_from_slice(bytes);
        piece.into()
    }

    /// A part of it; none where it isn't that long.
    pub fn part(&self, range: Range<usize>) -> Option<Self> {
        self.get(range.clone())?;
        let start = self.range.start;
        Some(Self { piece: Arc::clone(&self.piece), range: start + range.start..start + range.end })
    }
}

impl From<Vec<u8>> for PackedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len(), piece: Arc::new(Piece(bytes)) }
    }
}

impl Deref for PackedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.piece.0.get(self.range.clone()).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.0.capacity() >= REUSED {
            free().keep(std::mem::take(&mut self.0));
        }
    }
}

impl Free {
    fn take(&mut self) -> Vec<u8> {
        let piece = self.pieces.pop().unwrap_or_default();
        self.bytes -= piece.capacity();
        piece
    }

    fn keep(&mut self, mut piece: Vec<u8>) {
        if self.bytes + piece.capacity() <= KEPT {
            piece.clear();
            self.bytes += piece.capacity();
            self.pieces.push(piece);
        }
    }
}

fn free() -> MutexGuard<'static, Free> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_comes_back_holds_nothing_of_what_it_held_before() {
        for length in [0, 1, REUSED - 1, 16_384, REUSED, 10_000, 1 << 20, 5 << 20] {
            let bytes: Vec<u8> = (0..length).map(|at| (at + length) as u8).collect();
            assert_eq!(&*PackedBytes::copy_of(&bytes), bytes);
        }
        let free = free();
        assert!(free.bytes <= KEPT);
        assert!(free.pieces.iter().all(Vec::is_empty));
    }

    #[test]
    fn parts_share_the_memory_and_keep_it() {
        let whole = PackedBytes::copy_of(b"keyvalue");
        let value = whole.part(3..8).unwrap();
        let inner = value.part(1..3).unwrap();
        assert_eq!((&*value, &*inner), (&b"value"[..], &b"al"[..]));
        assert_eq!(value.as_ptr(), whole[3..].as_ptr());
        drop(whole);
        drop(value);
        assert_eq!(&*inner, b"al");
        assert!(inner.part(1..3).is_none());
        assert!(inner.part(0..2).unwrap().part(2..2).unwrap().is_empty());
    }
}
