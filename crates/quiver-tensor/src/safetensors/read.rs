//! Reading headers.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{LENGTH, LONGEST_HEADER, METADATA, dtype};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::byte_length;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Texts that the writer added, in the order of the file.
    pub metadata: Vec<(String, String)>,
    /// In the order of the header, which is any.
    pub tensors: Vec<TensorEntry>,
    /// Where the data starts, in bytes from the start of the file.
    pub data_offset: usize,
}

/// One tensor: dense, row by row, at any alignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorEntry {
    /// Any text.
    pub name: String,
    /// Type of the elements.
    pub dtype: DType,
    /// Sizes, outermost axis first; none for a single element.
    pub shape: Vec<u64>,
    /// Its bytes, counted from the start of the file. As long as type and shape ask for.
    pub range: Range<usize>,
}

/// Reads the header of a whole file. `Corrupt` unless the tensors, in the order of their positions, cover everything
/// behind the header: no hole, no overlap, nothing after the last. Names that occur twice are refused, where the
/// reference implementation silently keeps the last.
pub fn parse(bytes: &[u8]) -> Result<Header> {
    parse_start(bytes, bytes.len() as u64)
}

/// The same from the first bytes of a file of `length`, which must hold the whole header.
pub fn parse_start(bytes: &[u8], length: u64) -> Result<Header> {
    let header = parse_header(bytes)?;
    let end = header.tensors.iter().map(|tensor| tensor.range.end).max().unwrap_or(header.data_offset);
    if end as u64 == length {
        return Ok(header);
    }
    let sentence = if end as u64 > length {
        "the file ends before its data does"
    } else {
        "the file goes on after its last tensor"
    };
    Err(Error::corrupt(sentence).with("needed", end).with("present", length))
}

/// The same from a file's first bytes, which must hold the whole header; the data is not looked at.
pub fn parse_header(bytes: &[u8]) -> Result<Header> {
    let (length, rest) = bytes
        .split_first_chunk::<LENGTH>()
        .ok_or_else(|| Error::corrupt("the file ends within the length of its header"))?;
    let length = u64::from_le_bytes(*length);
    if length > LONGEST_HEADER {
        return Err(Error::corrupt("the header is longer than any writer makes it").with("length", length));
    }
    let text = rest
        .get(..length as usize)
        .ok_or_else(|| Error::corrupt("the file ends within its header").with("length", length))?;
    let raw: RawHeader = serde_json::from_slice(text)
        .map_err(|error| Error::corrupt("the header is not the JSON it must be").with("cause", error))?;
    let data_offset = LENGTH + text.len();
    let tensors = raw
        .tensors
        .into_iter()
        .map(|(name, tensor)| entry(name, &tensor, data_offset))
        .collect::<Result<Vec<_>>>()?;
    check_cover(&tensors, data_offset)?;
    Ok(Header { metadata: raw.metadata, tensors, data_offset })
}

fn entry(name: String, raw: &RawTensor, data_offset: usize) -> Result<TensorEntry> {
    let located = |error: Error| error.with("tensor", format!("{name:?}"));
    let dtype = dtype::parse(&raw.dtype).map_err(located)?;
    let needed = byte_length(dtype, &raw.shape).map_err(located)?;
    let (begin, end) = raw.data_offsets;
    if end.checked_sub(begin) != Some(needed) {
        return Err(located(Error::corrupt("the tensor's range does not fit its type and shape"))
            .with("needed", needed)
            .with("range", format!("[{begin}, {end})")));
    }
    let absolute = |offset: u64| usize::try_from(offset).ok()?.checked_add(data_offset);
    let range = absolute(begin).zip(absolute(end)).map(|(begin, end)| begin..end);
    let range = range.ok_or_else(|| located(Error::corrupt("the tensor lies beyond what can be counted")))?;
    Ok(TensorEntry { name, dtype, shape: raw.shape.clone(), range })
}

/// Tensors follow each other without holes; empty ones may lie where others meet.
fn check_cover(tensors: &[TensorEntry], data_offset: usize) -> Result<()> {
    let mut ordered: Vec<&TensorEntry> = tensors.iter().collect();
    ordered.sort_by_key(|tensor| (tensor.range.start, tensor.range.end));
    let mut end = data_offset;
    for tensor in ordered {
        if tensor.range.start != end {
            let sentence = if tensor.range.start > end {
                "there is a hole before the tensor"
            } else {
                "two tensors overlap"
            };
            return Err(Error::corrupt(sentence).with("tensor", format!("{:?}", tensor.name)));
        }
        end = tensor.range.end;
    }
    Ok(())
}

/// The header as it is written.
struct RawHeader {
    metadata: Vec<(String, String)>,
    tensors: Vec<(String, RawTensor)>,
}

#[derive(Deserialize)]
struct RawTensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = RawHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<RawHeader, A::Error> {
        let mut header = RawHeader { metadata: Vec::new(), tensors: Vec::new() };
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(serde::de::Error::custom(format_args!("the name {name:?} occurs twice")));
            }
            if name == METADATA {
                let texts: Option<serde_json::Map<String, serde_json::Value>> = map.next_value()?;
                header.metadata =
                    texts.into_iter().flatten().map(text).collect::<std::result::Result<_, _>>()?;
            } else {
                header.tensors.push((name, map.next_value()?));
            }
        }
        Ok(header)
    }
}

fn text<E: serde::de::Error>(pair: (String, serde_json::Value)) -> std::result::Result<(String, String), E> {
    match pair {
        (name, serde_json::Value::String(value)) => Ok((name, value)),
        (name, _) => Err(E::custom(format_args!("the metadata {name:?} is no text"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    fn file(text: &str, data: usize) -> Vec<u8> {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    #[test]
    fn accepts_what_the_reference_accepts() {
        for (text, data) in [
            ("{}", 0),
            (r#"{"__metadata__":null}  "#, 0),
            (r#" {"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   "#, 8),
            (
                r#"{"b":{"dtype":"F32","shape":[],"data_offsets":[1,5]},"a":{"shape":[1],"data_offsets":[0,1],"dtype":"U8"}}"#,
                5,
            ),
            (r#"{"w":{"dtype":"F64","shape":[0,9],"data_offsets":[0,0],"more":[{}]}}"#, 0),
            (
                r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"e":{"dtype":"U8","shape":[0],"data_offsets":[1,1]}}"#,
                1,
            ),
        ] {
            parse(&file(text, data)).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let header = parse(&file(r#"{"__metadata__":{"z":"1","a":"2"}}"#, 0)).unwrap();
        assert_eq!(header.metadata, [("z".into(), "1".into()), ("a".into(), "2".into())]);
    }

    #[test]
    fn refuses_everything_else() {
        for (text, data, sentence) in [
            (r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 7, "ends before"),
            (r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 9, "goes on"),
            (r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12, "a hole"),
            (
                r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}"#,
                7,
                "overlap",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
                4,
                "occurs twice",
            ),
            (r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "does not fit"),
            (r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "does not fit"),
            (
                r#"{"w":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#,
                0,
                "can be counted",
            ),
            (r#"{"w":{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}}"#, 0, "JSON"),
            (r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551616]}}"#, 1, "JSON"),
            (r#"{"w":{"dtype":"f32","shape":[2],"data_offsets":[0,8]}}"#, 8, "unknown type"),
            (r#"{"__metadata__":{"a":1}}"#, 0, "no text"),
            ("\u{feff}{}", 0, "JSON"),
            ("{}\0\0", 0, "JSON"),
            ("[]", 0, "JSON"),
        ] {
            let error = parse(&file(text, data)).unwrap_err();
            assert!(
                error.kind() == ErrorKind::Corrupt && error.to_string().contains(sentence),
                "{text}: {error}"
            );
        }
        let sub_byte =
            parse(&file(r#"{"w":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}"#, 1)).unwrap_err();
        assert_eq!(sub_byte.kind(), ErrorKind::Unsupported);
        let huge = parse(&[&[0xff; 8][..], b"{}"].concat()).unwrap_err();
        assert!(huge.to_string().contains("longer than any writer"), "{huge}");
        let deep = format!(r#"{{"w":{{"x":{}"#, "[".repeat(1_000_000));
        assert_eq!(parse(&file(&deep, 0)).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic_nor_reach_beyond(at: usize, value: u8, cut in 0_usize..150) {
            let mut bytes = file(
                r#"{"b":{"dtype":"F32","shape":[2],"data_offsets":[3,11]},"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}"#,
                11,
            );
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(bytes.len().saturating_sub(cut));
            for tensor in parse(&bytes).map(|header| header.tensors).unwrap_or_default() {
                prop_assert!(bytes.get(tensor.range).is_some());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[{}\\[\\]\":,a-z0-9]{0,60}") {
            let _ = parse(&bytes);
            let _ = parse(&file(&text, 4));
        }
    }
}
