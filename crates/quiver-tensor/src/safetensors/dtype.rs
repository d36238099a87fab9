//! Element types as the format names them.

use crate::dtype::DType;
use crate::error::{Error, Result};

/// In the order in which writers sort tensors: sizes never grow, so that padding is never needed.
const NAMES: [(DType, &str); 19] = [
    (DType::Uint64, "U64"),
    (DType::Int64, "I64"),
    (DType::Float64, "F64"),
    (DType::Complex64, "C64"),
    (DType::Float32, "F32"),
    (DType::Uint32, "U32"),
    (DType::Int32, "I32"),
    (DType::Bfloat16, "BF16"),
    (DType::Float16, "F16"),
    (DType::Uint16, "U16"),
    (DType::Int16, "I16"),
    (DType::Float8E5m2fnuz, "F8_E5M2FNUZ"),
    (DType::Float8E4m3fnuz, "F8_E4M3FNUZ"),
    (DType::Float8E8m0fnu, "F8_E8M0"),
    (DType::Float8E4m3fn, "F8_E4M3"),
    (DType::Float8E5m2, "F8_E5M2"),
    (DType::Int8, "I8"),
    (DType::Uint8, "U8"),
    (DType::Bool, "BOOL"),
];

/// Types that exist but have elements of less than a byte.
const SUB_BYTE: [&str; 3] = ["F4", "F6_E2M3", "F6_E3M2"];

/// The format's name and the rank in the order of writing. `Unsupported` for complex128, which the format lacks.
pub(super) fn of(dtype: DType) -> Result<(usize, &'static str)> {
    let rank = NAMES.iter().position(|(candidate, _)| *candidate == dtype);
    rank.map(|rank| (rank, NAMES[rank].1)).ok_or_else(|| {
        Error::unsupported("safetensors has no such type; store real and imaginary parts")
            .with("dtype", dtype.name())
    })
}

/// The type of a name. `Unsupported` for elements of less than a byte, `Corrupt` for names that mean nothing.
pub(super) fn parse(name: &str) -> Result<DType> {
    if let Some((dtype, _)) = NAMES.iter().find(|(_, candidate)| *candidate == name) {
        return Ok(*dtype);
    }
    Err(if SUB_BYTE.contains(&name) {
        Error::unsupported("the tensor's elements are smaller than a byte").with("dtype", name)
    } else {
        Error::corrupt("the tensor has an unknown type").with("dtype", format!("{name:?}"))
    })
}
