//! Element types as `NumPy` writes them: byte order, kind, size.

use crate::dtype::DType;
use crate::error::{Error, Result};

/// The text for this type; `Unsupported` for bfloat16 and 8-bit floats, which `NumPy` does not have.
pub(super) fn of(dtype: DType) -> Result<&'static str> {
    Ok(match dtype {
        DType::Bool => "|b1",
        DType::Int8 => "|i1",
        DType::Uint8 => "|u1",
        DType::Int16 => "<i2",
        DType::Uint16 => "<u2",
        DType::Float16 => "<f2",
        DType::Int32 => "<i4",
        DType::Uint32 => "<u4",
        DType::Float32 => "<f4",
        DType::Int64 => "<i8",
        DType::Uint64 => "<u8",
        DType::Float64 => "<f8",
        DType::Complex64 => "<c8",
        DType::Complex128 => "<c16",
        DType::Bfloat16
        | DType::Float8E4m3fn
        | DType::Float8E4m3fnuz
        | DType::Float8E5m2
        | DType::Float8E5m2fnuz
        | DType::Float8E8m0fnu => {
            return Err(Error::unsupported("npy has no such type; convert to float32 first")
                .with("dtype", dtype.name()));
        }
    })
}

/// The type of a text and whether its bytes are in big-endian order. Types that exist but are not numbers of a
/// fixed width are `Unsupported`, anything else is `Corrupt`.
pub(super) fn parse(text: &str) -> Result<(DType, bool)> {
    let (order, code) = match text.as_bytes().first() {
        Some(b'<' | b'>' | b'=' | b'|') => text.split_at(1),
        _ => ("=", text),
    };
    let Some(dtype) = number(code) else {
        return Err(refusal(code).with("descr", text));
    };
    Ok((dtype, order == ">" && dtype.item_size() > 1))
}

fn number(code: &str) -> Option<DType> {
    Some(match code {
        "b1" | "?" | "bool" => DType::Bool,
        "i1" | "int8" => DType::Int8,
        "u1" | "uint8" => DType::Uint8,
        "i2" | "int16" => DType::Int16,
        "u2" | "uint16" => DType::Uint16,
        "f2" | "float16" => DType::Float16,
        "i4" | "int32" => DType::Int32,
        "u4" | "uint32" => DType::Uint32,
        "f4" | "float32" => DType::Float32,
        "i8" | "int64" => DType::Int64,
        "u8" | "uint64" => DType::Uint64,
        "f8" | "float64" => DType::Float64,
        "c8" | "complex64" => DType::Complex64,
        "c16" | "complex128" => DType::Complex128,
        _ => return None,
    })
}

fn refusal(code: &str) -> Error {
    match code.as_bytes() {
        [b'O', ..] => Error::unsupported("the array holds Python objects, which would run code to read"),
        [b'V', ..] => Error::unsupported("the array holds raw records (bfloat16 arrays are saved like this)"),
        [b'S' | b'a' | b'U', ..] => Error::unsupported("the array holds text, not numbers"),
        [b'M' | b'm', ..] => Error::unsupported("the array holds dates or durations, not plain numbers"),
        b"f12" | b"f16" | b"c24" | b"c32" => Error::unsupported("the array holds long doubles"),
        _ => Error::corrupt("the header names no element type"),
    }
}
