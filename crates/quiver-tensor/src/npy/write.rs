//! Writing headers.

use std::fmt::Write;

use super::{MAGIC, descr};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::ALIGNMENT;

/// `NumPy` has no arrays of more axes.
const MOST_AXES: usize = 64;

/// `NumPy` leaves room for the growing axis to reach this many digits, so that a file can be appended to in place.
const GROWTH_DIGITS: usize = 21;

/// The header for such an array, byte for byte what `numpy.save` writes. Its length is a multiple of
/// [`ALIGNMENT`]; the data follows it directly.
///
/// `Unsupported` for bfloat16 and 8-bit floats, `BadValue` for more than 64 axes.
pub fn header(dtype: DType, shape: &[u64], fortran_order: bool) -> Result<Vec<u8>> {
    if shape.len() > MOST_AXES {
        return Err(Error::bad_value("NumPy has no arrays of more than 64 axes").with("axes", shape.len()));
    }
    let text = text(descr::of(dtype)?, shape, fortran_order);
    let fixed = MAGIC.len() + 2 + 2;
    // At least one space, which is what NumPy does where none would be needed.
    let padding = ALIGNMENT - (fixed + text.len() + 1) % ALIGNMENT;
    // 64 axes of 20 digits each stay far below the 65,535 bytes that version 1 can hold.
    let length = (text.len() + padding + 1) as u16;
    let mut bytes = Vec::with_capacity(fixed + usize::from(length));
    bytes.extend(MAGIC);
    bytes.extend([1, 0]);
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len() + padding, b' ');
    bytes.push(b'\n');
    Ok(bytes)
}

fn text(descr: &str, shape: &[u64], fortran_order: bool) -> String {
    let order = if fortran_order { "True" } else { "False" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': (");
    for (axis, size) in shape.iter().enumerate() {
        let separator = if axis > 0 { " " } else { "" };
        let comma = if axis + 1 < shape.len() || shape.len() == 1 { "," } else { "" };
        // Writing to a String does not fail.
        let _ = write!(text, "{separator}{size}{comma}");
    }
    text.push_str("), }");
    let growing = if fortran_order { shape.last() } else { shape.first() };
    if let Some(size) = growing {
        let digits = size.to_string().len();
        text.extend(std::iter::repeat_n(' ', GROWTH_DIGITS - digits));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::read::parse_header;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_what_numpy_writes() {
        let bytes = header(DType::Float32, &[2, 3], false).unwrap();
        assert_eq!(bytes.len(), 128);
        assert_eq!(bytes[..10], *b"\x93NUMPY\x01\x00\x76\x00");
        assert!(bytes[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  "));
        assert_eq!(bytes.last(), Some(&b'\n'));
    }

    proptest! {
        #[test]
        fn reads_back(
            dtype in prop::sample::select(DType::ALL.to_vec()), shape in prop::collection::vec(0_u64..2000, 0..5),
            fortran_order: bool,
        ) {
            let Ok(bytes) = header(dtype, &shape, fortran_order) else {
                prop_assert!(dtype == DType::Bfloat16 || dtype.name().starts_with("float8"));
                return Ok(());
            };
            let read = parse_header(&bytes).unwrap();
            prop_assert_eq!(bytes.len() % ALIGNMENT, 0);
            prop_assert_eq!(read.data_offset, bytes.len());
            prop_assert_eq!((read.dtype, read.shape, read.fortran_order), (dtype, shape, fortran_order));
        }
    }
}
