//! Facts as JSON, in the shape of the facade's `EntryFacts`.

use std::borrow::Cow;

use quiver_store::catalog::record::{Flags, NEVER, Record};
use quiver_store::reader::Namespace;
use quiver_store::writer::{FactChanges, NewFacts};
use quiver_store::{Code, Error, Result, Store};
use serde::Serialize;
use serde_json::{Map, Value};

/// An entry's facts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts<'r> {
    key: Cow<'r, str>,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    created_at: u64,
    expires_at: Option<u64>,
    last_accessed: u64,
    access_count: u64,
    codec: &'r str,
    priority: i32,
    pinned: bool,
    tags: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dtype: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
}

impl<'r> Facts<'r> {
    /// From what is recorded.
    pub fn of(store: &Store, namespace: &Namespace, key: &'r [u8], record: &'r Record) -> Self {
        let engine = &store.engine;
        let mut usage = engine.heat.usage(record.slot, engine.now());
        if usage.is_from_before(record.created) {
            usage.count = 0;
        }
        let seed = record.seed_access.unwrap_or((0, 0));
        let mut tensor = record.tensor.as_deref().and_then(|text| object(text).ok()).unwrap_or_default();
        let path = |name: &String| engine.root.namespace(&namespace.name).join(name).to_string_lossy().into();
        Self {
            key: String::from_utf8_lossy(key),
            size: record.size,
            digest: record.sha256.map(|digest| format!("sha256:{}", quiver_io::hex(&digest))),
            created_at: record.created,
            expires_at: (record.expires != NEVER).then_some(record.expires),
            last_accessed: usage.last_access.max(seed.0).max(record.created),
            access_count: seed.1 + u64::from(usage.count),
            codec: &record.codec,
            priority: record.priority,
            pinned: record.flags.has(Flags::PINNED),
            tags: &record.tags,
            metadata: record.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            shape: tensor.remove("shape"),
            dtype: tensor.remove("dtype"),
            path: record.name.as_ref().map(path),
            version: namespace.keeps_versions().then_some(record.number),
        }
    }
}

/// JSON of plain data, which can't fail to be written.
pub fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).unwrap_or_default()
}

/// Facts that a write brings, from JSON.
pub fn new_facts(text: &str) -> Result<(NewFacts, Option<u64>)> {
    let fields = object(text)?;
    let time = |name| fields.get(name).and_then(Value::as_f64).and_then(milliseconds);
    let facts = NewFacts {
        codec: string(&fields, "codec")?,
        extension: string(&fields, "extension")?,
        expires: time("expiresAt"),
        stale_until: time("staleUntil"),
        priority: fields.get("priority").and_then(Value::as_i64).unwrap_or(0) as i32,
        pinned: fields.get("pinned").and_then(Value::as_bool).unwrap_or(false),
        tags: strings(fields.get("tags")),
        metadata: fields.get("metadata").filter(|value| value.is_object()).map(Value::to_string),
        tensor: fields.contains_key("dtype").then(|| {
            let mut tensor = Map::new();
            for name in ["shape", "dtype"] {
                if let Some(value) = fields.get(name) {
                    tensor.insert(name.into(), value.clone());
                }
            }
            Value::Object(tensor).to_string()
        }),
    };
    if facts.extension.is_empty() || !facts.extension.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Error::new(Code::BadOption, "a file extension is letters and digits"));
    }
    Ok((facts, fields.get("fence").and_then(Value::as_u64)))
}

/// Changes to an entry's facts, from JSON.
pub fn changes(text: &str) -> Result<FactChanges> {
    let fields = object(text)?;
    Ok(FactChanges {
        expires: fields.get("expiresAt").map(|value| value.as_f64().and_then(milliseconds)),
        pinned: fields.get("pinned").and_then(Value::as_bool),
        priority: fields.get("priority").and_then(Value::as_i64).map(|priority| priority as i32),
        tags: fields.get("tags").map(|tags| strings(Some(tags))),
        metadata: fields.get("metadata").map(|value| value.is_object().then(|| value.to_string())),
    })
}

fn object(text: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(text)
        .map_err(|error| Error::new(Code::Internal, format!("facts don't parse: {error}")))
}

fn string(fields: &Map<String, Value>, name: &str) -> Result<String> {
    fields
        .get(name)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Error::new(Code::Internal, format!("facts lack {name}")))
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .map(|items| items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default()
}

/// A time that is a double in JavaScript; beyond any time counts as never.
pub fn milliseconds(ms: f64) -> Option<u64> {
    (ms < 8.64e15).then(|| ms.max(0.0) as u64)
}
