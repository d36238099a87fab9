//! Byte order.

use crate::error::{Error, Result};

/// Copies `source` into `out` with the bytes of each number of `width` bytes reversed. Complex numbers are two
/// numbers. `BadValue` when lengths differ, are no multiple of `width`, or `width` is not 1, 2, 4 or 8.
pub fn swap_bytes(source: &[u8], width: usize, out: &mut [u8]) -> Result<()> {
    if source.len() != out.len() || width == 0 || !source.len().is_multiple_of(width) {
        return Err(Error::bad_value("source and out must have the same length, a multiple of the width"));
    }
    match width {
        1 => out.copy_from_slice(source),
        2 => swap_each::<2>(source, out),
        4 => swap_each::<4>(source, out),
        8 => swap_each::<8>(source, out),
        _ => return Err(Error::bad_value("no number has this width").with("width", width)),
    }
    Ok(())
}

fn swap_each<const N: usize>(source: &[u8], out: &mut [u8]) {
    let (from, _) = source.as_chunks::<N>();
    let (to, _) = out.as_chunks_mut::<N>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
        to.reverse();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reverses_each_number() {
        let mut out = [0; 8];
        swap_bytes(&[1, 2, 3, 4, 5, 6, 7, 8], 4, &mut out).unwrap();
        assert_eq!(out, [4, 3, 2, 1, 8, 7, 6, 5]);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        assert!(swap_bytes(&[1, 2, 3], 2, &mut [0; 3]).is_err());
        assert!(swap_bytes(&[1, 2], 2, &mut [0; 4]).is_err());
        assert!(swap_bytes(&[], 0, &mut []).is_err());
    }
}
