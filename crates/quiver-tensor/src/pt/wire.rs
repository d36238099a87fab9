//! A graph as bytes, for callers in another language.
//!
//! ```text
//! u32 number of nodes | nodes; the first is the root
//! node: u8 tag | fields, little-endian; lists and texts are a u32 length and their items or UTF-8 bytes
//! ```
//! Only what can be reached from the root is written, numbered anew in the order in which it is reached.

use super::graph::{Dict, Graph, Node, NodeId, Tensor};
use crate::error::{Error, Result};

/// Not yet numbered.
const NONE: u32 = u32::MAX;

/// Encodes. `Unsupported` when something that is only an argument is a value of the graph.
pub fn encode(graph: &Graph<'_>) -> Result<Vec<u8>> {
    let mut writer = Writer { out: vec![0; 4], numbers: vec![NONE; graph.nodes.len()], order: Vec::new() };
    writer.reference(graph.root)?;
    writer.out.clear();
    writer.out.extend([0; 4]);
    let mut next = 0;
    while let Some(&id) = writer.order.get(next) {
        let node = graph
            .nodes
            .get(id as usize)
            .ok_or_else(|| Error::corrupt("the pickle refers to a value it has not made"))?;
        writer.node(node)?;
        next += 1;
    }
    let count = (next as u32).to_le_bytes();
    writer.out.splice(..4, count);
    Ok(writer.out)
}

struct Writer {
    out: Vec<u8>,
    /// New numbers by old ones.
    numbers: Vec<u32>,
    order: Vec<NodeId>,
}

impl Writer {
    fn node(&mut self, node: &Node<'_>) -> Result<()> {
        match node {
            Node::None => self.out.push(0),
            Node::Bool(value) => self.out.push(1 + u8::from(*value)),
            Node::Int(value) => {
                self.out.push(3);
                self.out.extend(value.to_le_bytes());
            }
            Node::Long(bytes) => self.bytes(4, bytes),
            Node::Float(value) => {
                self.out.push(5);
                self.out.extend(value.to_le_bytes());
            }
            Node::Text(text) => self.bytes(6, text.as_bytes()),
            Node::Bytes(bytes) => self.bytes(7, bytes),
            Node::List(items) => self.items(8, items)?,
            Node::Tuple(items) => self.items(9, items)?,
            Node::Set(items) => self.items(10, items)?,
            Node::Dict(dict) => self.dict(dict)?,
            Node::Global(name) => self.bytes(13, name.as_bytes()),
            Node::Call(name, arguments) => {
                self.bytes(14, name.as_bytes());
                self.reference(*arguments)?;
            }
            Node::Tensor(tensor) => self.tensor(tensor),
            Node::Storage(..) | Node::StorageClass(_) | Node::Function(_) => {
                return Err(Error::unsupported("the file holds a storage or a function outside of a tensor"));
            }
        }
        Ok(())
    }

    /// The new number of a node, which is given now where it has none.
    fn reference(&mut self, id: NodeId) -> Result<()> {
        let number = self
            .numbers
            .get_mut(id as usize)
            .ok_or_else(|| Error::corrupt("the pickle refers to a value it has not made"))?;
        if *number == NONE {
            *number = self.order.len() as u32;
            self.order.push(id);
        }
        self.out.extend(number.to_le_bytes());
        Ok(())
    }

    fn bytes(&mut self, tag: u8, bytes: &[u8]) {
        self.out.push(tag);
        self.out.extend((bytes.len() as u32).to_le_bytes());
        self.out.extend(bytes);
    }

    fn items(&mut self, tag: u8, items: &[NodeId]) -> Result<()> {
        self.out.push(tag);
        self.out.extend((items.len() as u32).to_le_bytes());
        items.iter().try_for_each(|&item| self.reference(item))
    }

    /// Tag 11, or 12 for an `OrderedDict`, which has one more field: its attributes, or 2^32 - 1 for none.
    fn dict(&mut self, dict: &Dict) -> Result<()> {
        self.out.push(if dict.ordered { 12 } else { 11 });
        self.out.extend((dict.pairs.len() as u32).to_le_bytes());
        for &(key, value) in &dict.pairs {
            self.reference(key)?;
            self.reference(value)?;
        }
        match dict.attributes {
            Some(attributes) if dict.ordered => self.reference(attributes)?,
            None if dict.ordered => self.out.extend(NONE.to_le_bytes()),
            _ => {}
        }
        Ok(())
    }

    /// Tag 15: storage, flags, name of the type, offset, number of axes, sizes, strides.
    fn tensor(&mut self, tensor: &Tensor) {
        self.out.push(15);
        self.out.extend(tensor.storage.to_le_bytes());
        let flags = [tensor.requires_grad, tensor.parameter, tensor.conj, tensor.neg];
        self.out.push(flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u8::from(flag)));
        let name = tensor.dtype.name().as_bytes();
        self.out.push(name.len() as u8);
        self.out.extend(name);
        self.out.extend((tensor.offset as f64).to_le_bytes());
        self.out.push(tensor.shape.len() as u8);
        for &count in tensor.shape.iter().chain(&tensor.strides) {
            self.out.extend((count as f64).to_le_bytes());
        }
    }
}
