//! Reading streams and files. All metadata are checked against the real length before anything is believed.

use std::ops::Range;

use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::{Buffer, Endianness, FieldNode, MetadataVersion, RecordBatch, Type};
use arrow_schema::{DataType, Field, Schema};

use super::MAGIC;
use super::array::{Array, Batch};
use super::layout::Layout;
use crate::error::{Error, Result};

/// What starts every message since Arrow 0.15.
const CONTINUATION: u32 = u32::MAX;

/// A stream or file: its columns, and where their values lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream {
    /// Names and types, and metadata such as those of Hugging Face.
    pub schema: Schema,
    /// In order. Batches without rows are left out.
    pub batches: Vec<Batch>,
}

impl Stream {
    /// Rows of all batches.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows).sum()
    }
}

/// Reads a whole stream, or a whole file where the bytes start like one. Reads metadata only: cost and memory grow
/// with the number of batches and columns, not with the data.
///
/// `Corrupt` for bytes that are neither or are cut short; `Unsupported` for big-endian data, dictionaries,
/// compressed bodies, and types listed at [`super::layout`].
pub fn read(bytes: &[u8]) -> Result<Stream> {
    if bytes.starts_with(MAGIC) { read_file(bytes) } else { read_stream(bytes) }
}

fn read_stream(bytes: &[u8]) -> Result<Stream> {
    let mut at = 0;
    let first =
        Frame::at(bytes, &mut at)?.ok_or_else(|| Error::corrupt("the stream ends before its schema"))?;
    let message = first.message()?;
    let schema = message.header_as_schema().ok_or_else(|| Error::corrupt("the stream has no schema"))?;
    let schema = schema_of(schema)?;
    let mut batches = Vec::new();
    while let Some(frame) = Frame::at(bytes, &mut at)? {
        frame.read_batch(&schema, &mut batches)?;
    }
    Ok(Stream { schema, batches })
}

fn read_file(bytes: &[u8]) -> Result<Stream> {
    let cut = || Error::corrupt("the file ends before its footer does");
    let rest = bytes.strip_suffix(MAGIC).ok_or_else(cut)?;
    let (rest, length) = rest.split_last_chunk::<4>().ok_or_else(cut)?;
    let length = u32::from_le_bytes(*length) as usize;
    let footer = rest.len().checked_sub(length).and_then(|start| rest.get(start..)).ok_or_else(cut)?;
    let footer = arrow_ipc::root_as_footer(footer)
        .map_err(|error| Error::corrupt("the footer is damaged").with("reason", error))?;
    if footer.dictionaries().is_some_and(|blocks| !blocks.is_empty()) {
        return Err(dictionaries());
    }
    let schema = schema_of(footer.schema().ok_or_else(|| Error::corrupt("the file has no schema"))?)?;
    let mut batches = Vec::new();
    for block in footer.recordBatches().into_iter().flatten() {
        let mut at = usize::try_from(block.offset()).map_err(|_| cut())?;
        Frame::at(rest, &mut at)?.ok_or_else(cut)?.read_batch(&schema, &mut batches)?;
    }
    Ok(Stream { schema, batches })
}

/// A message and what follows it.
struct Frame<'a> {
    metadata: &'a [u8],
    /// All bytes of the file.
    bytes: &'a [u8],
    body: usize,
}

impl<'a> Frame<'a> {
    /// The message at `at`, which moves behind it; none at the end mark or the end of the bytes.
    fn at(bytes: &'a [u8], at: &mut usize) -> Result<Option<Self>> {
        let cut = || Error::corrupt("the stream ends within a message").with("bytes", bytes.len());
        let word = |at: usize| {
            let rest = bytes.get(at..)?;
            Some(u32::from_le_bytes(*rest.first_chunk()?))
        };
        if *at == bytes.len() {
            return Ok(None);
        }
        let (length, start) = match word(*at).ok_or_else(cut)? {
            CONTINUATION => (word(*at + 4).ok_or_else(cut)?, *at + 8),
            // Without the mark, as streams were before Arrow 0.15.
            length => (length, *at + 4),
        };
        if length == 0 {
            return Ok(None);
        }
        let end = start.checked_add(length as usize).ok_or_else(cut)?;
        let metadata = bytes.get(start..end).ok_or_else(cut)?;
        let frame = Self { metadata, bytes, body: end };
        let body = usize::try_from(frame.message()?.bodyLength()).map_err(|_| cut())?;
        *at = end.checked_add(body).filter(|&end| end <= bytes.len()).ok_or_else(cut)?;
        Ok(Some(frame))
    }

    fn message(&self) -> Result<arrow_ipc::Message<'a>> {
        let message = arrow_ipc::root_as_message(self.metadata)
            .map_err(|error| Error::corrupt("the metadata of a message are damaged").with("reason", error))?;
        match message.version() {
            MetadataVersion::V4 | MetadataVersion::V5 => Ok(message),
            other => Err(Error::unsupported("the metadata have another version").with("version", other.0)),
        }
    }

    fn read_batch(&self, schema: &Schema, batches: &mut Vec<Batch>) -> Result<()> {
        let message = self.message()?;
        if message.header_as_dictionary_batch().is_some() {
            return Err(dictionaries());
        }
        let batch = message
            .header_as_record_batch()
            .ok_or_else(|| Error::corrupt("a message is no record batch").with("at", self.body))?;
        let body = usize::try_from(message.bodyLength())
            .ok()
            .and_then(|length| self.body.checked_add(length))
            .filter(|&end| end <= self.bytes.len())
            .ok_or_else(|| Error::corrupt("a body reaches beyond the file"))?;
        let batch = batch_of(&batch, schema, self.body..body)?;
        if batch.rows > 0 {
            batches.push(batch);
        }
        Ok(())
    }
}

fn dictionaries() -> Error {
    Error::unsupported("dictionary-encoded columns are not read")
}

fn schema_of(table: arrow_ipc::Schema<'_>) -> Result<Schema> {
    if table.endianness() != Endianness::Little {
        return Err(Error::unsupported("the data are big-endian"));
    }
    for field in table.fields().into_iter().flatten() {
        check_field(&field)?;
    }
    let schema = try_fb_to_schema(table)
        .map_err(|error| Error::corrupt("the schema is damaged").with("reason", error))?;
    let mut seen = std::collections::HashSet::new();
    for field in schema.fields() {
        if !seen.insert(field.name()) {
            return Err(Error::corrupt("two columns have one name").with("column", field.name()));
        }
        check_type(field.data_type()).map_err(|error| error.with("column", field.name()))?;
    }
    Ok(schema)
}

/// Refuses what the conversion of `arrow-ipc` would not return from: unions may have more fields than it can number.
fn check_field(field: &arrow_ipc::Field<'_>) -> Result<()> {
    if field.type_type() == Type::Union {
        return Err(Error::unsupported("columns of unions are not read"));
    }
    if field.dictionary().is_some() {
        return Err(dictionaries().with("column", field.name().unwrap_or_default()));
    }
    field.children().into_iter().flatten().try_for_each(|child| check_field(&child))
}

fn check_type(data_type: &DataType) -> Result<()> {
    match Layout::of(data_type)? {
        Layout::List(_, child) | Layout::FixedList(_, child) => check_type(child.data_type()),
        Layout::Struct(fields) => fields.iter().try_for_each(|field| check_type(field.data_type())),
        _ => Ok(()),
    }
}

fn batch_of(table: &RecordBatch<'_>, schema: &Schema, body: Range<usize>) -> Result<Batch> {
    if table.compression().is_some() {
        return Err(Error::unsupported("the bodies are compressed; write them without compression"));
    }
    let mut parts = Parts {
        nodes: table.nodes().into_iter().flatten(),
        buffers: table.buffers().into_iter().flatten(),
        body,
    };
    let rows = count(table.length())?;
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let array = parts.array(field)?;
        if array.length != rows {
            return Err(Error::corrupt("a column has another length than its batch")
                .with("column", field.name())
                .with("rows", rows));
        }
        array.check(field, parts.body.end)?;
        columns.push(array);
    }
    if parts.nodes.next().is_some() || parts.buffers.next().is_some() {
        return Err(Error::corrupt("a batch has more parts than its schema"));
    }
    Ok(Batch { rows, columns })
}

/// What a batch is made of, taken in the order of its columns, parents before children.
struct Parts<N, B> {
    nodes: N,
    buffers: B,
    body: Range<usize>,
}

impl<'a, N: Iterator<Item = &'a FieldNode>, B: Iterator<Item = &'a Buffer>> Parts<N, B> {
    fn array(&mut self, field: &Field) -> Result<Array> {
        let node = self.nodes.next().ok_or_else(|| fewer("nodes"))?;
        let mut array =
            Array { length: count(node.length())?, nulls: count(node.null_count())?, ..Array::default() };
        if array.nulls > array.length {
            return Err(Error::corrupt("more values are null than there are").with("column", field.name()));
        }
        let layout = Layout::of(field.data_type())?;
        if !matches!(layout, Layout::Null) {
            let validity = self.buffer()?;
            if array.nulls > 0 {
                array.validity = Some(validity);
            }
        }
        match layout {
            Layout::Null => {}
            Layout::Fixed(_) | Layout::Bits => array.values = self.buffer()?,
            Layout::Bytes(_) => {
                array.offsets = self.buffer()?;
                array.values = self.buffer()?;
            }
            Layout::List(_, child) => {
                array.offsets = self.buffer()?;
                array.children.push(self.array(child)?);
            }
            Layout::FixedList(_, child) => array.children.push(self.array(child)?),
            Layout::Struct(fields) => {
                for field in fields {
                    array.children.push(self.array(field)?);
                }
            }
        }
        Ok(array)
    }

    fn buffer(&mut self) -> Result<Range<usize>> {
        let buffer = self.buffers.next().ok_or_else(|| fewer("buffers"))?;
        let beyond = || Error::corrupt("a buffer reaches beyond its body").with("offset", buffer.offset());
        let start = usize::try_from(buffer.offset())
            .ok()
            .and_then(|offset| self.body.start.checked_add(offset))
            .ok_or_else(beyond)?;
        let end = usize::try_from(buffer.length()).ok().and_then(|length| start.checked_add(length));
        end.filter(|&end| end <= self.body.end).map(|end| start..end).ok_or_else(beyond)
    }
}

fn fewer(parts: &str) -> Error {
    Error::corrupt(format!("a batch has fewer {parts} than its schema"))
}

/// A count that JavaScript can hold.
fn count(number: i64) -> Result<usize> {
    usize::try_from(number)
        .ok()
        .filter(|&count| count < 1 << 53)
        .ok_or_else(|| Error::corrupt("a batch claims a length that can't be").with("length", number))
}
