//! Which rows go into which file.

use quiver_tensor::arrow::{Extent, Piece, Schema, extent, fixed_extent};

use crate::error::{Error, Result};

/// How rows are split into files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharding {
    /// Files of at most so many bytes of Arrow data, but at least a row; each is filled before the next is begun.
    Size(u64),
    /// So many files for a number of rows that is known beforehand, as Python splits them: the first
    /// `rows mod shards` files get one row more.
    Shards {
        /// Files, at least one, at most one a row.
        shards: u64,
        /// Rows of all files.
        rows: u64,
    },
}

/// The most that 32-bit offsets count.
const LARGEST_OFFSET: u64 = i32::MAX as u64;

#[derive(Debug)]
pub(super) struct Plan {
    sharding: Sharding,
    /// What each row takes, if they all take the same.
    row: Option<Extent>,
    /// Of the file that is growing, counted up to row number `counted`.
    used: Extent,
    counted: (usize, usize),
}

impl Plan {
    pub(super) fn new(schema: &Schema, sharding: Sharding) -> Result<Self> {
        let possible = match sharding {
            Sharding::Size(bytes) => bytes > 0,
            Sharding::Shards { shards, rows } => shards > 0 && shards <= rows.max(1),
        };
        if !possible {
            return Err(Error::BadOption(format!("rows can't be split like this: {sharding:?}")));
        }
        if schema.fields().is_empty() {
            return Err(Error::BadOption("a dataset needs at least one column".into()));
        }
        Ok(Self { sharding, row: fixed_extent(schema)?, used: Extent::default(), counted: (0, 0) })
    }

    pub(super) fn expected_rows(&self) -> Option<u64> {
        match self.sharding {
            Sharding::Size(_) => None,
            Sharding::Shards { rows, .. } => Some(rows),
        }
    }

    /// What the growing file takes so far; to go on later.
    pub(super) fn restore(&mut self, shard: usize, rows: usize, used: Extent) {
        (self.used, self.counted) = (used, (shard, rows));
    }

    /// How many of the next rows fit into file `shard`, which has `present` rows.
    pub(super) fn fitting(
        &mut self,
        schema: &Schema,
        shard: usize,
        present: usize,
        pieces: &[Piece<'_>],
        most: usize,
    ) -> Result<usize> {
        match self.sharding {
            Sharding::Shards { shards, rows } => {
                let own = rows / shards + u64::from((shard as u64) < rows % shards);
                if shard as u64 >= shards {
                    return Err(Error::BadOption(format!("more than the {rows} rows announced")));
                }
                Ok(most.min((own as usize).saturating_sub(present)))
            }
            Sharding::Size(bytes) => match self.row {
                Some(row) => {
                    let rows = bytes.saturating_mul(8) / row.bits.max(1);
                    Ok(most.min((rows.max(1) as usize).saturating_sub(present)))
                }
                None => self.count(schema, bytes, (shard, present), pieces, most),
            },
        }
    }

    fn count(
        &mut self,
        schema: &Schema,
        bytes: u64,
        position: (usize, usize),
        pieces: &[Piece<'_>],
        most: usize,
    ) -> Result<usize> {
        if position != self.counted {
            self.restore(position.0, position.1, Extent::default());
        }
        for row in 0..most {
            let mut after = self.used;
            for (piece, field) in pieces.iter().zip(schema.fields()) {
                let index = piece.start.saturating_add(row);
                if index >= piece.array.length {
                    return Err(Error::BadOption("a column has fewer rows than announced".into()));
                }
                after = after.plus(extent(field.data_type(), piece.array, piece.bytes, index)?);
            }
            let full = after.bits.div_ceil(8) > bytes || after.items > LARGEST_OFFSET;
            if full && position.1 + row > 0 {
                self.counted = (position.0, position.1 + row);
                return Ok(row);
            }
            self.used = after;
        }
        self.counted = (position.0, position.1 + most);
        Ok(most)
    }

    pub(super) fn used(&self) -> Extent {
        self.used
    }
}
