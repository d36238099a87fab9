//! The calls that plain checkpoints make, as values.

use std::borrow::Cow;

use super::global::{Global, Rebuild};
use super::graph::{Dict, Node, NodeId, Tensor};
use super::machine::{Item, Machine};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::{byte_length, extent};

/// `PyTorch` itself has no tensors of more axes.
const MOST_AXES: usize = 64;

/// Bound on calls within arguments: `_rebuild_from_type_v2` of itself.
const DEEPEST: usize = 4;

impl<'a> Machine<'a> {
    /// What the call of a name with a tuple of arguments gives.
    pub(super) fn call(&mut self, global: Global, arguments: NodeId) -> Result<Item> {
        let Node::Tuple(ids) = self.node(arguments)? else {
            return Err(Error::corrupt("the pickle calls with arguments that are no tuple"));
        };
        let ids = ids.clone();
        self.spend(ids.len())?;
        let node = match global {
            Global::OrderedDict => self.ordered_dict(&ids)?,
            Global::Set => self.set(&ids)?,
            Global::Bytes if ids.is_empty() => Node::Bytes(Cow::Borrowed(&[])),
            Global::Encode => return self.encode(&ids).map(Item::Value),
            Global::Maker(name) => Node::Call(name, arguments),
            Global::Rebuild(rebuild) => Node::Tensor(Box::new(self.rebuild(rebuild, &ids, 0)?)),
            Global::Bytes | Global::Value(_) | Global::DType(..) | Global::Storage(_) => {
                return Err(Error::unsupported("the pickle calls something that only occurs as a value"));
            }
        };
        self.make(node).map(Item::Value)
    }

    /// `OrderedDict()`, or of a list of pairs as Python 2 wrote it.
    fn ordered_dict(&mut self, ids: &[NodeId]) -> Result<Node<'a>> {
        let mut dict = Dict::ordered();
        if let [list] = ids {
            let Node::List(pairs) = self.node(*list)? else { return Err(wrong("collections.OrderedDict")) };
            let pairs = pairs.clone();
            self.spend(pairs.len())?;
            for pair in pairs {
                let (Node::List(pair) | Node::Tuple(pair)) = self.node(pair)? else {
                    return Err(wrong("collections.OrderedDict"));
                };
                let [key, value] = pair[..] else { return Err(wrong("collections.OrderedDict")) };
                dict.pairs.push((key, value));
            }
        } else if !ids.is_empty() {
            return Err(wrong("collections.OrderedDict"));
        }
        Ok(Node::Dict(Box::new(dict)))
    }

    fn set(&mut self, ids: &[NodeId]) -> Result<Node<'a>> {
        let items = match ids {
            [] => Vec::new(),
            [list] => match self.node(*list)? {
                Node::List(items) | Node::Tuple(items) => items.clone(),
                _ => return Err(wrong("set")),
            },
            _ => return Err(wrong("set")),
        };
        self.spend(items.len())?;
        Ok(Node::Set(items))
    }

    /// `_codecs.encode(text, "latin1")`: how protocol 2 writes bytes.
    fn encode(&mut self, ids: &[NodeId]) -> Result<NodeId> {
        let [text, encoding] = ids else { return Err(wrong("_codecs.encode")) };
        if !matches!(self.node(*encoding)?, Node::Text("latin1" | "latin-1")) {
            return Err(Error::unsupported("the pickle encodes a text in another way than as latin1"));
        }
        if let Some(id) = self.encoded.get(text) {
            return Ok(*id);
        }
        let Node::Text(content) = self.node(*text)? else { return Err(wrong("_codecs.encode")) };
        let bytes = if content.is_ascii() {
            Cow::Borrowed(content.as_bytes())
        } else {
            let bytes =
                content.chars().map(|c| u8::try_from(u32::from(c))).collect::<std::result::Result<_, _>>();
            Cow::Owned(bytes.map_err(|_| Error::corrupt("the pickle's bytes are no latin1 text"))?)
        };
        let id = self.make(Node::Bytes(bytes))?;
        self.encoded.insert(*text, id);
        Ok(id)
    }

    fn rebuild(&mut self, rebuild: Rebuild, ids: &[NodeId], depth: usize) -> Result<Tensor> {
        match (rebuild, ids) {
            (Rebuild::TensorV1, [storage, offset, shape, strides]) => {
                self.tensor([*storage, *offset, *shape, *strides], None)
            }
            (Rebuild::TensorV2, [storage, offset, shape, strides, grad, _hooks, rest @ ..])
                if rest.len() < 2 =>
            {
                let tensor = self.tensor([*storage, *offset, *shape, *strides], None)?;
                self.flagged(tensor, *grad, rest.first())
            }
            (Rebuild::TensorV3, [storage, offset, shape, strides, grad, _hooks, dtype, rest @ ..])
                if rest.len() < 2 =>
            {
                let Node::Global(name) = self.node(*dtype)? else { return Err(wrong("_rebuild_tensor_v3")) };
                let dtype = DType::from_name(name.strip_prefix("torch.").unwrap_or(name))?;
                let tensor = self.tensor([*storage, *offset, *shape, *strides], Some(dtype))?;
                self.flagged(tensor, *grad, rest.first())
            }
            (Rebuild::Parameter, [tensor, grad, _hooks])
            | (Rebuild::ParameterWithState, [tensor, grad, _hooks, _]) => {
                let Node::Tensor(tensor) = self.node(*tensor)? else {
                    return Err(wrong("_rebuild_parameter"));
                };
                let tensor = Tensor { parameter: true, ..(**tensor).clone() };
                self.spend(2 * tensor.shape.len())?;
                self.flagged(tensor, *grad, None)
            }
            (Rebuild::FromType, [function, _type, arguments, _state]) if depth < DEEPEST => {
                let Node::Tuple(inner) = self.node(*arguments)? else {
                    return Err(wrong("_rebuild_from_type_v2"));
                };
                let inner = inner.clone();
                self.spend(inner.len())?;
                let Node::Function(function) = *self.node(*function)? else {
                    return Err(wrong("_rebuild_from_type_v2"));
                };
                self.rebuild(function, &inner, depth + 1)
            }
            _ => Err(Error::corrupt("the pickle rebuilds a tensor from the wrong arguments")),
        }
    }

    fn flagged(&self, mut tensor: Tensor, grad: NodeId, metadata: Option<&NodeId>) -> Result<Tensor> {
        tensor.requires_grad = self.truth(grad)?;
        if let Some(&metadata) = metadata {
            match self.node(metadata)? {
                Node::None => {}
                Node::Dict(dict) => {
                    for &(key, value) in &dict.pairs {
                        match self.node(key)? {
                            Node::Text("conj") => tensor.conj = self.truth(value)?,
                            Node::Text("neg") => tensor.neg = self.truth(value)?,
                            _ => {
                                return Err(Error::unsupported(
                                    "a tensor has metadata other than conj and neg",
                                ));
                            }
                        }
                    }
                }
                _ => return Err(wrong("_rebuild_tensor_v2")),
            }
        }
        Ok(tensor)
    }

    /// Storage, offset, sizes, strides; all elements within the storage, as long as that says it is.
    fn tensor(&mut self, ids: [NodeId; 4], dtype: Option<DType>) -> Result<Tensor> {
        let [storage, offset, shape, strides] = ids;
        let Node::Storage(index, base) = *self.node(storage)? else {
            return Err(wrong("_rebuild_tensor_v2"));
        };
        let facts =
            self.storages.get(index as usize).ok_or_else(|| Error::corrupt("a tensor lies in no storage"))?;
        let (typed, bytes, key) = (facts.dtype, facts.bytes, facts.key);
        let dtype = match (typed, dtype) {
            (None, Some(dtype)) => dtype,
            (Some(typed), dtype) if dtype.is_none_or(|dtype| dtype == typed) => typed,
            _ => return Err(Error::corrupt("a tensor's type is not that of its storage")),
        };
        let offset = self.count(offset)?.checked_add(base).ok_or_else(|| beyond(key))?;
        let (shape, strides) = (self.counts(shape)?, self.counts(strides)?);
        self.spend(2 * shape.len())?;
        if shape.len() != strides.len() || shape.len() > MOST_AXES {
            return Err(Error::corrupt("a tensor has the wrong number of strides, or too many axes"));
        }
        byte_length(dtype, &shape)?;
        let extent = extent(&shape, &strides).map_err(|_| beyond(key))?;
        let end = if extent == 0 { Some(0) } else { offset.checked_add(extent) };
        let within =
            end.and_then(|end| end.checked_mul(dtype.item_size() as u64)).is_some_and(|end| end <= bytes);
        if !within {
            return Err(beyond(key));
        }
        let offset = if extent == 0 { 0 } else { offset };
        Ok(Tensor {
            storage: index,
            dtype,
            offset,
            shape,
            strides,
            requires_grad: false,
            parameter: false,
            conj: false,
            neg: false,
        })
    }

    pub(super) fn count(&self, id: NodeId) -> Result<u64> {
        match self.node(id)? {
            Node::Int(value) => u64::try_from(*value).ok(),
            _ => None,
        }
        .ok_or_else(|| Error::corrupt("the pickle has something else where a count must be"))
    }

    /// Sizes or strides: a tuple, or a `torch.Size` of one.
    fn counts(&self, id: NodeId) -> Result<Vec<u64>> {
        match self.node(id)? {
            Node::Tuple(items) | Node::List(items) if items.len() <= MOST_AXES => {
                items.iter().map(|&item| self.count(item)).collect()
            }
            Node::Call("torch.Size", arguments) => match self.node(*arguments)? {
                Node::Tuple(inner) => match inner[..] {
                    [inner] if !matches!(self.node(inner)?, Node::Call(..)) => self.counts(inner),
                    _ => Err(wrong("torch.Size")),
                },
                _ => Err(wrong("torch.Size")),
            },
            _ => Err(Error::corrupt("a tensor's sizes or strides are no short tuple")),
        }
    }

    fn truth(&self, id: NodeId) -> Result<bool> {
        match self.node(id)? {
            Node::Bool(value) => Ok(*value),
            _ => Err(Error::corrupt("the pickle has something else where True or False must be")),
        }
    }
}

fn wrong(call: &str) -> Error {
    Error::corrupt("the pickle calls with arguments that don't fit").with("call", call)
}

fn beyond(key: &str) -> Error {
    Error::corrupt("a tensor reaches beyond its storage").with("storage", format!("{key:?}"))
}
