//! The names that a pickle may refer to.

use crate::dtype::DType;
use crate::error::{Error, Result};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    Set,
    /// `_codecs.encode`, which makes bytes of text.
    Encode,
    /// Empty bytes.
    Bytes,
    /// A constant or class that occurs as a value only.
    Value(&'static str),
    /// A class or function whose result is kept as a call.
    Maker(&'static str),
    /// An element type.
    DType(DType, &'static str),
    /// A storage class, with its element type where it has one.
    Storage(Option<DType>),
    Rebuild(Rebuild),
}

/// Functions that make tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Rebuild {
    TensorV1,
    TensorV2,
    TensorV3,
    Parameter,
    ParameterWithState,
    FromType,
}

/// Finds a name; `Unsupported` for all that are not known to be harmless.
pub(super) fn find(module: &str, name: &str) -> Result<Global> {
    let found = match module {
        "collections" => match name {
            "OrderedDict" => Some(Global::OrderedDict),
            "Counter" => Some(Global::Maker("collections.Counter")),
            _ => None,
        },
        "__builtin__" | "builtins" => match name {
            "set" => Some(Global::Set),
            "bytes" => Some(Global::Bytes),
            "complex" => Some(Global::Maker("builtins.complex")),
            "bytearray" => Some(Global::Maker("builtins.bytearray")),
            _ => None,
        },
        "_codecs" if name == "encode" => Some(Global::Encode),
        "torch" | "torch.cuda" => torch(name),
        "torch.storage" => match name {
            "UntypedStorage" => Some(Global::Storage(None)),
            _ => None,
        },
        "torch.nn.parameter" if name == "Parameter" => Some(Global::Value("torch.nn.parameter.Parameter")),
        "torch.serialization" if name == "_get_layout" => {
            Some(Global::Maker("torch.serialization._get_layout"))
        }
        "torch._utils" | "torch._tensor" => rebuild(name),
        _ => None,
    };
    found.ok_or_else(|| {
        let global = format!("{module}.{name}");
        let sentence = if global == "torch._utils._rebuild_sparse_tensor" {
            "sparse tensors are not read; save their indices and values"
        } else {
            "the file asks for a class or function that is not known to be harmless; nothing was run"
        };
        Error::unsupported(sentence).with("global", format!("{global:?}"))
    })
}

fn torch(name: &str) -> Option<Global> {
    if let Ok(dtype) = DType::from_name(name) {
        return Some(Global::DType(dtype, torch_name(dtype)));
    }
    Some(match name {
        "Size" => Global::Maker("torch.Size"),
        "device" => Global::Maker("torch.device"),
        "Tensor" => Global::Value("torch.Tensor"),
        "UntypedStorage" => Global::Storage(None),
        "BoolStorage" => Global::Storage(Some(DType::Bool)),
        "ByteStorage" => Global::Storage(Some(DType::Uint8)),
        "CharStorage" => Global::Storage(Some(DType::Int8)),
        "ShortStorage" => Global::Storage(Some(DType::Int16)),
        "IntStorage" => Global::Storage(Some(DType::Int32)),
        "LongStorage" => Global::Storage(Some(DType::Int64)),
        "HalfStorage" => Global::Storage(Some(DType::Float16)),
        "BFloat16Storage" => Global::Storage(Some(DType::Bfloat16)),
        "FloatStorage" => Global::Storage(Some(DType::Float32)),
        "DoubleStorage" => Global::Storage(Some(DType::Float64)),
        "ComplexFloatStorage" => Global::Storage(Some(DType::Complex64)),
        "ComplexDoubleStorage" => Global::Storage(Some(DType::Complex128)),
        _ => return None,
    })
}

fn rebuild(name: &str) -> Option<Global> {
    Some(Global::Rebuild(match name {
        "_rebuild_tensor" => Rebuild::TensorV1,
        "_rebuild_tensor_v2" => Rebuild::TensorV2,
        "_rebuild_tensor_v3" => Rebuild::TensorV3,
        "_rebuild_parameter" => Rebuild::Parameter,
        "_rebuild_parameter_with_state" => Rebuild::ParameterWithState,
        "_rebuild_from_type_v2" => Rebuild::FromType,
        _ => return None,
    }))
}

/// The constant that stands for an element type.
fn torch_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "torch.bool",
        DType::Int8 => "torch.int8",
        DType::Uint8 => "torch.uint8",
        DType::Float8E4m3fn => "torch.float8_e4m3fn",
        DType::Float8E4m3fnuz => "torch.float8_e4m3fnuz",
        DType::Float8E5m2 => "torch.float8_e5m2",
        DType::Float8E5m2fnuz => "torch.float8_e5m2fnuz",
        DType::Float8E8m0fnu => "torch.float8_e8m0fnu",
        DType::Int16 => "torch.int16",
        DType::Uint16 => "torch.uint16",
        DType::Float16 => "torch.float16",
        DType::Bfloat16 => "torch.bfloat16",
        DType::Int32 => "torch.int32",
        DType::Uint32 => "torch.uint32",
        DType::Float32 => "torch.float32",
        DType::Int64 => "torch.int64",
        DType::Uint64 => "torch.uint64",
        DType::Float64 => "torch.float64",
        DType::Complex64 => "torch.complex64",
        DType::Complex128 => "torch.complex128",
    }
}
