//! The JSON files of a dataset folder.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

pub(crate) const STATE: &str = "state.json";
pub(crate) const INFO: &str = "dataset_info.json";
pub(crate) const DICT: &str = "dataset_dict.json";

/// JSON files beyond this are refused unread.
const LARGEST: u64 = 256 << 20;

/// One entry of `_data_files`. Python reads the name and ignores the rest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DataFile {
    pub(crate) filename: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) num_rows: Option<u64>,
    /// See [`quiver_io::digest_of_sums`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) xxh3: Option<String>,
    /// Of the whole file, in hexadecimal; what earlier versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
}

/// What of state.json is used here.
#[derive(Debug, Deserialize)]
pub(crate) struct State {
    #[serde(rename = "_data_files")]
    pub(crate) data_files: Vec<DataFile>,
    #[serde(rename = "_fingerprint", default)]
    pub(crate) fingerprint: Option<String>,
    #[serde(rename = "_split", default)]
    pub(crate) split: Option<String>,
}

/// Reads a JSON file of a folder.
pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let io = |source| quiver_io::Error { op: "reading", path: path.to_path_buf(), source };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if size > LARGEST {
        return Err(Error::damaged(path, "the file is too large to be what its name says"));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    serde_json::from_slice(&bytes).map_err(|error| Error::damaged(path, format!("no such JSON: {error}")))
}

/// Refuses names that lead out of their folder.
pub(crate) fn check_inside(folder: &Path, name: &str) -> Result<()> {
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if inside && !name.is_empty() && !name.contains('\0') {
        return Ok(());
    }
    Err(Error::damaged(folder, format!("it names a file outside of it: {name:?}")))
}

/// state.json with all keys that Python needs.
pub(crate) fn state_json(files: &[DataFile], fingerprint: &str, split: Option<&str>) -> Vec<u8> {
    pretty(&json!({
        "_data_files": files,
        "_fingerprint": fingerprint,
        "_format_columns": null,
        "_format_kwargs": {},
        "_format_type": null,
        "_output_all_columns": false,
        "_split": split,
    }))
}

/// `dataset_info.json`. Without features Python infers them.
pub(crate) fn info_json(features: Option<&Map<String, Value>>) -> Vec<u8> {
    let mut info = Map::new();
    info.insert("citation".into(), "".into());
    info.insert("description".into(), "".into());
    if let Some(features) = features {
        info.insert("features".into(), Value::Object(features.clone()));
    }
    info.insert("homepage".into(), "".into());
    info.insert("license".into(), "".into());
    pretty(&Value::Object(info))
}

fn pretty(value: &Value) -> Vec<u8> {
    // Only maps with keys that are no strings can fail.
    serde_json::to_vec_pretty(value).unwrap_or_default()
}
