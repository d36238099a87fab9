//! Offsets of lists and strings, in 32 or 64 bits. They come from files: each is checked where it is used.

use crate::error::{Error, Result};

/// Bytes of one offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// Four.
    Narrow,
    /// Eight.
    Wide,
}

impl Width {
    /// Bytes of one offset.
    pub fn bytes(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
    }
}

/// Offsets as they lie in a file: one more than there are rows, or none at all.
#[derive(Debug, Clone, Copy)]
pub struct Offsets<'a> {
    bytes: &'a [u8],
    width: Width,
}

impl<'a> Offsets<'a> {
    /// Over bytes of offsets.
    pub fn new(bytes: &'a [u8], width: Width) -> Self {
        Self { bytes, width }
    }

    /// The offset at `index`; 0 where an empty array has none. `Corrupt` when it is negative or not there.
    pub fn get(&self, index: usize) -> Result<usize> {
        if self.bytes.is_empty() && index == 0 {
            return Ok(0);
        }
        let missing = || Error::corrupt("an offset is missing or negative").with("offset", index);
        let rest = index.checked_mul(self.width.bytes()).and_then(|start| self.bytes.get(start..));
        let value = match self.width {
            Width::Narrow => {
                rest.and_then(|rest| rest.first_chunk()).map(|bytes| i64::from(i32::from_le_bytes(*bytes)))
            }
            Width::Wide => rest.and_then(|rest| rest.first_chunk()).map(|bytes| i64::from_le_bytes(*bytes)),
        };
        value.and_then(|value| usize::try_from(value).ok()).ok_or_else(missing)
    }

    /// Where row `index` starts and ends. `Corrupt` when it ends before it starts.
    pub fn row(&self, index: usize) -> Result<std::ops::Range<usize>> {
        let range = self.get(index)?..self.get(index + 1)?;
        if range.start > range.end {
            return Err(Error::corrupt("offsets run backwards").with("row", index));
        }
        Ok(range)
    }

    /// The length that each of the rows `first..first + count` has, if they all have the same. Reads every offset.
    pub fn uniform(&self, first: usize, count: usize) -> Result<Option<usize>> {
        if count == 0 {
            return Ok(None);
        }
        let start = self.get(first)?;
        let Some(length) = self.get(first + 1)?.checked_sub(start) else { return Ok(None) };
        // The last one first: most columns that are not uniform are found out by it.
        let last = start.checked_add(length.saturating_mul(count));
        if last != Some(self.get(first + count)?) {
            return Ok(None);
        }
        let width = self.width.bytes();
        let bytes = self.bytes.get((first + 1) * width..(first + count + 1) * width).unwrap_or_default();
        let (start, step) = (start as i64, length as i64);
        let same = match self.width {
            Width::Narrow => ascends(
                bytes.as_chunks::<4>().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))),
                start,
                step,
            ),
            Width::Wide => {
                ascends(bytes.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)), start, step)
            }
        };
        Ok(same.then_some(length))
    }
}

/// Whether each offset lies one step behind the one before it.
fn ascends(offsets: impl Iterator<Item = i64>, start: i64, step: i64) -> bool {
    offsets.zip(1..).all(|(offset, i)| offset == start + i * step)
}
