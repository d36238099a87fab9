//! Rows picked by index.

use crate::error::{Error, ErrorKind, Result};

/// Rows of equal length that lie at equal distances.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// How many there are.
    pub count: usize,
    /// Bytes of one row.
    pub bytes: usize,
    /// Bytes from the start of one row to the start of the next.
    pub stride: usize,
}

/// Copies the rows `indices` of `source`, in that order, into `out`, which must be exactly that long.
///
/// `OutOfRange` for an index that names no row, before anything is copied; `BadValue` when the rows don't lie
/// within `source` or `out` has another length.
pub fn gather_rows(source: &[u8], rows: Rows, indices: &[u32], out: &mut [u8]) -> Result<()> {
    rows.check(source, indices, out.len())?;
    gather_located(rows.bytes, indices, out, |index| {
        let start = index as usize * rows.stride;
        Ok(&source[start..start + rows.bytes])
    })
}

/// Copies rows of `bytes` bytes, which `locate` finds by their index and which may lie in several places, in the order of
/// `indices` into `out`, which must be exactly that long. Each is looked for once, some steps before it is copied.
///
/// `BadValue` when `out` or a row that was found has another length; what `locate` fails with. `out` may hold a part then.
pub fn gather_located<'a, E: From<Error>>(
    bytes: usize,
    indices: &[u32],
    out: &mut [u8],
    locate: impl Fn(u32) -> std::result::Result<&'a [u8], E>,
) -> std::result::Result<(), E> {
    check_output(indices, bytes, out.len())?;
    match bytes {
        0 => Ok(()),
        1 => gather_fixed::<1, E>(indices, out, locate),
        2 => gather_fixed::<2, E>(indices, out, locate),
        4 => gather_fixed::<4, E>(indices, out, locate),
        8 => gather_fixed::<8, E>(indices, out, locate),
        16 => gather_fixed::<16, E>(indices, out, locate),
        _ => gather_long(bytes, indices, out, locate),
    }
}

impl Rows {
    /// That the rows `indices` are there, lie within `source` and fill `out` bytes. Errors as [`gather_rows`].
    pub fn check(self, source: &[u8], indices: &[u32], out: usize) -> Result<()> {
        if let Some(index) = indices.iter().find(|&&index| index as usize >= self.count) {
            return Err(Error::new(ErrorKind::OutOfRange, "an index names no row")
                .with("index", index)
                .with("rows", self.count));
        }
        let end = self
            .count
            .saturating_sub(1)
            .checked_mul(self.stride)
            .and_then(|last| last.checked_add(self.bytes));
        if self.count > 0 && end.is_none_or(|end| end > source.len()) {
            return Err(Error::bad_value("the rows reach beyond the source").with("bytes", source.len()));
        }
        check_output(indices, self.bytes, out)
    }
}

fn check_output(indices: &[u32], bytes: usize, out: usize) -> Result<()> {
    match indices.len().checked_mul(bytes) {
        Some(wanted) if wanted == out => Ok(()),
        _ => Err(Error::bad_value("out must be as long as the rows asked for").with("bytes", out)),
    }
}

/// Rows of one machine word: a load and a store each, without a call to copy memory.
fn gather_fixed<'a, const N: usize, E: From<Error>>(
    indices: &[u32],
    out: &mut [u8],
    locate: impl Fn(u32) -> std::result::Result<&'a [u8], E>,
) -> std::result::Result<(), E> {
    let (slots, _) = out.as_chunks_mut::<N>();
    for (slot, &index) in slots.iter_mut().zip(indices) {
        *slot = *locate(index)?.first_chunk::<N>().ok_or_else(too_short)?;
    }
    Ok(())
}

/// Random rows defeat the hardware's prefetcher: the first lines of a row some steps ahead are asked for while this one
/// is copied.
fn gather_long<'a, E: From<Error>>(
    bytes: usize,
    indices: &[u32],
    out: &mut [u8],
    locate: impl Fn(u32) -> std::result::Result<&'a [u8], E>,
) -> std::result::Result<(), E> {
    const AHEAD: usize = 4;
    let mut found = indices.iter().map(|&index| {
        let row = locate(index)?.get(..bytes).ok_or_else(too_short)?;
        prefetch(row);
        Ok::<_, E>(row)
    });
    let mut waiting: [&[u8]; AHEAD] = [&[]; AHEAD];
    for (place, row) in waiting.iter_mut().zip(&mut found) {
        *place = row?;
    }
    for (step, slot) in out.chunks_exact_mut(bytes).enumerate() {
        let place = &mut waiting[step % AHEAD];
        let row = *place;
        if let Some(next) = found.next() {
            *place = next?;
        }
        slot.copy_from_slice(row);
    }
    Ok(())
}

fn too_short() -> Error {
    Error::bad_value("a row is shorter than it has to be")
}

/// Hints that the first lines of `bytes` will be read soon.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn prefetch(bytes: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    const LINE: usize = 64;
    for line in bytes.chunks(LINE).take(4) {
        // SAFETY: a hint that neither reads nor faults, on an address inside `bytes`.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn prefetch(_bytes: &[u8]) {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_a_plain_loop(
            bytes in 0_usize..40, gap in 0_usize..5, count in 1_usize..20,
            picks in prop::collection::vec(any::<u32>(), 0..30),
        ) {
            let stride = bytes + gap;
            let source: Vec<u8> = (0..(count - 1) * stride + bytes).map(|i| (i * 7) as u8).collect();
            let indices: Vec<u32> = picks.iter().map(|pick| pick % count as u32).collect();
            let mut out = vec![0; indices.len() * bytes];
            gather_rows(&source, Rows { count, bytes, stride }, &indices, &mut out).unwrap();
            let expected: Vec<u8> =
                indices.iter().flat_map(|&i| &source[i as usize * stride..][..bytes]).copied().collect();
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn rows_that_lie_in_several_places_equal_a_plain_loop(
            bytes in 1_usize..40, parts in prop::collection::vec(1_usize..6, 1..6),
            picks in prop::collection::vec(any::<u32>(), 0..30), missing in 0_usize..60,
        ) {
            let count: usize = parts.iter().sum();
            let whole: Vec<u8> = (0..count * bytes).map(|i| (i * 7) as u8).collect();
            let mut rest = whole.as_slice();
            let rows: Vec<&[u8]> = parts
                .iter()
                .flat_map(|&rows| rest.split_off(..rows * bytes).unwrap().chunks_exact(bytes))
                .collect();
            let indices: Vec<u32> = picks.iter().map(|pick| pick % count as u32).collect();
            let mut out = vec![0; indices.len() * bytes];
            let seen = std::cell::Cell::new(0);
            gather_located::<Error>(bytes, &indices, &mut out, |index| {
                seen.set(seen.get() + 1);
                Ok(rows[index as usize])
            })
            .unwrap();
            let expected: Vec<u8> = indices.iter().flat_map(|&i| rows[i as usize]).copied().collect();
            prop_assert_eq!(&out, &expected);
            prop_assert_eq!(seen.get(), indices.len());
            // One that is not there is told, wherever it comes.
            let found = gather_located::<Error>(bytes, &indices, &mut out, |index| {
                if index as usize == missing { Err(Error::bad_value("gone")) } else { Ok(rows[index as usize]) }
            });
            prop_assert_eq!(found.is_err(), indices.contains(&(missing as u32)));
        }

        #[test]
        fn never_panics(
            source in prop::collection::vec(any::<u8>(), 0..64), count: usize, bytes in 0_usize..80, stride: usize,
            indices in prop::collection::vec(any::<u32>(), 0..8), out in 0_usize..64,
        ) {
            let mut out = vec![0; out];
            let _ = gather_rows(&source, Rows { count, bytes, stride }, &indices, &mut out);
            let _ = gather_located::<Error>(bytes, &indices, &mut out, |_| Ok(&source));
        }
    }

    #[test]
    fn names_the_index_that_is_out_of_range() {
        let mut out = [0; 4];
        let error =
            gather_rows(&[0; 8], Rows { count: 4, bytes: 2, stride: 2 }, &[0, 4], &mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        assert!(error.to_string().contains("index: 4"), "{error}");
    }
}
