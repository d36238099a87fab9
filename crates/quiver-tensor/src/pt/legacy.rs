//! What `torch.save` wrote before 1.6.

use std::collections::HashMap;

use super::graph::{Graph, Node, Storage};
use super::machine::parse_prefix;
use crate::error::{Error, Result};

/// The first pickle: the number 0x1950a86a20f9469cfc6c.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

const VERSION: i64 = 1001;

/// A whole file.
#[derive(Debug, Clone, PartialEq)]
pub struct LegacyFile<'a> {
    /// The value.
    pub graph: Graph<'a>,
    /// Where each storage's bytes start, in the order of the graph's.
    pub starts: Vec<u64>,
    /// The bytes of each number must be swapped before use.
    pub big_endian: bool,
}

/// Whether the first bytes are those of such a file.
pub fn is_legacy(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads a file whose first bytes are those of the format; its storages lie within it.
pub fn parse_legacy(bytes: &[u8]) -> Result<LegacyFile<'_>> {
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| Error::corrupt("the magic number is missing"))?;
    let (version, rest) = parse_prefix(rest)?;
    if version.nodes.get(version.root as usize) != Some(&Node::Int(VERSION)) {
        return Err(Error::unsupported("the file has a version that is not known"));
    }
    let (system, rest) = parse_prefix(rest)?;
    let (graph, rest) = parse_prefix(rest)?;
    let (keys, mut rest) = parse_prefix(rest)?;
    let Some(Node::List(order)) = keys.nodes.get(keys.root as usize) else {
        return Err(Error::corrupt("the list of storages is missing"));
    };
    let by_key: HashMap<&str, (usize, &Storage)> =
        graph.storages.iter().enumerate().map(|(index, storage)| (storage.key, (index, storage))).collect();
    let mut starts = vec![None; graph.storages.len()];
    let big_endian = is_big_endian(&system);
    for key in order {
        let Some(Node::Text(key)) = keys.nodes.get(*key as usize) else {
            return Err(Error::corrupt("a storage's key is no text"));
        };
        let (count, data) = rest.split_first_chunk::<8>().ok_or_else(cut_short)?;
        let Some((index, storage)) = by_key.get(key) else {
            return Err(Error::unsupported("the file holds a storage that no tensor uses"));
        };
        let count = if big_endian { u64::from_be_bytes(*count) } else { u64::from_le_bytes(*count) };
        let size = storage.dtype.map_or(1, crate::DType::item_size) as u64;
        if count.checked_mul(size) != Some(storage.bytes) {
            return Err(Error::corrupt("a storage has another length than its tensors say")
                .with("storage", format!("{key:?}")));
        }
        if let Some(start) = starts.get_mut(*index) {
            *start = Some((bytes.len() - data.len()) as u64);
        }
        let length = usize::try_from(storage.bytes).map_err(|_| cut_short())?;
        rest = data.get(length..).ok_or_else(cut_short)?;
    }
    let starts = starts.into_iter().collect::<Option<Vec<u64>>>();
    let starts = starts.ok_or_else(|| Error::corrupt("a storage is not in the file"))?;
    Ok(LegacyFile { graph, starts, big_endian })
}

/// `{"little_endian": False, …}`.
fn is_big_endian(system: &Graph<'_>) -> bool {
    let node = |id: u32| system.nodes.get(id as usize);
    let Some(Node::Dict(facts)) = node(system.root) else { return false };
    facts.pairs.iter().any(|&(key, value)| {
        node(key) == Some(&Node::Text("little_endian")) && node(value) == Some(&Node::Bool(false))
    })
}

fn cut_short() -> Error {
    Error::corrupt("the file ends before its data does")
}
