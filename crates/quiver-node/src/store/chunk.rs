//! Packed values that were gathered in JavaScript, as they lie in the memory that they cross in: one after the other,
//! each from an offset of a multiple of eight, little-endian:
//! ```text
//! u32 namespace, manner, bytes of the key, bytes of the value | f64 time of expiry (NaN = never), fence (NaN = none)
//! the key in UTF-8 | the value
//! ```

use std::ops::Range;

const HEAD: usize = 32;
const ALIGNMENT: usize = 8;

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Number of the namespace.
    pub handle: u32,
    /// Number of the facts that it has in common with others.
    pub manner: u32,
    /// Wall-clock ms; none = never.
    pub expires: Option<f64>,
    /// Number of the right to compute under which the value was made.
    pub fence: Option<u64>,
    /// Where the key lies in the chunk.
    pub key: Range<usize>,
    /// Where the value lies.
    pub value: Range<usize>,
}

/// All of them; the last one is none where the bytes end within it.
pub fn entries(chunk: &[u8]) -> impl Iterator<Item = Option<Entry>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= chunk.len() {
            return None;
        }
        let read = entry(chunk, at);
        at = read.as_ref().map_or(chunk.len(), |entry| entry.value.end.next_multiple_of(ALIGNMENT));
        Some(read)
    })
}

/// The entry at an offset.
fn entry(chunk: &[u8], at: usize) -> Option<Entry> {
    let (head, rest) = chunk.get(at..)?.split_first_chunk::<HEAD>()?;
    let word = |index: usize| head.get(index * 4..index * 4 + 4)?.try_into().ok().map(u32::from_le_bytes);
    let number = |at: usize| head.get(at..at + 8)?.try_into().ok().map(f64::from_le_bytes);
    let (expires, fence) = (number(16)?, number(24)?);
    let (key, value) = (word(2)? as usize, word(3)? as usize);
    if key.checked_add(value)? > rest.len() {
        return None;
    }
    let key = at + HEAD..at + HEAD + key;
    Some(Entry {
        handle: word(0)?,
        manner: word(1)?,
        expires: (!expires.is_nan()).then_some(expires),
        fence: (!fence.is_nan()).then_some(fence as u64),
        value: key.end..key.end + value,
        key,
    })
}
