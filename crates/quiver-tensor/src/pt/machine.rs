//! The pickle machine: instructions of protocol 2, on a stack of its own, so that deep nesting costs heap only.

use std::collections::HashMap;

use super::global::{self, Global};
use super::graph::{Graph, Node, NodeId, Storage};
use crate::error::{Error, Result};

/// Reads a pickle that fills `bytes` exactly, as `data.pkl` does.
///
/// `Corrupt` for what is no whole pickle, `Unsupported` for instructions and names outside of what plain checkpoints
/// use; the message names them. Memory and time are bounded by a multiple of the length.
pub fn parse(bytes: &[u8]) -> Result<Graph<'_>> {
    let (graph, rest) = parse_prefix(bytes)?;
    if rest.is_empty() { Ok(graph) } else { Err(Error::corrupt("the pickle goes on after its end")) }
}

/// The same for a pickle that is followed by something else, which is returned.
pub(super) fn parse_prefix(bytes: &[u8]) -> Result<(Graph<'_>, &[u8])> {
    let mut machine = Machine::new(bytes);
    loop {
        let at = bytes.len() - machine.rest.len();
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => {
                let graph = Graph { nodes: machine.nodes, root, storages: machine.storages };
                return Ok((graph, machine.rest));
            }
            Err(error) => return Err(error.with("position", at)),
        }
    }
}

/// What an entry of the stack is: a value, or a name to be called.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item {
    Value(NodeId),
    Name(Global),
}

pub(super) struct Machine<'a> {
    rest: &'a [u8],
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) storages: Vec<Storage<'a>>,
    pub(super) storage_by_key: HashMap<&'a str, u32>,
    /// Bytes made of texts, by the text, so that a short program can't make many of a long one.
    pub(super) encoded: HashMap<NodeId, NodeId>,
    stack: Vec<Item>,
    marks: Vec<usize>,
    memo: HashMap<u32, Item>,
    singletons: HashMap<u8, NodeId>,
    /// Items that calls may still copy: more than a program of this length has reason to.
    copies: usize,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            nodes: Vec::new(),
            storages: Vec::new(),
            storage_by_key: HashMap::new(),
            encoded: HashMap::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            singletons: HashMap::new(),
            copies: bytes.len().saturating_mul(4),
        }
    }

    /// Executes one instruction; the root after the last.
    fn step(&mut self) -> Result<Option<NodeId>> {
        let opcode = self.byte()?;
        match opcode {
            b'.' => {
                let root = self.pop_value()?;
                if !self.stack.is_empty() || !self.marks.is_empty() {
                    return Err(Error::corrupt("the pickle ends with values left over"));
                }
                return Ok(Some(root));
            }
            0x80 => {
                let version = self.byte()?;
                if version != 2 {
                    return Err(Error::unsupported(
                        "only pickle protocol 2 is read, which torch.save writes",
                    )
                    .with("protocol", version));
                }
            }
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            0x85..=0x87 => {
                let items = self.pop_values(usize::from(opcode - 0x84))?;
                self.push(Node::Tuple(items))?;
            }
            b'a' => {
                let items = self.pop_values(1)?;
                self.extend_list(items)?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.extend_list(items)?;
            }
            b's' => {
                let items = self.pop_values(2)?;
                self.extend_dict(&items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.extend_dict(&items)?;
            }
            b'q' => {
                let index = u32::from(self.byte()?);
                self.remember(index)?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.remember(index)?;
            }
            b'h' => {
                let index = u32::from(self.byte()?);
                self.recall(index)?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Item::Name(global::find(module, name)?));
            }
            b'R' | 0x81 => {
                let arguments = self.pop_value()?;
                let Item::Name(name) = self.pop()? else {
                    return Err(Error::corrupt("the pickle calls something that is no function"));
                };
                let result = self.call(name, arguments)?;
                self.stack.push(result);
            }
            b'b' => self.build()?,
            b'Q' => {
                let id = self.pop_value()?;
                let node = self.storage(id)?;
                self.push(node)?;
            }
            _ => self.literal(opcode)?,
        }
        Ok(None)
    }

    /// Instructions that push a value of their own.
    fn literal(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'N' => self.push_single(opcode, Node::None)?,
            0x88 => self.push_single(opcode, Node::Bool(true))?,
            0x89 => self.push_single(opcode, Node::Bool(false))?,
            b'K' => {
                let value = i64::from(self.byte()?);
                self.push(Node::Int(value))?;
            }
            b'M' => {
                let value = i64::from(u16::from_le_bytes(self.array()?));
                self.push(Node::Int(value))?;
            }
            b'J' => {
                let value = i64::from(i32::from_le_bytes(self.array()?));
                self.push(Node::Int(value))?;
            }
            0x8a => {
                let length = usize::from(self.byte()?);
                let node = integer(self.take(length)?);
                self.push(node)?;
            }
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value))?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.push_text(length as usize)?;
            }
            b'U' => {
                let length = self.byte()?;
                self.push_text(usize::from(length))?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'}' => self.push(Node::Dict(Box::default()))?,
            b')' => self.push_single(opcode, Node::Tuple(Vec::new()))?,
            0x8f => self.push(Node::Set(Vec::new()))?,
            _ => return Err(refusal(opcode)),
        }
        Ok(())
    }

    pub(super) fn node(&self, id: NodeId) -> Result<&Node<'a>> {
        self.nodes
            .get(id as usize)
            .ok_or_else(|| Error::corrupt("the pickle refers to a value it has not made"))
    }

    pub(super) fn make(&mut self, node: Node<'a>) -> Result<NodeId> {
        let id = NodeId::try_from(self.nodes.len())
            .map_err(|_| Error::unsupported("the pickle makes more than 2^32 values"))?;
        self.nodes.push(node);
        Ok(id)
    }

    /// Takes from the copies that calls may make.
    pub(super) fn spend(&mut self, items: usize) -> Result<()> {
        self.copies = self.copies.checked_sub(items).ok_or_else(|| {
            Error::unsupported(
                "the pickle makes far more than it says: it copies the same values again and again",
            )
        })?;
        Ok(())
    }

    fn push(&mut self, node: Node<'a>) -> Result<()> {
        let id = self.make(node)?;
        self.stack.push(Item::Value(id));
        Ok(())
    }

    /// Values without identity are made once.
    fn push_single(&mut self, opcode: u8, node: Node<'a>) -> Result<()> {
        let id = match self.singletons.get(&opcode) {
            Some(id) => *id,
            None => self.make(node)?,
        };
        self.singletons.insert(opcode, id);
        self.stack.push(Item::Value(id));
        Ok(())
    }

    fn push_text(&mut self, length: usize) -> Result<()> {
        let text = std::str::from_utf8(self.take(length)?)
            .map_err(|_| Error::unsupported("the pickle holds a text that is no UTF-8"))?;
        self.push(Node::Text(text))
    }

    fn pop(&mut self) -> Result<Item> {
        if self.marks.last().is_some_and(|&mark| mark >= self.stack.len()) {
            return Err(Error::corrupt("the pickle takes a value beyond its mark"));
        }
        self.stack.pop().ok_or_else(|| Error::corrupt("the pickle takes a value from an empty stack"))
    }

    /// The value on top; a name that is used as a value becomes one.
    fn pop_value(&mut self) -> Result<NodeId> {
        let item = self.pop()?;
        self.value_of(item)
    }

    fn value_of(&mut self, item: Item) -> Result<NodeId> {
        match item {
            Item::Value(id) => Ok(id),
            Item::Name(global) => self.make(name_as_value(global)),
        }
    }

    fn pop_values(&mut self, count: usize) -> Result<Vec<NodeId>> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop_value()?);
        }
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<NodeId>> {
        let mark = self.marks.pop().ok_or_else(|| Error::corrupt("the pickle has no mark to go back to"))?;
        if mark > self.stack.len() {
            return Err(Error::corrupt("the pickle goes back to a mark above its stack"));
        }
        self.stack.split_off(mark).into_iter().map(|item| self.value_of(item)).collect()
    }

    fn top_mut(&mut self) -> Result<&mut Node<'a>> {
        let beyond = self.marks.last().is_some_and(|&mark| mark >= self.stack.len());
        match self.stack.last() {
            Some(Item::Value(id)) if !beyond => self
                .nodes
                .get_mut(*id as usize)
                .ok_or_else(|| Error::corrupt("the pickle refers to a value it has not made")),
            _ => Err(Error::corrupt("the pickle adds to something that is no container")),
        }
    }

    fn extend_list(&mut self, items: Vec<NodeId>) -> Result<()> {
        match self.top_mut()? {
            Node::List(list) => list.extend(items),
            _ => return Err(Error::corrupt("the pickle appends to something that is no list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[NodeId]) -> Result<()> {
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(Error::corrupt("the pickle sets a key without a value"));
        };
        match self.top_mut()? {
            Node::Dict(dict) => dict.pairs.extend(pairs.iter().map(|&[key, value]| (key, value))),
            _ => return Err(Error::corrupt("the pickle sets an item of something that is no dict")),
        }
        Ok(())
    }

    /// State is only known for the attributes of an `OrderedDict`.
    fn build(&mut self) -> Result<()> {
        let state = self.pop_value()?;
        let plain = matches!(self.node(state)?, Node::Dict(_));
        match self.top_mut()? {
            Node::Dict(dict) if plain && dict.ordered => dict.attributes = Some(state),
            _ => return Err(Error::unsupported("the pickle sets the state of an object that has none here")),
        }
        Ok(())
    }

    fn remember(&mut self, index: u32) -> Result<()> {
        let top = *self.stack.last().ok_or_else(|| Error::corrupt("the pickle remembers nothing"))?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<()> {
        let item = *self
            .memo
            .get(&index)
            .ok_or_else(|| Error::corrupt("the pickle recalls what it has not remembered"))?;
        self.stack.push(item);
        Ok(())
    }

    fn byte(&mut self) -> Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(*head)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(head)
    }

    fn line(&mut self) -> Result<&'a str> {
        let length = self.rest.iter().position(|&byte| byte == b'\n').ok_or_else(cut_short)?;
        let line = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| Error::corrupt("the pickle names something that is no text"))
    }
}

fn cut_short() -> Error {
    Error::corrupt("the pickle ends before its end")
}

/// A name as a value: a class, a constant, or the argument of a call.
fn name_as_value(global: Global) -> Node<'static> {
    Node::Global(match global {
        Global::Value(name) | Global::Maker(name) | Global::DType(_, name) => name,
        Global::OrderedDict => "collections.OrderedDict",
        Global::Set => "builtins.set",
        Global::Bytes => "builtins.bytes",
        Global::Encode => "_codecs.encode",
        Global::Storage(dtype) => return Node::StorageClass(dtype),
        Global::Rebuild(rebuild) => return Node::Function(rebuild),
    })
}

/// Integers of Python have any length.
fn integer(bytes: &[u8]) -> Node<'_> {
    if bytes.len() > 8 {
        return Node::Long(bytes);
    }
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut wide = if negative { [0xff; 8] } else { [0; 8] };
    for (to, from) in wide.iter_mut().zip(bytes) {
        *to = *from;
    }
    Node::Int(i64::from_le_bytes(wide))
}

/// Instructions that exist, but not in what `torch.save` writes.
fn refusal(opcode: u8) -> Error {
    const NAMES: [(u8, &str); 24] = [
        (b'i', "INST"),
        (b'o', "OBJ"),
        (b'0', "POP"),
        (b'1', "POP_MARK"),
        (b'2', "DUP"),
        (b'F', "FLOAT"),
        (b'I', "INT"),
        (b'L', "LONG"),
        (b'S', "STRING"),
        (b'T', "BINSTRING"),
        (b'V', "UNICODE"),
        (b'P', "PERSID"),
        (b'p', "PUT"),
        (b'g', "GET"),
        (b'd', "DICT"),
        (b'l', "LIST"),
        (b'B', "BINBYTES"),
        (b'C', "SHORT_BINBYTES"),
        (0x82, "EXT1"),
        (0x8b, "LONG4"),
        (0x8c, "SHORT_BINUNICODE"),
        (0x90, "ADDITEMS"),
        (0x93, "STACK_GLOBAL"),
        (0x95, "FRAME"),
    ];
    let name = NAMES.iter().find(|(code, _)| *code == opcode).map(|(_, name)| *name);
    let sentence = "the pickle uses an instruction that torch.save does not write; nothing was run";
    match name {
        Some(name) => Error::unsupported(sentence).with("instruction", name),
        None => {
            Error::corrupt("the pickle has an unknown instruction").with("byte", format!("{opcode:#04x}"))
        }
    }
}
