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
    check(source, rows, indices, out)?;
    match rows.bytes {
        0 => {}
        1 => gather_fixed::<1>(source, rows.stride, indices, out),
        2 => gather_fixed::<2>(source, rows.stride, indices, out),
        4 => gather_fixed::<4>(source, rows.stride, indices, out),
        8 => gather_fixed::<8>(source, rows.stride, indices, out),
        16 => gather_fixed::<16>(source, rows.stride, indices, out),
        _ => gather_long(source, rows, indices, out),
    }
    Ok(())
}

fn check(source: &[u8], rows: Rows, indices: &[u32], out: &[u8]) -> Result<()> {
    if let Some(index) = indices.iter().find(|&&index| index as usize >= rows.count) {
        return Err(Error::new(ErrorKind::OutOfRange, "an index names no row")
            .with("index", index)
            .with("rows", rows.count));
    }
    let end =
        rows.count.saturating_sub(1).checked_mul(rows.stride).and_then(|last| last.checked_add(rows.bytes));
    if rows.count > 0 && end.is_none_or(|end| end > source.len()) {
        return Err(Error::bad_value("the rows reach beyond the source").with("bytes", source.len()));
    }
    if indices.len().checked_mul(rows.bytes) != Some(out.len()) {
        return Err(Error::bad_value("out must be as long as the rows asked for").with("bytes", out.len()));
    }
    Ok(())
}

/// Rows of one machine word: a load and a store each, without a call to copy memory.
fn gather_fixed<const N: usize>(source: &[u8], stride: usize, indices: &[u32], out: &mut [u8]) {
    let (slots, _) = out.as_chunks_mut::<N>();
    for (slot, &index) in slots.iter_mut().zip(indices) {
        if let Some(row) = source[index as usize * stride..].first_chunk::<N>() {
            *slot = *row;
        }
    }
}

fn gather_long(source: &[u8], rows: Rows, indices: &[u32], out: &mut [u8]) {
    // Random rows defeat the hardware's prefetcher: the first lines of a row some steps ahead are asked for while
    // this one is copied.
    const AHEAD: usize = 4;
    for (step, (slot, &index)) in out.chunks_exact_mut(rows.bytes).zip(indices).enumerate() {
        if let Some(&next) = indices.get(step + AHEAD) {
            prefetch(&source[next as usize * rows.stride..]);
        }
        let start = index as usize * rows.stride;
        slot.copy_from_slice(&source[start..start + rows.bytes]);
    }
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
        fn never_panics(
            source in prop::collection::vec(any::<u8>(), 0..64), count: usize, bytes in 0_usize..80, stride: usize,
            indices in prop::collection::vec(any::<u32>(), 0..8), out in 0_usize..64,
        ) {
            let mut out = vec![0; out];
            let _ = gather_rows(&source, Rows { count, bytes, stride }, &indices, &mut out);
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
