//! Messages as they are written: metadata padded so that every body starts at a multiple of [`ALIGNMENT`] in the
//! file, and every buffer in it as well.

use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::{
    Block, Buffer, FieldNode, FooterBuilder, MessageBuilder, MessageHeader, MetadataVersion,
    RecordBatchBuilder,
};
use arrow_schema::Schema;
use flatbuffers::FlatBufferBuilder;

use super::{ALIGNMENT, MAGIC};
use crate::error::{Error, Result};

/// The end of a stream.
pub const END: &[u8; 8] = b"\xff\xff\xff\xff\0\0\0\0";

/// The start of the file format; a stream follows.
pub const FILE_START: &[u8; 8] = b"ARROW1\0\0";

/// Zeros that fill `length` up to the next multiple of [`ALIGNMENT`].
pub fn padding(length: u64) -> &'static [u8] {
    const ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];
    let beyond = (length % ALIGNMENT as u64) as usize;
    &ZEROS[..(ALIGNMENT - beyond) % ALIGNMENT]
}

/// The message that names the columns, to be written at `position` of the file.
pub fn schema_message(schema: &Schema, position: u64) -> Result<Vec<u8>> {
    let mut builder = FlatBufferBuilder::new();
    let header = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, schema);
    message(builder, MessageHeader::Schema, header.as_union_value(), 0, position)
}

/// A record batch whose buffers follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchMessage {
    /// What comes before the body.
    pub head: Vec<u8>,
    /// Bytes of the body: the buffers, each padded with [`padding`].
    pub body: u64,
}

/// The message before a body of such nodes and buffers, to be written at `position` of the file. In the body lies buffer
/// `first` at the start and the others behind it in order. `BadValue` when their lengths can't be counted.
///
/// How long the head is depends on how many nodes and buffers there are and on nothing else, so that room for it can be
/// left in a file before they are known.
pub fn batch_message(
    rows: usize,
    nodes: &[(u64, u64)],
    buffers: &[u64],
    first: usize,
    position: u64,
) -> Result<BatchMessage> {
    let mut body = 0_u64;
    let mut places = vec![Buffer::new(0, 0); buffers.len()];
    for number in in_body(buffers.len(), first) {
        let (Some(&length), Some(place)) = (buffers.get(number), places.get_mut(number)) else { continue };
        *place = Buffer::new(body as i64, length as i64);
        body = length
            .checked_next_multiple_of(ALIGNMENT as u64)
            .and_then(|padded| body.checked_add(padded))
            .filter(|&body| i64::try_from(body).is_ok())
            .ok_or_else(|| Error::bad_value("a batch is larger than can be counted"))?;
    }
    let nodes: Vec<FieldNode> =
        nodes.iter().map(|&(length, nulls)| FieldNode::new(length as i64, nulls as i64)).collect();
    let mut builder = FlatBufferBuilder::new();
    // Zeros would be left out.
    builder.force_defaults(true);
    let (nodes, places) = (builder.create_vector(&nodes), builder.create_vector(&places));
    let mut batch = RecordBatchBuilder::new(&mut builder);
    batch.add_length(rows as i64);
    batch.add_nodes(nodes);
    batch.add_buffers(places);
    let header = batch.finish().as_union_value();
    let head = message(builder, MessageHeader::RecordBatch, header, body, position)?;
    Ok(BatchMessage { head, body })
}

/// Numbers of `count` buffers as they lie in a body that begins with buffer `first`.
pub fn in_body(count: usize, first: usize) -> impl Iterator<Item = usize> {
    (0..count).filter(move |&number| number == first).chain((0..count).filter(move |&number| number != first))
}

fn message(
    mut builder: FlatBufferBuilder<'_>,
    kind: MessageHeader,
    header: flatbuffers::WIPOffset<flatbuffers::UnionWIPOffset>,
    body: u64,
    position: u64,
) -> Result<Vec<u8>> {
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(kind);
    message.add_header(header);
    message.add_bodyLength(body as i64);
    let root = message.finish();
    builder.finish(root, None);
    let metadata = builder.finished_data();
    let padding = padding(position + 8 + metadata.len() as u64);
    let length = i32::try_from(metadata.len() + padding.len())
        .map_err(|_| Error::bad_value("the columns need more metadata than a message can have"))?;
    let mut framed = Vec::with_capacity(8 + length as usize);
    framed.extend(u32::MAX.to_le_bytes());
    framed.extend(length.to_le_bytes());
    framed.extend(metadata);
    framed.extend(padding);
    Ok(framed)
}

/// Where a record batch lies in a file: its message, the message's length, and the body's.
pub type Place = (u64, u64, u64);

/// What follows the stream in the file format.
pub fn file_end(schema: &Schema, batches: &[Place]) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let schema = IpcSchemaEncoder::new().schema_to_fb_offset(&mut builder, schema);
    let blocks: Vec<Block> =
        batches.iter().map(|&(at, head, body)| Block::new(at as i64, head as i32, body as i64)).collect();
    let (none, blocks) = (builder.create_vector::<Block>(&[]), builder.create_vector(&blocks));
    let mut footer = FooterBuilder::new(&mut builder);
    footer.add_version(MetadataVersion::V5);
    footer.add_schema(schema);
    footer.add_dictionaries(none);
    footer.add_recordBatches(blocks);
    let root = footer.finish();
    builder.finish(root, None);
    let footer = builder.finished_data();
    let mut end = footer.to_vec();
    end.extend((footer.len() as u32).to_le_bytes());
    end.extend(MAGIC);
    end
}
