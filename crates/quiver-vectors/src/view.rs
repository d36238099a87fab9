//! Bytes of a file as numbers, where they lie.
#![allow(unsafe_code)]

/// As single-precision numbers; none when they don't lie at a multiple of 4 or are no whole numbers.
pub fn floats(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: any four bytes are an f32.
    whole(unsafe { bytes.align_to::<f32>() })
}

/// As the bits of half-precision numbers; none as for [`floats`].
pub fn halves(bytes: &[u8]) -> Option<&[u16]> {
    // SAFETY: any two bytes are a u16.
    whole(unsafe { bytes.align_to::<u16>() })
}

/// As signed bytes.
pub fn signed_bytes(bytes: &[u8]) -> Option<&[i8]> {
    // SAFETY: any byte is an i8.
    whole(unsafe { bytes.align_to::<i8>() })
}

fn whole<'a, T>((before, middle, after): (&[u8], &'a [T], &[u8])) -> Option<&'a [T]> {
    // Numbers in files are little-endian.
    (before.is_empty() && after.is_empty() && cfg!(target_endian = "little")).then_some(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_aligned_numbers_are_viewed() {
        let numbers = [1.5_f32, -2.0];
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let aligned = bytes.as_ptr().align_offset(4);
        if aligned == 0 {
            assert_eq!(floats(&bytes), Some(&numbers[..]));
            assert_eq!(floats(&bytes[1..5]), None);
            assert_eq!(halves(&bytes[..3]), None);
        }
        assert_eq!(signed_bytes(&[255, 1]), Some(&[-1, 1][..]));
        assert_eq!(floats(&[]), Some(&[][..]));
    }
}
