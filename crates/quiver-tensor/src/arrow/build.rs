//! Arrays made of plain memory: rows of tensors, and texts.

use std::ops::Range;

use super::array::Array;
use super::bits::Partial;
use super::features::Rows;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::element_count;

/// An array and the bytes that its ranges count in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Built {
    /// The array.
    pub array: Array,
    /// Its buffers.
    pub bytes: Vec<u8>,
}

impl Built {
    fn put(&mut self, bytes: impl IntoIterator<Item = u8>) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend(bytes);
        start..self.bytes.len()
    }

    fn put_offsets(&mut self, lengths: impl Iterator<Item = u64>) -> Result<Range<usize>> {
        let start = self.bytes.len();
        let mut last = 0_u64;
        self.bytes.extend(0_i32.to_le_bytes());
        for length in lengths {
            last = last.saturating_add(length);
            let narrow = i32::try_from(last)
                .map_err(|_| Error::bad_value("32-bit offsets can't count all values of one batch"))?;
            self.bytes.extend(narrow.to_le_bytes());
        }
        Ok(start..self.bytes.len())
    }
}

/// An array for a column made by [`super::features::tensor_field`]. `lengths` holds the first axis of each row for
/// ragged columns, and anything `count` long for others; `data` the elements of all rows, bools a byte each, and is
/// copied. `BadValue` when data and rows don't fit.
pub fn tensor_array(dtype: DType, rows: &Rows, count: usize, lengths: &[u64], data: &[u8]) -> Result<Built> {
    let inner = match rows {
        Rows::Fixed(shape) | Rows::Ragged(shape) => element_count(shape)?,
    };
    let items = match rows {
        Rows::Fixed(_) => Some(count as u64),
        Rows::Ragged(_) if lengths.len() != count => {
            return Err(Error::bad_value("a ragged column needs a length for each row"));
        }
        Rows::Ragged(_) => lengths.iter().try_fold(0_u64, |sum, length| sum.checked_add(*length)),
    };
    let elements = items.and_then(|items| items.checked_mul(inner));
    let needed = elements.and_then(|elements| elements.checked_mul(dtype.item_size() as u64));
    if needed != Some(data.len() as u64) {
        return Err(Error::bad_value("the data don't fit the rows")
            .with("rows", count)
            .with("bytes", data.len()));
    }
    let mut built = Built::default();
    let values = if dtype == DType::Bool {
        let mut partial = Partial::default();
        let bits = partial.push(data.len(), |i| data.get(i).is_some_and(|byte| *byte != 0));
        built.put(bits.into_iter().chain(partial.rest()))
    } else {
        built.put(data.iter().copied())
    };
    built.array = levels(&mut built, rows, count, lengths, values)?;
    Ok(built)
}

/// The nested arrays of a column, from the outermost to the leaves.
fn levels(
    built: &mut Built,
    rows: &Rows,
    count: usize,
    lengths: &[u64],
    values: Range<usize>,
) -> Result<Array> {
    let mut levels = Vec::new();
    let mut length = count;
    match rows {
        Rows::Ragged(inner) => {
            let offsets = built.put_offsets(lengths.iter().copied())?;
            levels.push(Array { length, offsets, ..Array::default() });
            length = lengths.iter().sum::<u64>() as usize;
            push_lists(built, &mut levels, &mut length, inner)?;
        }
        Rows::Fixed(shape) if (2..=5).contains(&shape.len()) => {
            push_lists(built, &mut levels, &mut length, shape)?;
        }
        Rows::Fixed(shape) => {
            for &size in shape {
                levels.push(Array { length, ..Array::default() });
                length *= size as usize;
            }
        }
    }
    let leaf = Array { length, values, ..Array::default() };
    Ok(levels.into_iter().rfold(leaf, |child, mut level| {
        level.children.push(child);
        level
    }))
}

fn push_lists(built: &mut Built, levels: &mut Vec<Array>, length: &mut usize, shape: &[u64]) -> Result<()> {
    for &size in shape {
        let offsets = built.put_offsets(std::iter::repeat_n(size, *length))?;
        levels.push(Array { length: *length, offsets, ..Array::default() });
        *length *= size as usize;
    }
    Ok(())
}

/// An array of texts for a column of [`arrow_schema::DataType::Utf8`]; none is null.
pub fn text_array<'a>(texts: impl ExactSizeIterator<Item = Option<&'a str>> + Clone) -> Result<Built> {
    let mut built = Built::default();
    let length = texts.len();
    let nulls = texts.clone().filter(Option::is_none).count();
    let offsets = built.put_offsets(texts.clone().map(|text| text.map_or(0, str::len) as u64))?;
    let mut partial = Partial::default();
    let present: Vec<bool> = texts.clone().map(|text| text.is_some()).collect();
    let bits = partial.push(length, |i| present.get(i) == Some(&true));
    let validity = (nulls > 0).then(|| built.put(bits.into_iter().chain(partial.rest())));
    let values = built.put(texts.flatten().flat_map(str::bytes));
    built.array = Array { length, nulls, validity, offsets, values, children: Vec::new() };
    Ok(built)
}
