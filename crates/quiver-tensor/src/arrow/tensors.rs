//! Columns of tensors as whole files in memory, and back.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};

use super::array::{Array, within};
use super::bits::is_set;
use super::features::fixed_lists;
use super::layout::storage_of;
use super::offsets::{Offsets, Width};
use super::values::{Opaque, Values, values};
use super::{read, write};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::{NewTensor, byte_length};

/// What lies around the data of columns in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLayout {
    /// Before them; the elements of each column follow, each column padded with [`write::padding`].
    pub head: Vec<u8>,
    /// Behind them.
    pub tail: Vec<u8>,
}

/// The file of one batch with these columns: rows as nested lists of fixed sizes, data at multiples of 64 bytes.
///
/// The first axis of each counts the rows. `BadValue` for columns of different lengths, without axes, of one name, and for
/// element types that can't be written: bools, which Arrow packs, and those that it doesn't have.
pub fn file_layout(columns: &[NewTensor]) -> Result<FileLayout> {
    let mut fields = Vec::with_capacity(columns.len());
    let (mut nodes, mut buffers) = (Vec::new(), Vec::new());
    let mut rows = None;
    for NewTensor { name, dtype, shape } in columns {
        let refusal = |reason| Error::bad_value(reason).with("column", name);
        let Some((&count, row)) = shape.split_first() else { return Err(refusal("a column needs rows")) };
        if *rows.get_or_insert(count) != count {
            return Err(refusal("all columns need equally many rows"));
        }
        if *dtype == DType::Bool {
            return Err(refusal("bools are bits in Arrow, and would have to be packed"));
        }
        if fields.iter().any(|field: &Arc<Field>| field.name() == name) {
            return Err(refusal("two columns have one name"));
        }
        fields.push(Arc::new(Field::new(name, fixed_lists(row, storage_of(*dtype)?)?, false)));
        let bytes = byte_length(*dtype, shape)?;
        let mut length = count;
        nodes.push((length, 0));
        for &size in row {
            length = length.checked_mul(size).ok_or_else(|| refusal("there are too many elements"))?;
            nodes.push((length, 0));
        }
        // No validity on any level.
        buffers.extend(std::iter::repeat_n(0, row.len() + 1));
        buffers.push(bytes);
    }
    let rows = rows.ok_or_else(|| Error::bad_value("a file needs at least one column"))?;
    let schema = Schema::new(fields);
    let mut head = write::FILE_START.to_vec();
    head.extend(write::schema_message(&schema, head.len() as u64)?);
    let at = head.len() as u64;
    let batch = write::batch_message(rows as usize, &nodes, &buffers, 0, at)?;
    head.extend(&batch.head);
    let mut tail = write::END.to_vec();
    tail.extend(write::file_end(&schema, &[(at, batch.head.len() as u64, batch.body)]));
    Ok(FileLayout { head, tail })
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// Rows of one shape.
    Tensor {
        /// Of the elements.
        dtype: DType,
        /// Shape of a row.
        row: Vec<u64>,
        /// Where they lie, batch by batch.
        parts: Vec<Part>,
    },
    /// Texts, none where one is null.
    Texts(Vec<Option<String>>),
}

/// Rows of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where the elements start, in bytes.
    pub start: usize,
    /// How many bytes they take; of bools those that have their bits.
    pub bytes: usize,
    /// Of bools the bit at which the first one is.
    pub first_bit: usize,
    /// How many rows there are.
    pub rows: usize,
}

/// The columns of a stream or file, which all must hold rows of one shape or texts. `Unsupported` for others and for rows
/// that are null; `Corrupt` as for [`read`].
pub fn columns(bytes: &[u8]) -> Result<Vec<(String, Column)>> {
    let stream = read(bytes)?;
    let column = |(number, field): (usize, &Arc<Field>)| {
        let arrays: Vec<&Array> =
            stream.batches.iter().filter_map(|batch| batch.columns.get(number)).collect();
        let column = column_of(field, &arrays, bytes).map_err(|error| error.with("column", field.name()))?;
        Ok((field.name().clone(), column))
    };
    stream.schema.fields().iter().enumerate().map(column).collect()
}

fn column_of(field: &Field, arrays: &[&Array], bytes: &[u8]) -> Result<Column> {
    let refusal = |reason: &str| Err(Error::unsupported(reason.to_owned()));
    if matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8) {
        let mut texts = Vec::new();
        for array in arrays {
            read_texts(array, field, bytes, &mut texts)?;
        }
        return Ok(Column::Texts(texts));
    }
    let empty = Array::empty(field)?;
    let known = if arrays.is_empty() { vec![&empty] } else { arrays.to_vec() };
    let mut found: Option<(DType, Vec<u64>)> = None;
    let mut parts = Vec::new();
    for array in known {
        if array.nulls > 0 {
            return refusal("rows of a column are null, which tensors can't be");
        }
        let (row, leaves) = match values(field, array, bytes)? {
            Values::Dense { row, leaves } => (row, leaves),
            Values::Ragged { .. } | Values::Opaque(Opaque::Jagged) => {
                return refusal("rows of a column have different shapes; open it as a dataset");
            }
            _ => return refusal("a column holds neither numbers nor texts"),
        };
        match &found {
            Some((_, known)) if *known != row => {
                return refusal("rows of a column have different shapes; open it as a dataset");
            }
            _ => found = Some((leaves.dtype, row)),
        }
        parts.push(Part {
            start: leaves.data.start,
            bytes: leaves.data.len(),
            first_bit: leaves.first_bit,
            rows: array.length,
        });
    }
    let Some((dtype, row)) = found else { return refusal("a column can't be told") };
    Ok(Column::Tensor { dtype, row, parts })
}

fn read_texts(array: &Array, field: &Field, bytes: &[u8], texts: &mut Vec<Option<String>>) -> Result<()> {
    let width = if matches!(field.data_type(), DataType::LargeUtf8) { Width::Wide } else { Width::Narrow };
    let offsets = Offsets::new(within(bytes, &array.offsets)?, width);
    let data = within(bytes, &array.values)?;
    let validity = array.validity_bits(bytes)?;
    for row in 0..array.length {
        if validity.is_some_and(|bits| !is_set(bits, row)) {
            texts.push(None);
            continue;
        }
        let text = offsets.row(row).ok().and_then(|range| data.get(range));
        let text = text.ok_or_else(|| Error::corrupt("a text reaches beyond its bytes"))?;
        let text = std::str::from_utf8(text).map_err(|_| Error::corrupt("a text is no UTF-8"))?;
        texts.push(Some(text.to_owned()));
    }
    Ok(())
}
