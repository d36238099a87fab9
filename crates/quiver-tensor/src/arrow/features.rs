//! What Hugging Face datasets say about columns: feature JSON in the schema's metadata, and the extension types
//! `Array2D` to `Array5D` on fields.
//!
//! Lists are written as "Sequence", which every version since 2.14 understands; "List" came with 4.0.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde_json::{Map, Value, json};

use super::layout::{dtype_of, storage_of};
use crate::dtype::DType;
use crate::error::{Error, Result};

/// The key of the schema's metadata.
const KEY: &str = "huggingface";
const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";
const EXTENSION: &str = "datasets.features.features.Array";

/// Sizes of the rows of an `Array2D` to `Array5D` column as its field declares them; the first one is absent where it
/// varies by row. None for other columns, and for declarations that are no such shape.
pub fn declared_shape(field: &Field) -> Option<Vec<Option<u64>>> {
    let (shape, _) = declaration(field)?;
    Some(shape)
}

fn declaration(field: &Field) -> Option<(Vec<Option<u64>>, String)> {
    if !field.metadata().get(EXTENSION_NAME)?.starts_with(EXTENSION) {
        return None;
    }
    let declared: Value = serde_json::from_str(field.metadata().get(EXTENSION_METADATA)?).ok()?;
    let shape = declared.get(0)?.as_array()?;
    let sizes = shape.iter().map(|size| match size {
        Value::Null => Some(None),
        size => size.as_u64().map(Some),
    });
    Some((sizes.collect::<Option<Vec<_>>>()?, declared.get(1)?.as_str()?.to_owned()))
}

/// How a column of tensors is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// All rows have this shape.
    Fixed(Vec<u64>),
    /// Rows differ in their first axis; the others are these.
    Ragged(Vec<u64>),
}

/// The field for a column of tensors: plain numbers, `fixed_size_list` for vectors, `Array2D` to `Array5D` for what has
/// more axes, nested lists for ragged rows, nested `fixed_size_list` beyond five axes.
///
/// `BadValue` for element types that Arrow doesn't have and sizes beyond 2^31 - 1.
pub fn tensor_field(name: &str, dtype: DType, rows: &Rows) -> Result<Field> {
    let leaf = storage_of(dtype)?;
    match rows {
        Rows::Fixed(shape) if (2..=5).contains(&shape.len()) => {
            let nested = shape.iter().fold(leaf, |inner, _| list_of(inner));
            let kind = format!("{EXTENSION}{}DExtensionType", shape.len());
            let declared = json!([shape, dtype.name()]).to_string();
            let metadata = [(EXTENSION_NAME.to_owned(), kind), (EXTENSION_METADATA.to_owned(), declared)];
            Ok(Field::new(name, nested, true).with_metadata(HashMap::from(metadata)))
        }
        Rows::Fixed(shape) => Ok(Field::new(name, fixed_lists(shape, leaf)?, true)),
        Rows::Ragged(inner) => {
            let nested = inner.iter().fold(list_of(leaf), |inner, _| list_of(inner));
            Ok(Field::new(name, nested, true))
        }
    }
}

/// Nested lists of these sizes, the outermost first. `BadValue` for sizes beyond 2^31 - 1.
pub(super) fn fixed_lists(sizes: &[u64], leaf: DataType) -> Result<DataType> {
    sizes.iter().rev().try_fold(leaf, |inner, &size| {
        let size = i32::try_from(size)
            .map_err(|_| Error::bad_value("a row is longer than Arrow counts").with("size", size))?;
        Ok(DataType::FixedSizeList(item(inner), size))
    })
}

fn list_of(inner: DataType) -> DataType {
    DataType::List(item(inner))
}

fn item(inner: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", inner, true))
}

/// The features that a schema's metadata hold, by column. None when there are none or they can't be read.
pub fn features_of(schema: &Schema) -> Option<Map<String, Value>> {
    let mut metadata: Value = serde_json::from_str(schema.metadata().get(KEY)?).ok()?;
    match metadata.get_mut("info")?.get_mut("features")?.take() {
        Value::Object(features) => Some(features),
        _ => None,
    }
}

/// Features of all columns: what `known` says of them, else what their types say. None when a type has no words
/// here; Python then infers features from the Arrow types, as it does for files without any.
pub fn features(schema: &Schema, known: &Map<String, Value>) -> Option<Map<String, Value>> {
    schema
        .fields()
        .iter()
        .map(|field| {
            let feature = known.get(field.name()).cloned().or_else(|| feature_of(field))?;
            Some((field.name().clone(), feature))
        })
        .collect()
}

/// A schema whose metadata hold these features and nothing else.
#[must_use]
pub fn with_features(schema: Schema, features: Option<&Map<String, Value>>) -> Schema {
    let metadata =
        features.map(|features| (KEY.to_owned(), json!({ "info": { "features": features } }).to_string()));
    schema.with_metadata(metadata.into_iter().collect::<HashMap<_, _>>())
}

fn feature_of(field: &Field) -> Option<Value> {
    if let Some((shape, dtype)) = declaration(field) {
        let kind = format!("Array{}D", shape.len());
        return Some(json!({ "shape": shape, "dtype": dtype, "_type": kind }));
    }
    Some(match field.data_type() {
        DataType::List(child) => json!({ "feature": feature_of(child)?, "_type": "Sequence" }),
        DataType::FixedSizeList(child, length) => {
            json!({ "feature": feature_of(child)?, "length": length, "_type": "Sequence" })
        }
        other => json!({ "dtype": value_name(other)?, "_type": "Value" }),
    })
}

/// The name that Hugging Face gives a plain type.
fn value_name(data_type: &DataType) -> Option<String> {
    if let Some(dtype) = dtype_of(data_type) {
        return Some(dtype.name().to_owned());
    }
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    Some(match data_type {
        DataType::Null => "null".to_owned(),
        DataType::Utf8 => "string".to_owned(),
        DataType::LargeUtf8 => "large_string".to_owned(),
        DataType::Binary => "binary".to_owned(),
        DataType::LargeBinary => "large_binary".to_owned(),
        DataType::Date32 => "date32".to_owned(),
        DataType::Date64 => "date64".to_owned(),
        DataType::Timestamp(of, None) => format!("timestamp[{}]", unit(of)),
        DataType::Timestamp(of, Some(zone)) => format!("timestamp[{}, tz={zone}]", unit(of)),
        DataType::Duration(of) => format!("duration[{}]", unit(of)),
        _ => return None,
    })
}
