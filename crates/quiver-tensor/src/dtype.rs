//! Element types.

use crate::error::{Error, Result};

/// The type of a tensor's elements. Elements are little-endian in memory, bools take one byte, complex numbers are
/// (re, im) pairs. The 8-bit floats are named by their bits of exponent and fraction: `fn` has no infinities, `uz`
/// has no negative zero, `e8m0` is an exponent alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DType {
    Bool,
    Int8,
    Uint8,
    Float8E4m3fn,
    Float8E4m3fnuz,
    Float8E5m2,
    Float8E5m2fnuz,
    Float8E8m0fnu,
    Int16,
    Uint16,
    Float16,
    Bfloat16,
    Int32,
    Uint32,
    Float32,
    Int64,
    Uint64,
    Float64,
    Complex64,
    Complex128,
}

impl DType {
    /// Every element type.
    pub const ALL: [Self; 20] = [
        Self::Bool,
        Self::Int8,
        Self::Uint8,
        Self::Float8E4m3fn,
        Self::Float8E4m3fnuz,
        Self::Float8E5m2,
        Self::Float8E5m2fnuz,
        Self::Float8E8m0fnu,
        Self::Int16,
        Self::Uint16,
        Self::Float16,
        Self::Bfloat16,
        Self::Int32,
        Self::Uint32,
        Self::Float32,
        Self::Int64,
        Self::Uint64,
        Self::Float64,
        Self::Complex64,
        Self::Complex128,
    ];

    /// The name as users see it, the same as in `NumPy` and `PyTorch` where they have the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int8 => "int8",
            Self::Uint8 => "uint8",
            Self::Float8E4m3fn => "float8_e4m3fn",
            Self::Float8E4m3fnuz => "float8_e4m3fnuz",
            Self::Float8E5m2 => "float8_e5m2",
            Self::Float8E5m2fnuz => "float8_e5m2fnuz",
            Self::Float8E8m0fnu => "float8_e8m0fnu",
            Self::Int16 => "int16",
            Self::Uint16 => "uint16",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Int32 => "int32",
            Self::Uint32 => "uint32",
            Self::Float32 => "float32",
            Self::Int64 => "int64",
            Self::Uint64 => "uint64",
            Self::Float64 => "float64",
            Self::Complex64 => "complex64",
            Self::Complex128 => "complex128",
        }
    }

    /// The type of this name; `BadValue` when there is none.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|dtype| dtype.name() == name)
            .ok_or_else(|| Error::bad_value("no such dtype").with("dtype", name))
    }

    /// Bytes of one element.
    pub fn item_size(self) -> usize {
        match self {
            Self::Bool
            | Self::Int8
            | Self::Uint8
            | Self::Float8E4m3fn
            | Self::Float8E4m3fnuz
            | Self::Float8E5m2
            | Self::Float8E5m2fnuz
            | Self::Float8E8m0fnu => 1,
            Self::Int16 | Self::Uint16 | Self::Float16 | Self::Bfloat16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 => 4,
            Self::Int64 | Self::Uint64 | Self::Float64 | Self::Complex64 => 8,
            Self::Complex128 => 16,
        }
    }

    /// Bytes of one number: half an element of complex numbers, else the element. Byte order concerns numbers.
    pub fn number_size(self) -> usize {
        match self {
            Self::Complex64 | Self::Complex128 => self.item_size() / 2,
            _ => self.item_size(),
        }
    }
}
