//! What a tensor's values are like, in a few numbers.

use half::{bf16, f16};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::float8::Float8;

/// Extremes, sum and mean of values, as float64 (integers beyond 2^53 are rounded). NaN counts for nothing but `nan`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Least value; `None` when there is no value other than NaN.
    pub min: Option<f64>,
    /// Greatest value.
    pub max: Option<f64>,
    /// Mean value.
    pub mean: Option<f64>,
    /// Sum of the values; 0 when there are none.
    pub sum: f64,
    /// How many values are NaN.
    pub nan: u64,
}

/// What a part of a tensor's values comes to; parts are put [together](Tally::and) in their order.
#[derive(Debug, Clone, Copy)]
pub struct Tally {
    min: f64,
    max: f64,
    sum: f64,
    /// Values that are not NaN.
    count: u64,
    nan: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0, count: 0, nan: 0 }
    }
}

impl Tally {
    /// Of dense elements in any order. `BadValue` when `bytes` is no whole number of elements; `Unsupported` for complex
    /// numbers, which have no order.
    pub fn of(bytes: &[u8], dtype: DType) -> Result<Self> {
        if !bytes.len().is_multiple_of(dtype.item_size()) {
            return Err(Error::bad_value("not a whole number of elements").with("dtype", dtype.name()));
        }
        Ok(match dtype {
            DType::Bool | DType::Uint8 => tally::<1>(bytes, |b| f64::from(b[0])),
            DType::Int8 => tally(bytes, |b| f64::from(i8::from_le_bytes(b))),
            DType::Float8E4m3fn => tally(bytes, |[b]| Float8::E4M3FN.value(b)),
            DType::Float8E4m3fnuz => tally(bytes, |[b]| Float8::E4M3FNUZ.value(b)),
            DType::Float8E5m2 => tally(bytes, |[b]| Float8::E5M2.value(b)),
            DType::Float8E5m2fnuz => tally(bytes, |[b]| Float8::E5M2FNUZ.value(b)),
            DType::Float8E8m0fnu => tally(bytes, |[b]| Float8::E8M0FNU.value(b)),
            DType::Int16 => tally(bytes, |b| f64::from(i16::from_le_bytes(b))),
            DType::Uint16 => tally(bytes, |b| f64::from(u16::from_le_bytes(b))),
            DType::Float16 => tally(bytes, |b| f16::from_le_bytes(b).to_f64()),
            DType::Bfloat16 => tally(bytes, |b| bf16::from_le_bytes(b).to_f64()),
            DType::Int32 => tally(bytes, |b| f64::from(i32::from_le_bytes(b))),
            DType::Uint32 => tally(bytes, |b| f64::from(u32::from_le_bytes(b))),
            DType::Float32 => tally(bytes, |b| f64::from(f32::from_le_bytes(b))),
            DType::Int64 => tally(bytes, |b| i64::from_le_bytes(b) as f64),
            DType::Uint64 => tally(bytes, |b| u64::from_le_bytes(b) as f64),
            DType::Float64 => tally(bytes, f64::from_le_bytes),
            DType::Complex64 | DType::Complex128 => {
                return Err(Error::unsupported("complex numbers have no order").with("dtype", dtype.name()));
            }
        })
    }

    /// This part and the one after it.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        Self {
            min: self.min.min(next.min),
            max: self.max.max(next.max),
            sum: self.sum + next.sum,
            count: self.count + next.count,
            nan: self.nan + next.nan,
        }
    }

    /// Of all parts together.
    pub fn summary(self) -> Summary {
        let present = |number: f64| (self.count > 0).then_some(number);
        Summary {
            min: present(self.min),
            max: present(self.max),
            mean: present(self.sum / self.count as f64),
            sum: self.sum,
            nan: self.nan,
        }
    }
}

/// Values are summed in blocks of this many, so that rounding errors don't grow with the number of values.
const BLOCK: usize = 1024;
/// Values that are looked at side by side, so that none has to wait for the one before: as many as registers hold.
const LANES: usize = 4;

fn tally<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Tally {
    let (items, _) = bytes.as_chunks::<N>();
    items.chunks(BLOCK).fold(Tally::default(), |all, block| {
        let numbers = tally_numbers(block, &value);
        all.and(if numbers.sum.is_nan() { tally_any(block, &value) } else { numbers })
    })
}

/// Of values none of which is NaN; if one is, the sum is.
fn tally_numbers<const N: usize>(block: &[[u8; N]], value: &impl Fn([u8; N]) -> f64) -> Tally {
    let (mut min, mut max, mut sum) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES], [0.0; LANES]);
    let (groups, rest) = block.as_chunks::<LANES>();
    for group in groups {
        let values = group.map(value);
        for lane in 0..LANES {
            let value = values[lane];
            sum[lane] += value;
            min[lane] = if value < min[lane] { value } else { min[lane] };
            max[lane] = if value > max[lane] { value } else { max[lane] };
        }
    }
    let lanes = Tally {
        min: min.into_iter().fold(f64::INFINITY, f64::min),
        max: max.into_iter().fold(f64::NEG_INFINITY, f64::max),
        sum: sum.into_iter().sum(),
        count: (groups.len() * LANES) as u64,
        nan: 0,
    };
    let rest = rest.iter().map(|item| value(*item));
    rest.fold(lanes, |all, value| all.and(Tally { min: value, max: value, sum: value, count: 1, nan: 0 }))
}

fn tally_any<const N: usize>(block: &[[u8; N]], value: &impl Fn([u8; N]) -> f64) -> Tally {
    block.iter().map(|item| value(*item)).fold(Tally::default(), |all, value| {
        all.and(if value.is_nan() {
            Tally { nan: 1, ..Tally::default() }
        } else {
            Tally { min: value, max: value, sum: value, count: 1, nan: 0 }
        })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn summarise(bytes: &[u8], dtype: DType) -> Result<Summary> {
        Tally::of(bytes, dtype).map(Tally::summary)
    }

    #[test]
    fn leaves_nan_out() {
        let bytes: Vec<u8> = [1.0, f64::NAN, 5.0].iter().flat_map(|v: &f64| v.to_le_bytes()).collect();
        let summary = summarise(&bytes, DType::Float64).unwrap();
        assert_eq!(summary, Summary { min: Some(1.0), max: Some(5.0), mean: Some(3.0), sum: 6.0, nan: 1 });
    }

    #[test]
    fn infinities_of_both_signs_have_no_sum_and_are_no_nan() {
        let bytes: Vec<u8> =
            [f64::INFINITY, 1.0, f64::NEG_INFINITY].iter().flat_map(|v| v.to_le_bytes()).collect();
        let summary = summarise(&bytes, DType::Float64).unwrap();
        assert!(summary.sum.is_nan() && summary.mean.unwrap().is_nan());
        assert_eq!(
            (summary.min, summary.max, summary.nan),
            (Some(f64::NEG_INFINITY), Some(f64::INFINITY), 0)
        );
    }

    #[test]
    fn of_nothing_is_nothing() {
        let summary = summarise(&[], DType::Int32).unwrap();
        assert_eq!(summary, Summary { min: None, max: None, mean: None, sum: 0.0, nan: 0 });
    }

    #[test]
    fn is_that_of_a_plain_loop_whatever_the_length_and_wherever_it_is_cut() {
        for length in [1, 3, 7, 8, 9, 1023, 1024, 1033, 5000] {
            let values: Vec<f32> = (0..length)
                .map(|i| if i % 11 == 3 { f32::NAN } else { ((i * 37) % 101) as f32 - 50.0 })
                .collect();
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            let numbers = || values.iter().map(|&v| f64::from(v)).filter(|v| !v.is_nan());
            let expected = Summary {
                min: numbers().reduce(f64::min),
                max: numbers().reduce(f64::max),
                mean: Some(numbers().sum::<f64>() / numbers().count() as f64),
                sum: numbers().sum(),
                nan: (length - numbers().count()) as u64,
            };
            for cut in [0, length / 3, length] {
                let (left, right) = bytes.split_at(cut * 4);
                let part = |bytes| Tally::of(bytes, DType::Float32).unwrap();
                assert_eq!(part(left).and(part(right)).summary(), expected, "{length} cut at {cut}");
            }
        }
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
