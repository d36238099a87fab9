//! Facts as JSON, in the shape of the facade's `EntryFacts`.

use quiver_store::catalog::record::{Flags, NEVER, Record};
use quiver_store::reader::Namespace;
use quiver_store::writer::{FactChanges, NewFacts};
use quiver_store::{Code, Error, Result, Store};
use serde_json::{Map, Value, json};

/// An entry's facts.
pub fn describe(store: &Store, namespace: &Namespace, key: &[u8], record: &Record) -> Value {
    let engine = &store.engine;
    let mut usage = engine.heat.usage(record.slot, engine.now());
    if usage.last_access < record.created {
        usage.count = 0;
    }
    let seed = record.seed_access.unwrap_or((0, 0));
    let last = usage.last_access.max(seed.0).max(record.created);
    let mut facts = Map::new();
    facts.insert("key".into(), json!(String::from_utf8_lossy(key)));
    facts.insert("size".into(), json!(record.size));
    if let Some(digest) = &record.sha256 {
        facts.insert("digest".into(), json!(format!("sha256:{}", quiver_io::hex(digest))));
    }
    facts.insert("createdAt".into(), json!(record.created));
    facts.insert("expiresAt".into(), (record.expires != NEVER).then_some(record.expires).into());
    facts.insert("lastAccessed".into(), json!(last));
    facts.insert("accessCount".into(), json!(seed.1 + u64::from(usage.count)));
    facts.insert("codec".into(), json!(record.codec));
    facts.insert("priority".into(), json!(record.priority));
    facts.insert("pinned".into(), json!(record.flags.has(Flags::PINNED)));
    facts.insert("tags".into(), json!(record.tags));
    if let Some(metadata) = record.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()) {
        facts.insert("metadata".into(), metadata);
    }
    if let Some(Value::Object(tensor)) =
        record.tensor.as_deref().and_then(|text| serde_json::from_str(text).ok())
    {
        facts.extend(tensor);
    }
    if let Some(name) = &record.name {
        let path = engine.root.namespace(&namespace.name).join(name);
        facts.insert("path".into(), json!(path.to_string_lossy()));
    }
    if namespace.record().settings.versions > 0 {
        facts.insert("version".into(), json!(record.number));
    }
    Value::Object(facts)
}

/// Facts that a write brings, from JSON.
pub fn new_facts(text: &str) -> Result<(NewFacts, Option<u64>)> {
    let fields = object(text)?;
    let facts = NewFacts {
        codec: string(&fields, "codec")?,
        extension: string(&fields, "extension")?,
        expires: fields.get("expiresAt").and_then(milliseconds),
        stale_until: fields.get("staleUntil").and_then(milliseconds),
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
    Ok((facts, fields.get("fence").and_then(milliseconds)))
}

/// Changes to an entry's facts, from JSON.
pub fn changes(text: &str) -> Result<FactChanges> {
    let fields = object(text)?;
    Ok(FactChanges {
        expires: fields.get("expiresAt").map(milliseconds),
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

/// JavaScript's numbers arrive as doubles or integers; beyond any time counts as never.
fn milliseconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|ms| *ms < 8.64e15).map(|ms| ms.max(0.0) as u64))
}
