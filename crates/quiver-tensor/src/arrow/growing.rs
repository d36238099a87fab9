//! Columns that grow row by row, of whatever type, out of arrays that lie elsewhere.

use std::ops::Range;

use arrow_schema::{DataType, Field, Schema};

use super::array::{Array, within};
use super::bits::{Partial, is_set};
use super::layout::Layout;
use super::offsets::{Offsets, Width};
use crate::error::{Error, Result};

/// Where the buffers of growing columns go. They are numbered in the order in which a record batch lists them.
pub trait Sink {
    /// What can go wrong there, or here.
    type Error: From<Error>;

    /// Appends to a buffer.
    fn append(&mut self, buffer: usize, bytes: &[u8]) -> std::result::Result<(), Self::Error>;
}

/// In memory.
impl Sink for Vec<Vec<u8>> {
    type Error = Error;

    fn append(&mut self, buffer: usize, bytes: &[u8]) -> Result<()> {
        match self.get_mut(buffer) {
            Some(sink) => sink.extend_from_slice(bytes),
            None => return Err(Error::bad_value("there is no such buffer").with("buffer", buffer)),
        }
        Ok(())
    }
}

/// Rows of one column that lie somewhere.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The array that they belong to.
    pub array: &'a Array,
    /// What the ranges of the array count in.
    pub bytes: &'a [u8],
    /// The first of them.
    pub start: usize,
}

/// What rows take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bits in memory.
    pub bits: u64,
    /// Values and bytes of strings that 32-bit offsets have to count.
    pub items: u64,
}

impl Extent {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { bits: self.bits.saturating_add(other.bits), items: self.items.saturating_add(other.items) }
    }
}

/// What every row of these columns takes, if all rows take the same.
pub fn fixed_extent(schema: &Schema) -> Result<Option<Extent>> {
    let mut total = Extent::default();
    for field in schema.fields() {
        match Layout::fixed_bits(field.data_type())? {
            Some(bits) => total = total.plus(Extent { bits, items: 0 }),
            None => return Ok(None),
        }
    }
    Ok(Some(total))
}

/// What row `row` of an array takes; validity is not counted.
pub fn extent(data_type: &DataType, array: &Array, bytes: &[u8], row: usize) -> Result<Extent> {
    if let Some(bits) = Layout::fixed_bits(data_type)? {
        return Ok(Extent { bits, items: 0 });
    }
    let child = || array.children.first().ok_or_else(|| Error::corrupt("a list has no child"));
    let offsets_of = |width| Offsets::new(within(bytes, &array.offsets)?, width).row(row);
    let own = |width: Width, count: usize| Extent {
        bits: 8 * width.bytes() as u64,
        items: if width == Width::Narrow { count as u64 } else { 0 },
    };
    Ok(match Layout::of(data_type)? {
        Layout::Bytes(width) => {
            let range = offsets_of(width)?;
            own(width, range.len()).plus(Extent { bits: 8 * range.len() as u64, items: 0 })
        }
        Layout::List(width, field) => {
            let range = offsets_of(width)?;
            own(width, range.len()).plus(sum(field, child()?, bytes, range)?)
        }
        Layout::FixedList(size, field) => {
            sum(field, child()?, bytes, row.saturating_mul(size)..row.saturating_add(1).saturating_mul(size))?
        }
        Layout::Struct(fields) => {
            let mut total = Extent::default();
            for (field, child) in fields.iter().zip(&array.children) {
                total = total.plus(extent(field.data_type(), child, bytes, row)?);
            }
            total
        }
        Layout::Null | Layout::Fixed(_) | Layout::Bits => Extent::default(),
    })
}

fn sum(field: &Field, child: &Array, bytes: &[u8], mut rows: Range<usize>) -> Result<Extent> {
    if rows.end > child.length {
        return Err(Error::corrupt("offsets reach beyond the values they point into"));
    }
    if let Some(bits) = Layout::fixed_bits(field.data_type())? {
        return Ok(Extent { bits: bits.saturating_mul(rows.len() as u64), items: 0 });
    }
    rows.try_fold(Extent::default(), |total, row| {
        Ok(total.plus(extent(field.data_type(), child, bytes, row)?))
    })
}

/// The buffer that will have the most bytes, as far as types tell: lists that vary are taken for lists of 16, texts for
/// 256 bytes.
pub fn largest_buffer(schema: &Schema) -> Result<usize> {
    let mut sizes = Vec::new();
    for field in schema.fields() {
        likely_bits(field.data_type(), 1, &mut sizes)?;
    }
    let largest = sizes.iter().enumerate().max_by_key(|&(number, &bits)| (bits, std::cmp::Reverse(number)));
    Ok(largest.map_or(0, |(number, _)| number))
}

/// Bits a row of each buffer of `count` values, in the order of [`Column::new`].
fn likely_bits(data_type: &DataType, count: u64, sizes: &mut Vec<u64>) -> Result<()> {
    let layout = Layout::of(data_type)?;
    let mut put = |bits: u64| sizes.push(count.saturating_mul(bits));
    if !matches!(layout, Layout::Null) {
        // Mostly there are no nulls, and no buffer then.
        put(0);
    }
    match layout {
        Layout::Null => {}
        Layout::Fixed(size) => put(8 * size as u64),
        Layout::Bits => put(1),
        Layout::Bytes(width) => {
            put(8 * width.bytes() as u64);
            put(8 * 256);
        }
        Layout::List(width, child) => {
            put(8 * width.bytes() as u64);
            likely_bits(child.data_type(), count.saturating_mul(16), sizes)?;
        }
        Layout::FixedList(size, child) => {
            likely_bits(child.data_type(), count.saturating_mul(size as u64), sizes)?;
        }
        Layout::Struct(fields) => {
            for field in fields {
                likely_bits(field.data_type(), count, sizes)?;
            }
        }
    }
    Ok(())
}

/// The columns of one record batch that is being made. Buffers go to a [`Sink`] as they come; what is kept here are
/// some numbers a column, which can be taken out and put back to go on later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growing {
    columns: Vec<Column>,
    buffers: usize,
    rows: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Column {
    /// Number of its first buffer, which is the validity.
    buffer: usize,
    length: u64,
    nulls: u64,
    validity: Partial,
    bits: Partial,
    /// The offset at which the last value ends.
    last: u64,
    children: Vec<Column>,
}

/// Numbers of one column in a state.
const STATE: usize = 5;

impl Growing {
    /// No rows yet. `Unsupported` for types that are not read either.
    pub fn new(schema: &Schema) -> Result<Self> {
        let mut buffers = 0;
        let columns = schema
            .fields()
            .iter()
            .map(|field| Column::new(field.data_type(), &mut buffers))
            .collect::<Result<_>>()?;
        Ok(Self { columns, buffers, rows: 0 })
    }

    /// How many buffers the sink needs.
    pub fn buffers(&self) -> usize {
        self.buffers
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Appends rows: one piece a column of the schema, each with so many rows from its start on. After an error the
    /// sink may hold a part.
    pub fn append<S: Sink>(
        &mut self,
        schema: &Schema,
        pieces: &[Piece<'_>],
        rows: usize,
        sink: &mut S,
    ) -> std::result::Result<(), S::Error> {
        if pieces.len() != self.columns.len() {
            return Err(Error::bad_value("there must be one piece a column").into());
        }
        for ((column, field), piece) in self.columns.iter_mut().zip(schema.fields()).zip(pieces) {
            let end = piece.start.saturating_add(rows);
            column.append(field.data_type(), piece.array, piece.bytes, piece.start..end, sink)?;
        }
        self.rows += rows;
        Ok(())
    }

    /// Writes what bits and offsets are still missing. Nothing may be appended afterwards.
    pub fn finish<S: Sink>(&self, schema: &Schema, sink: &mut S) -> std::result::Result<(), S::Error> {
        self.columns
            .iter()
            .zip(schema.fields())
            .try_for_each(|(column, field)| column.finish(field.data_type(), sink))
    }

    /// Length and nulls of every column, parents before children, as a record batch lists them.
    pub fn nodes(&self) -> Vec<(u64, u64)> {
        let mut nodes = Vec::new();
        self.columns.iter().for_each(|column| column.visit(&mut |c| nodes.push((c.length, c.nulls))));
        nodes
    }

    /// All that is kept here, as numbers.
    pub fn state(&self) -> Vec<u64> {
        let mut state = vec![self.rows as u64];
        let pair = |partial: Partial| {
            let (byte, bits) = partial.parts();
            u64::from(byte) << 8 | u64::from(bits)
        };
        for column in &self.columns {
            column.visit(&mut |c| {
                state.extend([c.length, c.nulls, c.last, pair(c.validity), pair(c.bits)]);
            });
        }
        state
    }

    /// Goes on from a state of columns of the same schema. `Corrupt` when it does not fit.
    pub fn resume(schema: &Schema, state: &[u64]) -> Result<Self> {
        let mut growing = Self::new(schema)?;
        let misfit = || Error::corrupt("the state belongs to other columns");
        let (rows, columns) = state.split_first().ok_or_else(misfit)?;
        let (columns, rest) = columns.as_chunks::<STATE>();
        if !rest.is_empty() || columns.len() != growing.nodes().len() {
            return Err(misfit());
        }
        let mut numbers = columns.iter();
        for column in &mut growing.columns {
            column.restore(&mut numbers);
        }
        growing.rows = usize::try_from(*rows).map_err(|_| misfit())?;
        Ok(growing)
    }
}

impl Column {
    fn new(data_type: &DataType, buffers: &mut usize) -> Result<Self> {
        let layout = Layout::of(data_type)?;
        let mut column = Self { buffer: *buffers, ..Self::default() };
        *buffers += layout.buffers() + usize::from(!matches!(layout, Layout::Null));
        match layout {
            Layout::List(_, child) | Layout::FixedList(_, child) => {
                column.children.push(Self::new(child.data_type(), buffers)?);
            }
            Layout::Struct(fields) => {
                for field in fields {
                    column.children.push(Self::new(field.data_type(), buffers)?);
                }
            }
            _ => {}
        }
        Ok(column)
    }

    fn visit(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        self.children.iter().for_each(|child| child.visit(visit));
    }

    fn restore<'a>(&mut self, numbers: &mut impl Iterator<Item = &'a [u64; STATE]>) {
        let partial = |pair: u64| Partial::from_parts((pair >> 8) as u8, pair as u8);
        if let Some(&[length, nulls, last, validity, bits]) = numbers.next() {
            (self.length, self.nulls, self.last) = (length, nulls, last);
            (self.validity, self.bits) = (partial(validity), partial(bits));
        }
        self.children.iter_mut().for_each(|child| child.restore(numbers));
    }

    fn append<S: Sink>(
        &mut self,
        data_type: &DataType,
        array: &Array,
        bytes: &[u8],
        rows: Range<usize>,
        sink: &mut S,
    ) -> std::result::Result<(), S::Error> {
        if rows.end > array.length {
            return Err(Error::corrupt("offsets reach beyond the values they point into").into());
        }
        let layout = Layout::of(data_type)?;
        if matches!(layout, Layout::Null) {
            self.nulls += rows.len() as u64;
        } else {
            self.append_validity(array, bytes, rows.clone(), sink)?;
        }
        let data = self.buffer + 1;
        let first_child = array.children.first().ok_or_else(|| Error::corrupt("a list has no child"));
        match layout {
            Layout::Null => {}
            Layout::Fixed(size) => {
                let values = within(bytes, &array.values)?;
                let part = rows.start.checked_mul(size).zip(rows.end.checked_mul(size));
                let part = part.and_then(|(start, end)| values.get(start..end));
                sink.append(
                    data,
                    part.ok_or_else(|| Error::corrupt("a buffer is shorter than its values"))?,
                )?;
            }
            Layout::Bits => {
                let values = within(bytes, &array.values)?;
                let done = self.bits.push(rows.len(), |i| is_set(values, rows.start + i));
                sink.append(data, &done)?;
            }
            Layout::Bytes(width) => {
                let part = self.append_offsets(width, array, bytes, rows.clone(), sink)?;
                let values = within(bytes, &array.values)?;
                let part =
                    values.get(part).ok_or_else(|| Error::corrupt("a text reaches beyond its bytes"))?;
                sink.append(data + 1, part)?;
            }
            Layout::List(width, child) => {
                let part = self.append_offsets(width, array, bytes, rows.clone(), sink)?;
                self.child(0)?.append(child.data_type(), first_child?, bytes, part, sink)?;
            }
            Layout::FixedList(size, child) => {
                let part = rows.start.saturating_mul(size)..rows.end.saturating_mul(size);
                self.child(0)?.append(child.data_type(), first_child?, bytes, part, sink)?;
            }
            Layout::Struct(fields) => {
                for (i, (field, child)) in fields.iter().zip(&array.children).enumerate() {
                    self.child(i)?.append(field.data_type(), child, bytes, rows.clone(), sink)?;
                }
            }
        }
        self.length += rows.len() as u64;
        Ok(())
    }

    fn child(&mut self, index: usize) -> Result<&mut Self> {
        self.children.get_mut(index).ok_or_else(|| Error::bad_value("the array has another type"))
    }

    /// Validity is written from the first null on; what came before is then written as valid.
    fn append_validity<S: Sink>(
        &mut self,
        array: &Array,
        bytes: &[u8],
        rows: Range<usize>,
        sink: &mut S,
    ) -> std::result::Result<(), S::Error> {
        let validity = array.validity_bits(bytes)?;
        let valid = |i: usize| validity.is_none_or(|bits| is_set(bits, rows.start + i));
        let nulls = (0..rows.len()).filter(|&i| validity.is_some() && !valid(i)).count() as u64;
        if nulls > 0 && self.nulls == 0 {
            let before = self.validity.push(self.length as usize, |_| true);
            sink.append(self.buffer, &before)?;
        }
        self.nulls += nulls;
        if self.nulls > 0 {
            let done = self.validity.push(rows.len(), valid);
            sink.append(self.buffer, &done)?;
        }
        Ok(())
    }

    /// Appends offsets, counted from where this column is, and returns what the rows point at.
    fn append_offsets<S: Sink>(
        &mut self,
        width: Width,
        array: &Array,
        bytes: &[u8],
        rows: Range<usize>,
        sink: &mut S,
    ) -> std::result::Result<Range<usize>, S::Error> {
        let offsets = Offsets::new(within(bytes, &array.offsets)?, width);
        let start = offsets.get(rows.start)?;
        let mut out = Vec::with_capacity((rows.len() + 1) * width.bytes());
        if self.length == 0 && !rows.is_empty() {
            out.resize(width.bytes(), 0);
        }
        let mut previous = start;
        for row in rows {
            let end = offsets.row(row)?.end;
            self.last += (end - previous) as u64;
            previous = end;
            match width {
                Width::Narrow => {
                    let narrow = i32::try_from(self.last).map_err(|_| {
                        Error::bad_value("32-bit offsets can't count all values of one batch")
                    })?;
                    out.extend(narrow.to_le_bytes());
                }
                Width::Wide => out.extend(self.last.to_le_bytes()),
            }
        }
        sink.append(self.buffer + 1, &out)?;
        Ok(start..previous)
    }

    fn finish<S: Sink>(&self, data_type: &DataType, sink: &mut S) -> std::result::Result<(), S::Error> {
        if let Some(byte) = self.validity.rest() {
            sink.append(self.buffer, &[byte])?;
        }
        match Layout::of(data_type)? {
            Layout::Bits => {
                if let Some(byte) = self.bits.rest() {
                    sink.append(self.buffer + 1, &[byte])?;
                }
            }
            Layout::Bytes(width) | Layout::List(width, _) if self.length == 0 => {
                sink.append(self.buffer + 1, &[0; 8][..width.bytes()])?;
            }
            _ => {}
        }
        let children: Vec<&Field> = match Layout::of(data_type)? {
            Layout::List(_, child) | Layout::FixedList(_, child) => vec![child],
            Layout::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
            _ => Vec::new(),
        };
        self.children
            .iter()
            .zip(children)
            .try_for_each(|(column, field)| column.finish(field.data_type(), sink))
    }
}
