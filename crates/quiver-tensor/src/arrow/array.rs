//! Arrays of record batches: where in a file their buffers lie.

use std::ops::Range;

use arrow_schema::{DataType, Field};

use super::growing::Piece;
use super::layout::Layout;
use crate::error::{Error, Result};

/// Rows of all columns that lie together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// How many.
    pub rows: usize,
    /// One array a field of the schema, each of `rows` values.
    pub columns: Vec<Array>,
}

/// Values of one type. Ranges are bytes of the file or the memory that the array lies in; all lie within it and are
/// long enough for `length`, children as well. Offsets and bits in them have not been looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Array {
    /// How many values there are.
    pub length: usize,
    /// How many of them are null, as the file says.
    pub nulls: usize,
    /// One bit a value, 1 = not null; none when no value is null.
    pub validity: Option<Range<usize>>,
    /// Of lists and strings: one more than there are values.
    pub offsets: Range<usize>,
    /// Numbers, bits, or the bytes of strings.
    pub values: Range<usize>,
    /// Of lists and structs.
    pub children: Vec<Array>,
}

impl Batch {
    /// The rows from `start` on, column by column; the batch lies in `bytes`.
    pub fn pieces<'a>(&'a self, bytes: &'a [u8], start: usize) -> Vec<Piece<'a>> {
        self.columns.iter().map(|array| Piece { array, bytes, start }).collect()
    }
}

impl Array {
    /// An array of this type without values.
    pub fn empty(field: &Field) -> Result<Self> {
        let children = match Layout::of(field.data_type())? {
            Layout::List(_, child) | Layout::FixedList(_, child) => vec![Self::empty(child)?],
            Layout::Struct(fields) => fields.iter().map(|field| Self::empty(field)).collect::<Result<_>>()?,
            _ => Vec::new(),
        };
        Ok(Self { children, ..Self::default() })
    }

    /// Refuses arrays that don't fit their type or reach beyond `length` bytes; for arrays made by hand.
    pub fn check(&self, field: &Field, length: usize) -> Result<()> {
        self.check_type(field.data_type(), length).map_err(|error| error.with("column", field.name()))
    }

    fn check_type(&self, data_type: &DataType, bytes: usize) -> Result<()> {
        let short = || Error::corrupt("a buffer is shorter than its values").with("values", self.length);
        let holds = |range: &Range<usize>, needed: Option<usize>| {
            let long_enough = needed.is_some_and(|needed| range.len() >= needed);
            if range.start <= range.end && range.end <= bytes && long_enough { Ok(()) } else { Err(short()) }
        };
        if let Some(validity) = &self.validity {
            holds(validity, Some(self.length.div_ceil(8)))?;
        }
        let layout = Layout::of(data_type)?;
        if let Layout::Bytes(width) | Layout::List(width, _) = layout
            && !(self.length == 0 && self.offsets.is_empty())
        {
            holds(&self.offsets, self.length.checked_add(1).and_then(|n| n.checked_mul(width.bytes())))?;
        }
        let child = || self.children.first().ok_or_else(|| Error::corrupt("a list has no child"));
        match layout {
            Layout::Null => Ok(()),
            Layout::Fixed(size) => holds(&self.values, self.length.checked_mul(size)),
            Layout::Bits => holds(&self.values, Some(self.length.div_ceil(8))),
            Layout::Bytes(_) => holds(&self.values, Some(0)),
            Layout::List(_, field) => child()?.check_type(field.data_type(), bytes),
            Layout::FixedList(size, field) => {
                let child = child()?;
                if self.length.checked_mul(size).is_none_or(|needed| child.length < needed) {
                    return Err(short());
                }
                child.check_type(field.data_type(), bytes)
            }
            Layout::Struct(fields) => {
                if fields.len() != self.children.len() {
                    return Err(Error::corrupt("a struct has another number of children than its type"));
                }
                for (field, child) in fields.iter().zip(&self.children) {
                    if child.length < self.length {
                        return Err(short());
                    }
                    child.check_type(field.data_type(), bytes)?;
                }
                Ok(())
            }
        }
    }

    /// The validity bits, none when no value is null.
    pub(super) fn validity_bits<'a>(&self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>> {
        self.validity.as_ref().map(|range| within(bytes, range)).transpose()
    }
}

/// The bytes of a range. A range that was checked once may be out of bounds if the file was cut short since.
pub(super) fn within<'a>(bytes: &'a [u8], range: &Range<usize>) -> Result<&'a [u8]> {
    bytes.get(range.clone()).ok_or_else(|| Error::corrupt("a buffer reaches beyond the file"))
}
