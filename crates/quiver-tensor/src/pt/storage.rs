//! References to storages: the persistent ids of the pickle.

use super::graph::{Node, NodeId, Storage};
use super::machine::Machine;
use crate::dtype::DType;
use crate::error::{Error, Result};

impl<'a> Machine<'a> {
    /// `("storage", class, key, location, elements[, view])`. The same key always means the same storage.
    pub(super) fn storage(&mut self, id: NodeId) -> Result<Node<'a>> {
        let wrong = || Error::unsupported("the pickle refers to something outside that is no storage");
        let Node::Tuple(ids) = self.node(id)? else { return Err(wrong()) };
        let (&[kind, class, key, location, elements], view) =
            ids.split_first_chunk::<5>().ok_or_else(wrong)?;
        let view = match view {
            [] => None,
            [view] => Some(*view),
            _ => return Err(wrong()),
        };
        let (Node::Text("storage"), Node::StorageClass(dtype), Node::Text(key), Node::Text(location)) =
            (self.node(kind)?, self.node(class)?, self.node(key)?, self.node(location)?)
        else {
            return Err(wrong());
        };
        let (dtype, key, location) = (*dtype, *key, *location);
        let elements = self.count(elements)?;
        let bytes = elements.checked_mul(dtype.map_or(1, DType::item_size) as u64).ok_or_else(|| {
            Error::corrupt("a storage is longer than can be counted").with("elements", elements)
        })?;
        let base = match view {
            Some(view) => self.view_offset(view)?,
            None => 0,
        };
        let storage = Storage { key, dtype, location, bytes };
        let index = if let Some(&index) = self.storage_by_key.get(key) {
            index
        } else {
            let index = u32::try_from(self.storages.len())
                .map_err(|_| Error::unsupported("the pickle refers to more than 2^32 storages"))?;
            self.storages.push(storage.clone());
            self.storage_by_key.insert(key, index);
            index
        };
        let known = self.storages.get(index as usize);
        if known.is_none_or(|known| known.dtype != storage.dtype || known.bytes != storage.bytes) {
            return Err(Error::corrupt("two storages have one name").with("storage", format!("{key:?}")));
        }
        Ok(Node::Storage(index, base))
    }

    /// Legacy files: `(view key, offset, elements)`, or `None`.
    fn view_offset(&self, view: NodeId) -> Result<u64> {
        match self.node(view)? {
            Node::None => Ok(0),
            Node::Tuple(items) => match items[..] {
                [_, offset, _] => self.count(offset),
                _ => Err(Error::corrupt("the pickle has a view of the wrong length")),
            },
            _ => Err(Error::corrupt("the pickle has a view that is no tuple")),
        }
    }
}
