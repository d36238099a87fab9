//! How the values of an array can be used as tensors, without moving them.

use std::ops::Range;

use arrow_schema::{DataType, Field};

use super::array::{Array, within};
use super::bits;
use super::features;
use super::layout::{Layout, dtype_of};
use super::offsets::{Offsets, Width};
use crate::dtype::DType;
use crate::error::{Error, Result};

/// What the values of an array are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Rows of one shape, one behind the other.
    Dense {
        /// Shape of a row; no axes for plain numbers.
        row: Vec<u64>,
        /// The elements of all rows.
        leaves: Leaves,
    },
    /// Rows that differ in their first axis.
    Ragged {
        /// The other axes.
        inner: Vec<u64>,
        /// Where offsets lie that count along the first axis: row i has `bounds[i + 1] - bounds[i]` items, the
        /// first of them `bounds[i] - bounds[0]` items behind the first leaf.
        bounds: Range<usize>,
        /// Of those offsets.
        width: Width,
        /// The elements of all rows.
        leaves: Leaves,
    },
    /// UTF-8 texts.
    Text {
        /// Where the offsets lie.
        offsets: Range<usize>,
        /// Of those offsets.
        width: Width,
        /// What they point into.
        data: Range<usize>,
    },
    /// No tensors, for this reason.
    Opaque(Opaque),
}

/// Why an array can't be used as tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opaque {
    /// Lists inside its rows have different lengths.
    Jagged,
    /// Single elements of its rows are null.
    NullsInside,
    /// It does not hold numbers.
    NoNumbers,
}

/// The innermost values of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaves {
    /// Their type. Bools are bits in the file and need [`super::expand`]; all others are as in a tensor.
    pub dtype: DType,
    /// Where they lie, in bytes; of bools the bytes that have their bits.
    pub data: Range<usize>,
    /// Of bools the bit at which the first one is.
    pub first_bit: usize,
    /// How many they are.
    pub count: usize,
}

/// Looks at the offsets of `array`, all of them, and says how its values can be used. Null rows have unspecified
/// elements where rows have a fixed size, and no items where they are lists; the array's own validity tells them.
///
/// `Corrupt` when offsets run backwards or reach beyond what they point into.
pub fn values(field: &Field, array: &Array, bytes: &[u8]) -> Result<Values> {
    let declared = features::declared_shape(field);
    let mut walk = Walk { start: 0, count: array.length, row: Vec::new(), ragged: None };
    let (mut data_type, mut here) = (field.data_type(), array);
    loop {
        if !std::ptr::eq(here, array) && walk.has_nulls(here, array, bytes)? {
            return Ok(Values::Opaque(Opaque::NullsInside));
        }
        let child = match Layout::of(data_type)? {
            Layout::FixedList(size, child) => {
                walk.fixed(size)?;
                child
            }
            Layout::List(width, child) => {
                let axis = walk.row.len() + usize::from(walk.ragged.is_some());
                let known = declared.as_ref().and_then(|shape| shape.get(axis).copied().flatten());
                if !walk.list(here, width, known, bytes)? {
                    return Ok(Values::Opaque(Opaque::Jagged));
                }
                child
            }
            Layout::Bytes(width) if std::ptr::eq(here, array) && is_text(data_type) => {
                return Ok(Values::Text { offsets: here.offsets.clone(), width, data: here.values.clone() });
            }
            _ => return walk.end(data_type, here),
        };
        data_type = child.data_type();
        here = here.children.first().ok_or_else(|| Error::corrupt("a list has no child"))?;
        if walk.start.checked_add(walk.count).is_none_or(|end| end > here.length) {
            return Err(Error::corrupt("offsets reach beyond the values they point into")
                .with("column", field.name()));
        }
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8)
}

/// The values of one level, from the rows of an array down to its leaves.
struct Walk {
    start: usize,
    count: usize,
    /// Axes so far; the ragged one is not among them.
    row: Vec<u64>,
    ragged: Option<(Range<usize>, Width)>,
}

impl Walk {
    fn fixed(&mut self, size: usize) -> Result<()> {
        let too_many = || Error::corrupt("a list has more values than can be counted");
        self.start = self.start.checked_mul(size).ok_or_else(too_many)?;
        self.count = self.count.checked_mul(size).ok_or_else(too_many)?;
        self.row.push(size as u64);
        Ok(())
    }

    /// Steps into a list; false when its rows differ and it is not the outermost one.
    fn list(&mut self, array: &Array, width: Width, known: Option<u64>, bytes: &[u8]) -> Result<bool> {
        let offsets = Offsets::new(within(bytes, &array.offsets)?, width);
        let start = offsets.get(self.start)?;
        if self.count == 0 {
            self.row.push(known.unwrap_or(0));
            self.start = start;
            return Ok(true);
        }
        if let Some(length) = offsets.uniform(self.start, self.count)? {
            self.row.push(length as u64);
            self.count *= length;
        } else if self.row.is_empty() && self.ragged.is_none() {
            let end = offsets.get(self.count)?;
            self.count = end.checked_sub(start).ok_or_else(|| Error::corrupt("offsets run backwards"))?;
            self.ragged = Some((array.offsets.clone(), width));
        } else {
            return Ok(false);
        }
        self.start = start;
        Ok(true)
    }

    /// Whether values of this level are null that belong to rows that are not.
    fn has_nulls(&self, here: &Array, top: &Array, bytes: &[u8]) -> Result<bool> {
        let Some(validity) = here.validity_bits(bytes)? else { return Ok(false) };
        if bits::count_ones(validity, self.start, self.count) == self.count {
            return Ok(false);
        }
        // In lists of a fixed size the elements of a null row are there, and null as well.
        let Some(rows) = top.validity_bits(bytes)? else { return Ok(true) };
        if self.ragged.is_some() || top.length == 0 {
            return Ok(true);
        }
        let per_row = (self.count / top.length).max(1);
        Ok((0..self.count)
            .any(|i| !bits::is_set(validity, self.start + i) && bits::is_set(rows, i / per_row)))
    }

    fn end(self, data_type: &DataType, here: &Array) -> Result<Values> {
        let Some(dtype) = dtype_of(data_type) else { return Ok(Values::Opaque(Opaque::NoNumbers)) };
        let (data, first_bit) = if dtype == DType::Bool {
            (here.values.clone(), self.start)
        } else {
            let size = dtype.item_size();
            let end = self.start.checked_add(self.count).and_then(|end| end.checked_mul(size));
            let end = end.filter(|&end| end <= here.values.len());
            let end = end.ok_or_else(|| Error::corrupt("a list reaches beyond its values"))?;
            (here.values.start + self.start * size..here.values.start + end, 0)
        };
        let leaves = Leaves { dtype, data, first_bit, count: self.count };
        Ok(match self.ragged {
            None => Values::Dense { row: self.row, leaves },
            Some((bounds, width)) => Values::Ragged { inner: self.row, bounds, width, leaves },
        })
    }
}
