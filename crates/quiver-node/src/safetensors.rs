//! Headers of safetensors files. Bytes cross as views and are used only during the call.

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use quiver_tensor::NewTensor;
use quiver_tensor::safetensors;

use crate::errors::{Result, tensor_failure};
use crate::tensor::{counts, dtype_of};

/// One tensor of a file.
#[napi(object)]
pub struct SafetensorsTensor {
    /// Any text.
    pub name: String,
    /// Name of the element type.
    pub dtype: String,
    /// Sizes, outermost axis first.
    pub shape: Vec<f64>,
    /// Where its bytes start, from the start of the file; not read when writing.
    pub start: f64,
}

/// What a header says.
#[napi(object)]
pub struct SafetensorsHeader {
    /// Texts that the writer added, as pairs.
    pub metadata: Vec<(String, String)>,
    /// In the order of the header.
    pub tensors: Vec<SafetensorsTensor>,
    /// Where the data starts, in bytes from the start of the file.
    pub data_offset: f64,
}

/// Reads the header of a file of `length` bytes from its first ones, which hold it whole; the tensors cover exactly what
/// follows it.
#[napi]
pub fn safetensors_parse(bytes: &[u8], length: f64) -> Result<SafetensorsHeader> {
    let header = safetensors::parse_start(bytes, length as u64).map_err(tensor_failure)?;
    let tensors = header.tensors.into_iter().map(|tensor| SafetensorsTensor {
        name: tensor.name,
        dtype: tensor.dtype.name().to_owned(),
        shape: tensor.shape.iter().map(|&size| size as f64).collect(),
        start: tensor.range.start as f64,
    });
    Ok(SafetensorsHeader {
        tensors: tensors.collect(),
        metadata: header.metadata,
        data_offset: header.data_offset as f64,
    })
}

/// A header, and what follows it.
#[napi(object)]
pub struct SafetensorsLayout {
    /// The file up to the data; a multiple of 64 bytes.
    pub header: Uint8Array,
    /// The tensors whose bytes follow, as positions in what was given.
    pub order: Vec<u32>,
}

/// Tensors to be written, as JavaScript describes them.
pub fn new_tensors(tensors: Vec<SafetensorsTensor>) -> Result<Vec<NewTensor>> {
    tensors
        .into_iter()
        .map(|tensor| {
            Ok(NewTensor {
                dtype: dtype_of(&tensor.dtype)?,
                shape: counts(&tensor.shape)?,
                name: tensor.name,
            })
        })
        .collect()
}

/// The header for such tensors.
#[napi]
pub fn safetensors_layout(
    #[napi(ts_arg_type = "readonly SafetensorsTensor[]")] tensors: Vec<SafetensorsTensor>,
    #[napi(ts_arg_type = "readonly (readonly [string, string])[]")] metadata: Vec<(String, String)>,
) -> Result<SafetensorsLayout> {
    let layout = safetensors::header(&new_tensors(tensors)?, &metadata).map_err(tensor_failure)?;
    Ok(SafetensorsLayout {
        header: layout.header.into(),
        order: layout.order.into_iter().map(|position| position as u32).collect(),
    })
}
