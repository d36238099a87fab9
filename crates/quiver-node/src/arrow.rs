//! Columns of Arrow files in memory. Bytes cross as views and are used only during the call.

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use quiver_tensor::arrow::tensors::{self, Column};

use crate::errors::{Result, tensor_failure};
use crate::safetensors::{SafetensorsTensor, new_tensors};

/// A column of a file.
#[napi(object)]
pub struct ArrowColumn {
    /// Its name.
    pub name: String,
    /// Name of the element type; none for texts.
    pub dtype: Option<String>,
    /// Shape of a row.
    pub row: Vec<f64>,
    /// Of each batch: where its elements start in the file, how many bytes they take, of bools the first one's bit,
    /// and how many rows there are.
    pub parts: Vec<(f64, f64, f64, f64)>,
    /// The texts; null where one is null.
    #[napi(ts_type = "Array<string | null>")]
    pub texts: Option<Vec<Option<String>>>,
}

/// What lies around the data of the columns in a file.
#[napi(object)]
pub struct ArrowLayout {
    /// Before them; each column is padded to a multiple of 64 bytes.
    pub head: Uint8Array,
    /// Behind them.
    pub tail: Uint8Array,
}

/// Reads the columns of a stream or file.
#[napi]
pub fn arrow_parse(bytes: &[u8]) -> Result<Vec<ArrowColumn>> {
    let columns = tensors::columns(bytes).map_err(tensor_failure)?;
    Ok(columns.into_iter().map(|(name, column)| described(name, column)).collect())
}

fn described(name: String, column: Column) -> ArrowColumn {
    match column {
        Column::Texts(texts) => {
            ArrowColumn { name, dtype: None, row: Vec::new(), parts: Vec::new(), texts: Some(texts) }
        }
        Column::Tensor { dtype, row, parts } => ArrowColumn {
            name,
            dtype: Some(dtype.name().to_owned()),
            row: row.iter().map(|&size| size as f64).collect(),
            parts: parts
                .iter()
                .map(|part| (part.start as f64, part.bytes as f64, part.first_bit as f64, part.rows as f64))
                .collect(),
            texts: None,
        },
    }
}

/// The file for such columns; their `start` is not read.
#[napi]
pub fn arrow_layout(
    #[napi(ts_arg_type = "readonly SafetensorsTensor[]")] columns: Vec<SafetensorsTensor>,
) -> Result<ArrowLayout> {
    let layout = tensors::file_layout(&new_tensors(columns)?).map_err(tensor_failure)?;
    Ok(ArrowLayout { head: layout.head.into(), tail: layout.tail.into() })
}
