//! Writing headers. The tensors' bytes stay with the caller, so that large ones are not joined in memory.

use serde_json::{Map, Value, json};

use super::{LENGTH, METADATA, dtype};
use crate::error::{Error, Result};
use crate::layout::{ALIGNMENT, NewTensor, byte_length};

/// A header, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The file up to the data; a multiple of [`ALIGNMENT`] bytes.
    pub header: Vec<u8>,
    /// The tensors whose bytes follow, dense and without gaps, as positions in what was given.
    pub order: Vec<usize>,
}

/// The header for such tensors. They are sorted as the reference implementation does it: by type, so that every
/// tensor is aligned to the size of its elements, then by name.
///
/// `Unsupported` for complex128, `BadValue` for names that occur twice or are `__metadata__`.
pub fn header(tensors: &[NewTensor], metadata: &[(String, String)]) -> Result<Layout> {
    let mut order = Vec::with_capacity(tensors.len());
    for (position, tensor) in tensors.iter().enumerate() {
        if tensor.name == METADATA {
            return Err(Error::bad_value("this name is not free for tensors").with("name", METADATA));
        }
        let (rank, name) = dtype::of(tensor.dtype)?;
        order.push((rank, tensor.name.as_str(), position, name));
    }
    order.sort_unstable();
    let mut fields = Map::new();
    if !metadata.is_empty() {
        let texts = metadata.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str())));
        fields.insert(METADATA.to_owned(), Value::Object(texts.collect()));
    }
    let mut end = 0;
    for &(_, name, position, dtype) in &order {
        let NewTensor { dtype: element, shape, .. } = &tensors[position];
        let begin = end;
        end = byte_length(*element, shape)?
            .checked_add(begin)
            .ok_or_else(|| Error::bad_value("the tensors hold more than can be counted"))?;
        let field = json!({ "dtype": dtype, "shape": shape, "data_offsets": [begin, end] });
        if fields.insert(name.to_owned(), field).is_some() {
            return Err(Error::bad_value("two tensors have one name").with("name", format!("{name:?}")));
        }
    }
    let text = Value::Object(fields).to_string();
    let length = (LENGTH + text.len()).next_multiple_of(ALIGNMENT);
    let mut header = ((length - LENGTH) as u64).to_le_bytes().to_vec();
    header.extend(text.as_bytes());
    header.resize(length, b' ');
    Ok(Layout { header, order: order.into_iter().map(|(_, _, position, _)| position).collect() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::dtype::DType;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_back(
            drawn in prop::collection::btree_map(
                ".{0,6}",
                (prop::sample::select(DType::ALL.to_vec()), prop::collection::vec(0_u64..6, 0..4)),
                0..8,
            ),
        ) {
            let tensors: Vec<NewTensor> = drawn
                .into_iter()
                .map(|(name, (dtype, shape))| NewTensor { name, dtype, shape })
                .filter(|tensor| tensor.dtype != DType::Complex128)
                .collect();
            let metadata = [("format".to_owned(), "pt".to_owned()), ("é\n\"".to_owned(), String::new())];
            let layout = header(&tensors, &metadata).unwrap();
            let mut bytes = layout.header.clone();
            for &position in &layout.order {
                let NewTensor { dtype, shape, .. } = &tensors[position];
                bytes.resize(bytes.len() + byte_length(*dtype, shape).unwrap() as usize, 0);
            }
            let read = parse(&bytes).unwrap();
            prop_assert_eq!(read.data_offset % ALIGNMENT, 0);
            prop_assert_eq!(read.metadata, metadata);
            prop_assert_eq!(read.tensors.len(), tensors.len());
            for (entry, &position) in read.tensors.iter().zip(&layout.order) {
                let NewTensor { name, dtype, shape } = &tensors[position];
                prop_assert_eq!((&entry.name, entry.dtype, &entry.shape), (name, *dtype, shape));
                prop_assert_eq!(entry.range.start % dtype.number_size(), 0);
            }
        }
    }

    #[test]
    fn refuses_what_the_format_lacks() {
        let tensor = |name: &str, dtype| NewTensor { name: name.into(), dtype, shape: vec![1] };
        assert!(header(&[tensor("a", DType::Complex128)], &[]).is_err());
        assert!(header(&[tensor("__metadata__", DType::Int8)], &[]).is_err());
        assert!(header(&[tensor("a", DType::Int8), tensor("a", DType::Bool)], &[]).is_err());
    }
}
