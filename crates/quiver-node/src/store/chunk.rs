//! Packed values that were gathered in JavaScript, as they lie in the memory that they cross in: one after the other,
//! each from an offset of a multiple of eight, little-endian:
//! ```text
//! u32 request, namespace, manner, bytes of the key, bytes of the value, 0 | f64 time of expiry (NaN = never)
//! the key in UTF-8 | the value
//! ```

const HEAD: usize = 32;
const ALIGNMENT: usize = 8;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry<'c> {
    /// Number of the request.
    pub id: u32,
    /// Number of the namespace.
    pub handle: u32,
    /// Number of the facts that it has in common with others.
    pub manner: u32,
    /// Wall-clock ms; none = never.
    pub expires: Option<f64>,
    /// The key.
    pub key: &'c [u8],
    /// The value.
    pub value: &'c [u8],
}

/// All of them; the last one is none where the bytes end within it.
pub fn entries(chunk: &[u8]) -> impl Iterator<Item = Option<Entry<'_>>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= chunk.len() {
            return None;
        }
        let read = entry(chunk, at);
        at = read.map_or(chunk.len(), |(_, end)| end.next_multiple_of(ALIGNMENT));
        Some(read.map(|(entry, _)| entry))
    })
}

/// The entry at an offset, and where it ends.
fn entry(chunk: &[u8], at: usize) -> Option<(Entry<'_>, usize)> {
    let (head, rest) = chunk.get(at..)?.split_at_checked(HEAD)?;
    let word = |index: usize| head.get(index * 4..index * 4 + 4)?.try_into().ok().map(u32::from_le_bytes);
    let expires = f64::from_le_bytes(head.get(24..)?.try_into().ok()?);
    let (key, rest) = rest.split_at_checked(word(3)? as usize)?;
    let (value, rest) = rest.split_at_checked(word(4)? as usize)?;
    let entry = Entry {
        id: word(0)?,
        handle: word(1)?,
        manner: word(2)?,
        expires: (!expires.is_nan()).then_some(expires),
        key,
        value,
    };
    Some((entry, chunk.len() - rest.len()))
}
