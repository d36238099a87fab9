//! Which buffers and children the arrays of a type have.

use arrow_schema::{DataType, Field, Fields, IntervalUnit};

use super::offsets::Width;
use crate::dtype::DType;
use crate::error::{Error, Result};

/// How the arrays of a type lie in memory, behind their validity bits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layout<'a> {
    /// Nothing at all, not even validity bits.
    Null,
    /// So many bytes a value.
    Fixed(usize),
    /// One bit a value, the lowest first.
    Bits,
    /// Offsets, and bytes that they point into.
    Bytes(Width),
    /// Offsets into a child.
    List(Width, &'a Field),
    /// So many values of a child.
    FixedList(usize, &'a Field),
    /// One value of each child.
    Struct(&'a Fields),
}

impl<'a> Layout<'a> {
    /// `Unsupported` for dictionaries, unions, views and run-end encodings; `Corrupt` for negative sizes.
    pub(super) fn of(data_type: &'a DataType) -> Result<Self> {
        let negative = || Error::corrupt("a type has a negative size").with("type", data_type);
        Ok(match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bits,
            DataType::FixedSizeBinary(size) => Self::Fixed(usize::try_from(*size).map_err(|_| negative())?),
            DataType::Binary | DataType::Utf8 => Self::Bytes(Width::Narrow),
            DataType::LargeBinary | DataType::LargeUtf8 => Self::Bytes(Width::Wide),
            DataType::List(child) | DataType::Map(child, _) => Self::List(Width::Narrow, child),
            DataType::LargeList(child) => Self::List(Width::Wide, child),
            DataType::FixedSizeList(child, size) => {
                Self::FixedList(usize::try_from(*size).map_err(|_| negative())?, child)
            }
            DataType::Struct(fields) => Self::Struct(fields),
            DataType::Interval(IntervalUnit::MonthDayNano) | DataType::Decimal128(..) => Self::Fixed(16),
            DataType::Interval(IntervalUnit::DayTime) | DataType::Decimal64(..) => Self::Fixed(8),
            DataType::Interval(IntervalUnit::YearMonth) | DataType::Decimal32(..) => Self::Fixed(4),
            DataType::Decimal256(..) => Self::Fixed(32),
            other => Self::Fixed(other.primitive_width().ok_or_else(|| {
                Error::unsupported("arrays of this Arrow type are not read").with("type", other)
            })?),
        })
    }

    /// Bits of one value when all values of the type take equally many; none when offsets decide.
    pub(super) fn fixed_bits(data_type: &DataType) -> Result<Option<u64>> {
        Ok(match Layout::of(data_type)? {
            Layout::Null => Some(0),
            Layout::Fixed(size) => (size as u64).checked_mul(8),
            Layout::Bits => Some(1),
            Layout::Bytes(_) | Layout::List(..) => None,
            Layout::FixedList(size, child) => match Self::fixed_bits(child.data_type())? {
                Some(bits) => Some(
                    bits.checked_mul(size as u64)
                        .ok_or_else(|| Error::bad_value("a row is larger than can be counted"))?,
                ),
                None => None,
            },
            Layout::Struct(fields) => {
                let mut sum = Some(0_u64);
                for field in fields {
                    let bits = Self::fixed_bits(field.data_type())?;
                    sum = sum.zip(bits).and_then(|(sum, bits)| sum.checked_add(bits));
                }
                sum
            }
        })
    }

    /// How many buffers there are behind the validity bits.
    pub(super) fn buffers(self) -> usize {
        match self {
            Self::Null | Self::FixedList(..) | Self::Struct(_) => 0,
            Self::Fixed(_) | Self::Bits | Self::List(..) => 1,
            Self::Bytes(_) => 2,
        }
    }
}

/// The element type that an Arrow type holds, if a tensor can have it.
pub fn dtype_of(data_type: &DataType) -> Option<DType> {
    Some(match data_type {
        DataType::Boolean => DType::Bool,
        DataType::Int8 => DType::Int8,
        DataType::UInt8 => DType::Uint8,
        DataType::Int16 => DType::Int16,
        DataType::UInt16 => DType::Uint16,
        DataType::Float16 => DType::Float16,
        DataType::Int32 => DType::Int32,
        DataType::UInt32 => DType::Uint32,
        DataType::Float32 => DType::Float32,
        DataType::Int64 => DType::Int64,
        DataType::UInt64 => DType::Uint64,
        DataType::Float64 => DType::Float64,
        _ => return None,
    })
}

/// The Arrow type that holds an element type; `BadValue` for those that Arrow does not have.
pub fn storage_of(dtype: DType) -> Result<DataType> {
    Ok(match dtype {
        DType::Bool => DataType::Boolean,
        DType::Int8 => DataType::Int8,
        DType::Uint8 => DataType::UInt8,
        DType::Int16 => DataType::Int16,
        DType::Uint16 => DataType::UInt16,
        DType::Float16 => DataType::Float16,
        DType::Int32 => DataType::Int32,
        DType::Uint32 => DataType::UInt32,
        DType::Float32 => DataType::Float32,
        DType::Int64 => DataType::Int64,
        DType::Uint64 => DataType::UInt64,
        DType::Float64 => DataType::Float64,
        DType::Bfloat16
        | DType::Float8E4m3fn
        | DType::Float8E4m3fnuz
        | DType::Float8E5m2
        | DType::Float8E5m2fnuz
        | DType::Float8E8m0fnu
        | DType::Complex64
        | DType::Complex128 => {
            return Err(Error::bad_value("Arrow has no such element type").with("dtype", dtype.name()));
        }
    })
}
