//! Columns of a dataset that come before new ones as they are. They are read where they lie when a file is completed, so
//! that their bytes are written once.

use std::ops::Range;
use std::sync::Arc;

use quiver_tensor::arrow::{Field, Growing, Piece, Schema, Sink, write};

use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// Rows looked at together; offsets of so many are held in memory.
const STEP: usize = 1 << 16;

/// Columns of a dataset that are copied.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Where they lie.
    pub dataset: Arc<Dataset>,
    /// Their numbers in its schema, in the order in which they are written.
    pub columns: Vec<usize>,
}

/// What of a record batch the copied columns are.
#[derive(Debug, Default)]
pub(super) struct Measure {
    /// Length and nulls, as [`Growing::nodes`].
    pub(super) nodes: Vec<(u64, u64)>,
    /// Bytes of each buffer.
    pub(super) lengths: Vec<u64>,
}

impl Kept {
    /// `BadOption` for a number that names no column.
    pub(super) fn fields(&self) -> Result<Vec<Arc<Field>>> {
        let fields = self.dataset.schema().fields();
        let field = |&number: &usize| fields.get(number).cloned();
        let kept: Option<_> = self.columns.iter().map(field).collect();
        kept.ok_or_else(|| Error::BadOption("the dataset has fewer columns than are kept".into()))
    }

    /// Rows from `start` on, as many as lie together, at most `most`; one piece a column.
    pub(super) fn pieces(&self, start: u64, most: usize) -> Result<(Vec<Piece<'_>>, usize)> {
        let missing = || Error::BadOption("the dataset has fewer rows than are appended".into());
        let (pieces, rows) = self.dataset.pieces(start, most).ok_or_else(missing)?;
        Ok((self.columns.iter().filter_map(|&number| pieces.get(number).copied()).collect(), rows))
    }

    /// What rows are going to take. Looks at offsets and validity, not at values.
    pub(super) fn measure(&self, rows: &Range<u64>) -> Result<Measure> {
        let mut all = Measure::default();
        for (number, field) in self.fields()?.into_iter().enumerate() {
            let schema = Schema::new(vec![field]);
            let mut lengths = Lengths(vec![0; Growing::new(&schema)?.buffers()]);
            all.nodes.extend(self.grow(number, &schema, rows, &mut lengths)?.nodes());
            all.lengths.append(&mut lengths.0);
        }
        Ok(all)
    }

    /// Gives away the buffers of rows, one after the other, each followed by its padding. `Damaged` where a file of the
    /// dataset was cut short.
    pub(super) fn copy(&self, rows: &Range<u64>, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for (number, field) in self.fields()?.into_iter().enumerate() {
            let schema = Schema::new(vec![field]);
            for buffer in 0..Growing::new(&schema)?.buffers() {
                let mut one = One { buffer, length: 0, take };
                self.grow(number, &schema, rows, &mut one)?;
                let padding = write::padding(one.length);
                take(padding)?;
            }
        }
        self.dataset.check_whole()
    }

    /// Appends rows of the kept column `number`, of which `schema` is.
    fn grow<S: Sink<Error = Error>>(
        &self,
        number: usize,
        schema: &Schema,
        rows: &Range<u64>,
        sink: &mut S,
    ) -> Result<Growing> {
        let mut growing = Growing::new(schema)?;
        let mut at = rows.start;
        while at < rows.end {
            let most = usize::try_from(rows.end - at).map_or(STEP, |left| left.min(STEP));
            let (pieces, now) = self.pieces(at, most)?;
            let column = pieces.get(number).map(std::slice::from_ref).unwrap_or_default();
            growing.append(schema, column, now, sink)?;
            at += now as u64;
        }
        growing.finish(schema, sink)?;
        Ok(growing)
    }
}

/// Counts the bytes of each buffer.
struct Lengths(Vec<u64>);

impl Sink for Lengths {
    type Error = Error;

    fn append(&mut self, buffer: usize, bytes: &[u8]) -> Result<()> {
        if let Some(length) = self.0.get_mut(buffer) {
            *length += bytes.len() as u64;
        }
        Ok(())
    }
}

/// Gives away one buffer and drops the others.
struct One<'a, F> {
    buffer: usize,
    length: u64,
    take: &'a mut F,
}

impl<F: FnMut(&[u8]) -> Result<()>> Sink for One<'_, F> {
    type Error = Error;

    fn append(&mut self, buffer: usize, bytes: &[u8]) -> Result<()> {
        if buffer != self.buffer {
            return Ok(());
        }
        self.length += bytes.len() as u64;
        (self.take)(bytes)
    }
}
