//! Rows picked by index across all blocks of a column, into one output.

use std::ops::Range;

use quiver_io::crew::fill_rows;
use quiver_tensor::arrow::values::Values;
use quiver_tensor::arrow::{Offsets, expand};
use quiver_tensor::{DType, Error as TensorError, ErrorKind, Rows, gather_located, gather_rows};

use crate::column::{Block, Column, Kind};
use crate::dataset::{Dataset, Shard};
use crate::error::{Error, Result};

/// Bytes of rows that are asked for before the first of them is copied.
const TOGETHER: usize = 8 << 20;

/// Of so many rows one is looked at to learn whether rows have to come from the disk. Fewer are just read.
const SAMPLED: usize = 128;
const FEWEST: usize = 16;

impl Dataset {
    /// Copies the rows `indices` of a column with rows of one shape into `out`, in that order; indices may repeat.
    /// Bools become a byte each. Rows that are null are copied as they lie.
    ///
    /// `OutOfRange` for an index that names no row, before anything is copied; `BadValue` when `out` has another
    /// length than the rows; an error about the column when it has other rows.
    pub fn gather(&self, column: &Column, indices: &[u32], out: &mut [u8]) -> Result<()> {
        let (dtype, row_bytes) = column.fixed_row()?;
        self.check_indices(indices)?;
        if indices.len().checked_mul(row_bytes) != Some(out.len()) {
            return Err(bad_length(out.len()));
        }
        if row_bytes == 0 || indices.is_empty() {
            return Ok(());
        }
        let together = (TOGETHER / row_bytes).max(1);
        for (indices, out) in indices.chunks(together).zip(out.chunks_mut(together.saturating_mul(row_bytes)))
        {
            self.ask_for(column, dtype, row_bytes, indices);
            fill_rows(row_bytes, indices, out, |indices, out| {
                self.gather_part(column, dtype, row_bytes, indices, out)
            })?;
        }
        self.check_whole()
    }

    /// Where rows are not in memory, has the disk begin with all of them at once. Touched one by one each would wait for
    /// its own read, and for neighbours that nobody wants.
    fn ask_for(&self, column: &Column, dtype: DType, row_bytes: usize, indices: &[u32]) {
        if indices.len() < FEWEST || dtype == DType::Bool {
            return;
        }
        let place = |index: &u32| {
            let (block, row) = place_of(column, *index).ok()?;
            let start = leaves(block)?.data.start.checked_add(row.checked_mul(row_bytes)?)?;
            Some((self.shards().get(block.shard)?, start..start.checked_add(row_bytes)?))
        };
        let is_absent = |(shard, bytes): (&Shard, Range<usize>)| shard.is_absent(bytes.start);
        if indices.iter().step_by(SAMPLED).filter_map(place).any(is_absent) {
            indices.iter().filter_map(place).for_each(|(shard, bytes)| shard.will_need(bytes));
        }
    }

    fn gather_part(
        &self,
        column: &Column,
        dtype: DType,
        row_bytes: usize,
        indices: &[u32],
        out: &mut [u8],
    ) -> Result<()> {
        if dtype == DType::Bool {
            return out.chunks_exact_mut(row_bytes).zip(indices).try_for_each(|(slot, &index)| {
                let (block, row) = place_of(column, index)?;
                self.copy_items(block, row * row_bytes, dtype, slot)
            });
        }
        if let [block] = column.blocks.as_slice() {
            let rows = Rows { count: block.rows, bytes: row_bytes, stride: row_bytes };
            return Ok(gather_rows(self.leaf_bytes(block)?, rows, indices, out)?);
        }
        gather_located(row_bytes, indices, out, |index| {
            let (block, row) = place_of(column, index)?;
            let rows = self.leaf_bytes(block)?;
            let start = row.saturating_mul(row_bytes);
            rows.get(start..start.saturating_add(row_bytes)).ok_or_else(|| beyond_its_batch().into())
        })
    }

    /// Items along the first axis of the rows `indices` of a ragged column.
    pub fn lengths(&self, column: &Column, indices: &[u32]) -> Result<Vec<u64>> {
        if !matches!(column.kind, Kind::Ragged { .. }) {
            return Err(column.refusal("has no ragged rows"));
        }
        self.check_indices(indices)?;
        indices.iter().map(|&index| Ok(self.items(column, index)?.2 as u64)).collect()
    }

    /// Copies rows of a ragged column into `out`, a dense tensor of `[indices, items, …inner]`: shorter rows are
    /// filled up with zeros, longer ones cut. Errors as [`Dataset::gather`].
    pub fn gather_padded(
        &self,
        column: &Column,
        indices: &[u32],
        items: usize,
        out: &mut [u8],
    ) -> Result<()> {
        let Kind::Ragged { dtype, inner } = &column.kind else {
            return Err(column.refusal("has no ragged rows"));
        };
        self.check_indices(indices)?;
        let elements = usize::try_from(quiver_tensor::element_count(inner)?).unwrap_or(usize::MAX);
        let item_bytes = elements.saturating_mul(dtype.item_size());
        let row_bytes = item_bytes.checked_mul(items).ok_or_else(|| bad_length(out.len()))?;
        if indices.len().checked_mul(row_bytes) != Some(out.len()) {
            return Err(bad_length(out.len()));
        }
        if row_bytes == 0 || indices.is_empty() {
            return Ok(());
        }
        fill_rows(row_bytes, indices, out, |indices, out| {
            out.chunks_exact_mut(row_bytes).zip(indices).try_for_each(|(slot, &index)| {
                let (block, first, length) = self.items(column, index)?;
                let (used, rest) = slot.split_at_mut(length.min(items) * item_bytes);
                self.copy_items(block, first * elements, *dtype, used)?;
                rest.fill(0);
                Ok::<_, Error>(())
            })
        })?;
        self.check_whole()
    }

    /// Where row `index` of a ragged column is: its block, its first item there, and how many items it has.
    fn items<'a>(&self, column: &'a Column, index: u32) -> Result<(&'a Block, usize, usize)> {
        let (block, row) = place_of(column, index)?;
        let (first, length) = match &block.values {
            Values::Dense { row: shape, .. } => {
                let length = shape.first().copied().unwrap_or_default() as usize;
                (row * length, length)
            }
            Values::Ragged { bounds, width, .. } => {
                let bytes = self.bytes_of(block)?.get(bounds.clone()).unwrap_or_default();
                let offsets = Offsets::new(bytes, *width);
                let (own, base) = (offsets.row(row)?, offsets.get(0)?);
                let first = own.start.checked_sub(base);
                (
                    first.ok_or_else(|| TensorError::new(ErrorKind::Corrupt, "offsets run backwards"))?,
                    own.len(),
                )
            }
            Values::Text { .. } | Values::Opaque(_) => return Err(column.refusal("has no ragged rows")),
        };
        Ok((block, first, length))
    }

    /// Copies elements of a block, from number `first` on, as many as `out` holds.
    fn copy_items(&self, block: &Block, first: usize, dtype: DType, out: &mut [u8]) -> Result<()> {
        let source = self.leaf_bytes(block)?;
        if dtype == DType::Bool {
            let first_bit = leaves(block).map_or(0, |leaves| leaves.first_bit);
            return Ok(expand(source, first_bit + first, out)?);
        }
        let start = first.saturating_mul(dtype.item_size());
        let row = source.get(start..start.saturating_add(out.len()));
        out.copy_from_slice(row.ok_or_else(beyond_its_batch)?);
        Ok(())
    }

    fn bytes_of(&self, block: &Block) -> Result<&[u8]> {
        match self.shards().get(block.shard) {
            Some(shard) => Ok(shard.bytes()),
            None => Err(Error::BadOption("the column belongs to another dataset".into())),
        }
    }

    fn leaf_bytes(&self, block: &Block) -> Result<&[u8]> {
        let range = leaves(block).map_or(0..0, |leaves| leaves.data.clone());
        Ok(self.bytes_of(block)?.get(range).unwrap_or_default())
    }

    fn check_indices(&self, indices: &[u32]) -> Result<()> {
        match indices.iter().find(|&&index| u64::from(index) >= self.rows()) {
            Some(index) => Err(no_row(*index).into()),
            None => Ok(()),
        }
    }
}

/// Where a row is: its block, and its number there.
fn place_of(column: &Column, index: u32) -> Result<(&Block, usize)> {
    let block = column.block_of(u64::from(index)).ok_or_else(|| no_row(index))?;
    Ok((block, (u64::from(index) - block.first) as usize))
}

fn leaves(block: &Block) -> Option<&quiver_tensor::arrow::values::Leaves> {
    match &block.values {
        Values::Dense { leaves, .. } | Values::Ragged { leaves, .. } => Some(leaves),
        Values::Text { .. } | Values::Opaque(_) => None,
    }
}

fn no_row(index: u32) -> TensorError {
    TensorError::new(ErrorKind::OutOfRange, "an index names no row").with("index", index)
}

fn beyond_its_batch() -> TensorError {
    TensorError::new(ErrorKind::Corrupt, "a row reaches beyond the values of its batch")
}

fn bad_length(bytes: usize) -> Error {
    TensorError::new(ErrorKind::BadValue, "out must be as long as the rows asked for")
        .with("bytes", bytes)
        .into()
}
