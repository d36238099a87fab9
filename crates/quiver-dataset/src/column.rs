//! A column across all batches of all files.

use std::ops::Range;

use quiver_tensor::DType;
use quiver_tensor::arrow::features::declared_shape;
use quiver_tensor::arrow::values::{Opaque, Values, values};
use quiver_tensor::arrow::{Array, DataType, Field};

use crate::dataset::Shard;
use crate::error::{Error, Result};

/// What the rows of a column are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Tensors of one shape; no axes for plain numbers.
    Fixed {
        /// Of the elements.
        dtype: DType,
        /// Of each row.
        row: Vec<u64>,
    },
    /// Tensors that differ in their first axis.
    Ragged {
        /// Of the elements.
        dtype: DType,
        /// The other axes.
        inner: Vec<u64>,
    },
    /// Texts.
    Text,
    /// Something else, which can only be copied.
    Opaque(Opaque),
}

/// Rows of a column that lie together, in one batch of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Number of the file.
    pub shard: usize,
    /// Number of its first row in the dataset.
    pub first: u64,
    /// Rows.
    pub rows: usize,
    /// Where the values lie in the file.
    pub values: Values,
    /// Where a bit a row lies that says whether it is not null; none when no row is null.
    pub validity: Option<Range<usize>>,
    /// Rows that are null.
    pub nulls: usize,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its number in the schema.
    pub index: usize,
    /// What its rows are.
    pub kind: Kind,
    /// Where they lie, in order.
    pub blocks: Vec<Block>,
    /// Rows that are null.
    pub nulls: u64,
}

impl Column {
    /// Looks at every offset of the column.
    pub(crate) fn of(field: &Field, index: usize, shards: &[Shard]) -> Result<Self> {
        let mut blocks = Vec::new();
        let (mut first, mut nulls) = (0, 0);
        for (number, shard) in shards.iter().enumerate() {
            for batch in shard.batches() {
                let array = batch
                    .columns
                    .get(index)
                    .ok_or_else(|| Error::damaged(shard.path(), "a batch has too few columns"))?;
                let values = values(field, array, shard.bytes()).map_err(Error::within(shard.path()))?;
                let (validity, null_rows) = (array.validity.clone(), array.nulls);
                blocks.push(Block {
                    shard: number,
                    first,
                    rows: batch.rows,
                    values,
                    validity,
                    nulls: null_rows,
                });
                first += batch.rows as u64;
                nulls += array.nulls as u64;
            }
        }
        let kind = match kind_of(&blocks) {
            Some(kind) => kind,
            None => kind_without_rows(field)?,
        };
        Ok(Self { name: field.name().clone(), index, kind, blocks, nulls })
    }

    /// Element type and bytes of a row, of columns whose rows all have one shape.
    pub fn fixed_row(&self) -> Result<(DType, usize)> {
        let Kind::Fixed { dtype, row } = &self.kind else {
            return Err(self.refusal("has no rows of one shape"));
        };
        let bytes = quiver_tensor::byte_length(*dtype, row)?;
        Ok((*dtype, usize::try_from(bytes).map_err(|_| self.refusal("has rows larger than memory"))?))
    }

    pub(crate) fn refusal(&self, reason: &'static str) -> Error {
        Error::Column { column: self.name.clone(), reason }
    }

    /// The block that holds a row.
    pub(crate) fn block_of(&self, row: u64) -> Option<&Block> {
        let after = self.blocks.partition_point(|block| block.first <= row);
        let block = self.blocks.get(after.checked_sub(1)?)?;
        (row - block.first < block.rows as u64).then_some(block)
    }
}

/// What all blocks together are; none when there are none.
fn kind_of(blocks: &[Block]) -> Option<Kind> {
    let first = blocks.first()?;
    let dtype = match &first.values {
        Values::Dense { leaves, .. } | Values::Ragged { leaves, .. } => leaves.dtype,
        Values::Text { .. } => return Some(Kind::Text),
        Values::Opaque(why) => return Some(Kind::Opaque(*why)),
    };
    if let Values::Dense { row, .. } = &first.values
        && blocks
            .iter()
            .all(|block| matches!(&block.values, Values::Dense { row: other, .. } if other == row))
    {
        return Some(Kind::Fixed { dtype, row: row.clone() });
    }
    let mut inner: Option<&[u64]> = None;
    for block in blocks {
        let (own, leaves) = match &block.values {
            Values::Dense { row, leaves } => (row.get(1..).unwrap_or_default(), leaves),
            Values::Ragged { inner, leaves, .. } => (inner.as_slice(), leaves),
            Values::Text { .. } => return Some(Kind::Opaque(Opaque::NoNumbers)),
            Values::Opaque(why) => return Some(Kind::Opaque(*why)),
        };
        match inner {
            // Lists without any items say nothing about their width.
            Some(_) if leaves.count == 0 => {}
            Some(known) if known.iter().all(|&size| size > 0) && known != own => {
                return Some(Kind::Opaque(Opaque::Jagged));
            }
            _ => inner = Some(own),
        }
    }
    Some(Kind::Ragged { dtype, inner: inner.unwrap_or_default().to_vec() })
}

fn kind_without_rows(field: &Field) -> Result<Kind> {
    let found = values(field, &Array::empty(field)?, &[])?;
    let varies = declared_shape(field)
        .map_or(matches!(field.data_type(), DataType::List(_) | DataType::LargeList(_)), |shape| {
            shape.first() == Some(&None)
        });
    Ok(match found {
        Values::Dense { row, leaves } if varies => {
            Kind::Ragged { dtype: leaves.dtype, inner: row.get(1..).unwrap_or_default().to_vec() }
        }
        Values::Dense { row, leaves } => Kind::Fixed { dtype: leaves.dtype, row },
        Values::Ragged { inner, leaves, .. } => Kind::Ragged { dtype: leaves.dtype, inner },
        Values::Text { .. } => Kind::Text,
        Values::Opaque(why) => Kind::Opaque(why),
    })
}
