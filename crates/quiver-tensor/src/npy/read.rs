//! Reading headers.

use super::literal::{self, Literal};
use super::{MAGIC, descr};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::byte_length;

/// `NumPy` refuses longer header texts, because parsing them could be made to take very long.
const LONGEST_TEXT: usize = 10_000;
/// Bytes of a character in UTF-8.
const LONGEST_CHARACTER: usize = 4;

/// What a header says about the data behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Type of the elements.
    pub dtype: DType,
    /// Sizes, outermost axis first; none for a single element.
    pub shape: Vec<u64>,
    /// The data lies column by column.
    pub fortran_order: bool,
    /// The bytes of each number must be swapped before use.
    pub big_endian: bool,
    /// Where the data starts, in bytes from the start of the file.
    pub data_offset: usize,
}

impl Header {
    /// Bytes of data that must follow the header.
    pub fn data_length(&self) -> Result<u64> {
        byte_length(self.dtype, &self.shape)
    }
}

/// Reads the header of a whole file. `Corrupt` when it is not one `NumPy` would read or the data is cut short;
/// `Unsupported` for arrays that hold no plain numbers. Bytes after the data are ignored, as `NumPy` does.
pub fn parse(bytes: &[u8]) -> Result<Header> {
    parse_start(bytes, bytes.len() as u64)
}

/// The same from the first bytes of a file of `length`, which must hold the whole header.
pub fn parse_start(bytes: &[u8], length: u64) -> Result<Header> {
    let header = parse_header(bytes)?;
    let (needed, present) = (header.data_length()?, length.saturating_sub(header.data_offset as u64));
    if needed > present {
        return Err(Error::corrupt("the file ends before its data does")
            .with("shape", format!("{:?}", header.shape))
            .with("needed", needed)
            .with("present", present));
    }
    Ok(header)
}

/// The same from a file's first bytes, which must hold the whole header; the data is not looked at.
pub fn parse_header(bytes: &[u8]) -> Result<Header> {
    let (text, long_integers, data_offset) = header_text(bytes)?;
    let Literal::Dict(pairs) = literal::parse(&text, long_integers)? else {
        return Err(Error::corrupt("the header is no dict"));
    };
    let (mut descr, mut order, mut shape) = (None, None, None);
    for (key, value) in pairs {
        match key {
            Literal::Text(key) if key == "descr" => descr = Some(value),
            Literal::Text(key) if key == "fortran_order" => order = Some(value),
            Literal::Text(key) if key == "shape" => shape = Some(value),
            key => {
                return Err(Error::corrupt("the header has an unknown key").with("key", format!("{key:?}")));
            }
        }
    }
    let (Some(descr), Some(order), Some(shape)) = (descr, order, shape) else {
        return Err(Error::corrupt("the header must have the keys descr, fortran_order and shape"));
    };
    let (dtype, big_endian) = match descr {
        Literal::Text(text) => descr::parse(&text)?,
        Literal::List(_) => {
            return Err(Error::unsupported("the array has named fields (a structured dtype)"));
        }
        Literal::Tuple(_) => {
            return Err(Error::unsupported("the array's elements are arrays (a subarray dtype)"));
        }
        _ => return Err(Error::corrupt("descr is no text")),
    };
    let Literal::Bool(fortran_order) = order else {
        return Err(Error::corrupt("fortran_order is neither True nor False"));
    };
    let shape = sizes(shape)?;
    byte_length(dtype, &shape)?;
    Ok(Header { dtype, shape, fortran_order, big_endian, data_offset })
}

/// How long the file is that starts with these bytes, by its header; `None` when they are no npy header.
pub fn claimed_length(start: &[u8]) -> Result<Option<u64>> {
    let Ok(header) = parse_header(start) else { return Ok(None) };
    Ok(Some(header.data_offset as u64 + header.data_length()?))
}

/// The text, whether Python 2 may have written it, and where it ends.
fn header_text(bytes: &[u8]) -> Result<(String, bool, usize)> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| Error::corrupt("not an npy file: the magic bytes are missing"))?;
    let short = || Error::corrupt("the file ends within its header");
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let (length, rest) = match version {
        [1, 0] => rest.split_first_chunk::<2>().map(|(n, rest)| (u32::from(u16::from_le_bytes(*n)), rest)),
        [2 | 3, 0] => rest.split_first_chunk::<4>().map(|(n, rest)| (u32::from_le_bytes(*n), rest)),
        [major, minor] => {
            return Err(
                Error::corrupt("no npy format has this version").with("version", format!("{major}.{minor}"))
            );
        }
    }
    .ok_or_else(short)?;
    let too_long = || Error::corrupt("the header is longer than NumPy accepts").with("length", length);
    if length as usize > LONGEST_TEXT * LONGEST_CHARACTER {
        return Err(too_long());
    }
    let text = rest.get(..length as usize).ok_or_else(short)?;
    let data_offset = bytes.len() - rest.len() + text.len();
    let text: String = if version[0] == 3 {
        std::str::from_utf8(text).map_err(|_| Error::corrupt("the header is no UTF-8"))?.to_owned()
    } else {
        text.iter().map(|&byte| char::from(byte)).collect()
    };
    if text.chars().count() > LONGEST_TEXT {
        return Err(too_long());
    }
    Ok((text, version[0] < 3, data_offset))
}

fn sizes(shape: Literal) -> Result<Vec<u64>> {
    let Literal::Tuple(items) = shape else {
        return Err(Error::corrupt("shape is no tuple"));
    };
    items
        .into_iter()
        .map(|item| match item {
            Literal::Integer(size) => u64::try_from(size).ok(),
            _ => None,
        })
        .collect::<Option<Vec<u64>>>()
        .ok_or_else(|| Error::corrupt("shape holds something that is no size"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use proptest::prelude::*;

    fn file(version: u8, text: &str, data: usize) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([version, 0]);
        if version == 1 {
            bytes.extend((text.len() as u16).to_le_bytes());
        } else {
            bytes.extend((text.len() as u32).to_le_bytes());
        }
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    #[test]
    fn accepts_what_numpy_accepts() {
        for (text, dtype, big_endian) in [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  \n", DType::Float32, false),
            ("{\"shape\": (2L, 3L), \"descr\": \"=f4\", \"fortran_order\": False}", DType::Float32, false),
            ("{'shape':(2,3,),'fortran_order':False,'descr':'|f4'}", DType::Float32, false),
            ("{'descr': 'float32', 'fortran_order': False, 'shape': (2, 3)}", DType::Float32, false),
            ("{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3)}", DType::Float32, true),
            ("{'descr': '>u1', 'fortran_order': False, 'shape': (2, 3)}", DType::Uint8, false),
            ("{'descr': '?', 'fortran_order': False, 'shape': (2, 3)}", DType::Bool, false),
        ] {
            let header = parse(&file(1, text, 30)).unwrap();
            assert_eq!(
                (header.dtype, header.big_endian, header.shape),
                (dtype, big_endian, vec![2, 3]),
                "{text}"
            );
        }
    }

    #[test]
    fn reads_every_version() {
        for version in 1..=3 {
            let bytes = file(version, "{'descr': '<i2', 'fortran_order': True, 'shape': (1, 2)}", 4);
            let header = parse(&bytes).unwrap();
            assert!(header.fortran_order);
            assert_eq!(header.data_offset + 4, bytes.len());
        }
    }

    #[test]
    fn refuses_what_numpy_refuses() {
        for text in [
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'extra': 1}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': [2]}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
            "{'descr': 'f5', 'fortran_order': False, 'shape': (2,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (9007199254740992,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 9007199254740992)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (9,)}",
            "import os",
        ] {
            assert_eq!(parse(&file(1, text, 8)).unwrap_err().kind(), ErrorKind::Corrupt, "{text}");
        }
        let long = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': (), }}{}", " ".repeat(10_000));
        assert!(parse(&file(2, &long, 8)).is_err());
        assert!(parse(&file(4, "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 8)).is_err());
        assert!(parse(&file(3, "{'descr': '<f4', 'fortran_order': False, 'shape': (1L,)}", 8)).is_err());
    }

    #[test]
    fn says_what_it_does_not_read() {
        for descr in [
            "'|O'",
            "'|V2'",
            "'|S5'",
            "'<U3'",
            "'<M8[ns]'",
            "'<m8'",
            "'<f16'",
            "[('a', '<i4')]",
            "('<i4', (2,))",
        ] {
            let text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,), }}");
            assert_eq!(parse(&file(1, &text, 64)).unwrap_err().kind(), ErrorKind::Unsupported, "{descr}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn damaged_headers_never_panic_nor_reach_beyond(
            at in 0_usize..80, value: u8, version in 1_u8..4, cut in 0_usize..100,
        ) {
            let mut bytes = file(version, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", 24);
            let at = at % bytes.len();
            bytes[at] = value;
            bytes.truncate(bytes.len().saturating_sub(cut % 90));
            if let Ok(header) = parse(&bytes) {
                prop_assert!(header.data_offset as u64 + header.data_length().unwrap() <= bytes.len() as u64);
            }
        }
    }
}
