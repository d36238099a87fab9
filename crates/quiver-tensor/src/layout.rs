//! Checked arithmetic of shapes and strides.

use crate::dtype::DType;
use crate::error::{Error, Result};

/// Written files have the data of tensors at multiples of this, so that it can be mapped and read at any width.
pub const ALIGNMENT: usize = 64;

/// The largest size an axis may have: what JavaScript counts exactly.
const LARGEST_SIZE: u64 = (1 << 53) - 1;

/// A tensor to be written to a file of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTensor {
    /// Its name there.
    pub name: String,
    /// Type of the elements.
    pub dtype: DType,
    /// Sizes, outermost axis first.
    pub shape: Vec<u64>,
}

/// Number of elements: 1 for no axes, 0 when any size is 0. `Corrupt` when it can't be counted.
pub fn element_count(shape: &[u64]) -> Result<u64> {
    let mut count: u64 = 1;
    for &size in shape {
        if size > LARGEST_SIZE {
            return Err(too_large(shape));
        }
        if size > 0 {
            count = count.checked_mul(size).filter(|&n| n <= LARGEST_SIZE).ok_or_else(|| too_large(shape))?;
        }
    }
    Ok(if shape.contains(&0) { 0 } else { count })
}

/// Bytes of a dense tensor. `Corrupt` when they can't be counted.
pub fn byte_length(dtype: DType, shape: &[u64]) -> Result<u64> {
    element_count(shape)?
        .checked_mul(dtype.item_size() as u64)
        .filter(|&n| n <= LARGEST_SIZE)
        .ok_or_else(|| too_large(shape))
}

/// Elements from the first to the last one, gaps included; 0 when there are none. `BadValue` on overflow.
pub fn extent(shape: &[u64], strides: &[u64]) -> Result<u64> {
    if shape.contains(&0) {
        return Ok(0);
    }
    let mut last: u64 = 0;
    for (&size, &stride) in shape.iter().zip(strides) {
        last = (size - 1)
            .checked_mul(stride)
            .and_then(|distance| last.checked_add(distance))
            .ok_or_else(|| Error::bad_value("strides reach beyond what can be counted"))?;
    }
    last.checked_add(1).ok_or_else(|| Error::bad_value("strides reach beyond what can be counted"))
}

fn too_large(shape: &[u64]) -> Error {
    Error::corrupt("the shape holds more than can be counted").with("shape", format!("{shape:?}"))
}
