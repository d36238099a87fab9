//! What a tensor's values are like, in a few numbers.

use half::{bf16, f16};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::float8::Float8;

/// Extremes and mean of values, as float64 (integers beyond 2^53 are rounded). NaN counts for nothing but `nan`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Least value; `None` when there is no value other than NaN.
    pub min: Option<f64>,
    /// Greatest value.
    pub max: Option<f64>,
    /// Mean value.
    pub mean: Option<f64>,
    /// How many values are NaN.
    pub nan: u64,
}

/// Values are summed in blocks of this many, so that rounding errors don't grow with the number of values.
const BLOCK: usize = 1024;

/// Summarises dense elements in any order. `BadValue` when `bytes` is no whole number of elements; `Unsupported`
/// for complex numbers, which have no order.
pub fn summarise(bytes: &[u8], dtype: DType) -> Result<Summary> {
    if !bytes.len().is_multiple_of(dtype.item_size()) {
        return Err(Error::bad_value("not a whole number of elements").with("dtype", dtype.name()));
    }
    Ok(match dtype {
        DType::Bool | DType::Uint8 => fold::<1>(bytes, |b| f64::from(b[0])),
        DType::Int8 => fold(bytes, |b| f64::from(i8::from_le_bytes(b))),
        DType::Float8E4m3fn => fold(bytes, |[b]| Float8::E4M3FN.value(b)),
        DType::Float8E4m3fnuz => fold(bytes, |[b]| Float8::E4M3FNUZ.value(b)),
        DType::Float8E5m2 => fold(bytes, |[b]| Float8::E5M2.value(b)),
        DType::Float8E5m2fnuz => fold(bytes, |[b]| Float8::E5M2FNUZ.value(b)),
        DType::Float8E8m0fnu => fold(bytes, |[b]| Float8::E8M0FNU.value(b)),
        DType::Int16 => fold(bytes, |b| f64::from(i16::from_le_bytes(b))),
        DType::Uint16 => fold(bytes, |b| f64::from(u16::from_le_bytes(b))),
        DType::Float16 => fold(bytes, |b| f16::from_le_bytes(b).to_f64()),
        DType::Bfloat16 => fold(bytes, |b| bf16::from_le_bytes(b).to_f64()),
        DType::Int32 => fold(bytes, |b| f64::from(i32::from_le_bytes(b))),
        DType::Uint32 => fold(bytes, |b| f64::from(u32::from_le_bytes(b))),
        DType::Float32 => fold(bytes, |b| f64::from(f32::from_le_bytes(b))),
        DType::Int64 => fold(bytes, |b| i64::from_le_bytes(b) as f64),
        DType::Uint64 => fold(bytes, |b| u64::from_le_bytes(b) as f64),
        DType::Float64 => fold(bytes, f64::from_le_bytes),
        DType::Complex64 | DType::Complex128 => {
            return Err(Error::unsupported("complex numbers have no order").with("dtype", dtype.name()));
        }
    })
}

fn fold<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Summary {
    let (items, _) = bytes.as_chunks::<N>();
    let (mut min, mut max, mut sum, mut nan) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0);
    for block in items.chunks(BLOCK) {
        let mut part = 0.0;
        for &item in block {
            let value = value(item);
            if value.is_nan() {
                nan += 1;
                continue;
            }
            min = min.min(value);
            max = max.max(value);
            part += value;
        }
        sum += part;
    }
    let count = items.len() as u64 - nan;
    let present = |number: f64| (count > 0).then_some(number);
    Summary { min: present(min), max: present(max), mean: present(sum / count as f64), nan }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn leaves_nan_out() {
        let bytes: Vec<u8> = [1.0, f64::NAN, 5.0].iter().flat_map(|v: &f64| v.to_le_bytes()).collect();
        let summary = summarise(&bytes, DType::Float64).unwrap();
        assert_eq!(summary, Summary { min: Some(1.0), max: Some(5.0), mean: Some(3.0), nan: 1 });
    }

    #[test]
    fn of_nothing_is_nothing() {
        let summary = summarise(&[], DType::Int32).unwrap();
        assert_eq!(summary, Summary { min: None, max: None, mean: None, nan: 0 });
    }

    #[test]
    fn knows_every_orderable_dtype() {
        for dtype in DType::ALL {
            let zeros = vec![0; 3 * dtype.item_size()];
            match summarise(&zeros, dtype) {
                // An exponent of zero bits is the least power of two.
                Ok(summary) if dtype == DType::Float8E8m0fnu => {
                    assert_eq!(summary.min, Some(2_f64.powi(-127)));
                }
                Ok(summary) => {
                    assert_eq!((summary.min, summary.max, summary.mean), (Some(0.0), Some(0.0), Some(0.0)));
                }
                Err(_) => assert!(dtype.name().starts_with("complex")),
            }
        }
        let negative = summarise(&(-5_i16).to_le_bytes(), DType::Int16).unwrap();
        assert_eq!(negative.min, Some(-5.0));
        assert_eq!(summarise(&0xc000_u16.to_le_bytes(), DType::Bfloat16).unwrap().min, Some(-2.0));
        assert_eq!(summarise(&0xc000_u16.to_le_bytes(), DType::Float16).unwrap().min, Some(-2.0));
    }
}
