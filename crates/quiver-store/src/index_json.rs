//! `index.json` of a namespace: what people and Python read. Written from the catalog, whole and by rename, so that
//! it is never seen half-written; other programs' fields and newer entries are kept.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::adopt;
use crate::catalog::keys;
use crate::catalog::lmdb::Read;
use crate::catalog::record::{Flags, NEVER, Record};
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::settings::Layout;

/// An entry of somebody else's index.
#[derive(Debug, Clone, Default)]
pub struct ForeignEntry {
    /// When it was made, ms.
    pub created: Option<u64>,
    /// Last access, ms.
    pub last_accessed: Option<u64>,
    /// Accesses.
    pub access_count: u64,
    /// SHA-256 of the file.
    pub checksum: Option<[u8; 32]>,
    /// When it runs out, ms; of our own indexes.
    pub expires: Option<u64>,
    /// Never evicted; of our own indexes.
    pub pinned: bool,
    /// Of our own indexes.
    pub priority: i32,
    /// Of our own indexes.
    pub tags: Vec<String>,
    /// How the value is encoded; of our own indexes.
    pub codec: Option<String>,
    /// Name of the file; of our own indexes.
    pub file: Option<String>,
}

/// Somebody else's index.
#[derive(Debug, Default)]
pub struct ForeignIndex {
    /// Its entries by key.
    pub entries: BTreeMap<String, ForeignEntry>,
}

impl ForeignIndex {
    /// Reads an index; none where there is no readable one.
    pub fn read(path: &Path) -> Option<Self> {
        let value: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let mut entries = BTreeMap::new();
        let text = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
        for (key, entry) in value.get("entries")?.as_object()? {
            entries.insert(
                key.clone(),
                ForeignEntry {
                    created: entry.get("created_at").and_then(Value::as_str).and_then(parse_time),
                    last_accessed: entry.get("last_accessed").and_then(Value::as_str).and_then(parse_time),
                    access_count: entry.get("access_count").and_then(Value::as_u64).unwrap_or(0),
                    checksum: entry.get("checksum").and_then(Value::as_str).and_then(parse_checksum),
                    expires: entry.get("expires_at").and_then(Value::as_str).and_then(parse_time),
                    pinned: entry.get("pinned").and_then(Value::as_bool).unwrap_or(false),
                    priority: entry.get("priority").and_then(Value::as_i64).unwrap_or(0) as i32,
                    tags: entry
                        .get("tags")
                        .and_then(Value::as_array)
                        .map(|tags| tags.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                        .unwrap_or_default(),
                    codec: text(entry, "codec"),
                    file: text(entry, "file"),
                },
            );
        }
        Some(Self { entries })
    }
}

/// Writes the index of a namespace. Entries of other programs that the catalog doesn't have yet, or has the value
/// before of, stay as their writers left them for as long as their files are there.
pub fn write(engine: &Engine, namespace: &str) -> Result<()> {
    let path = engine.root.namespace(namespace).join("index.json");
    let mut previous: Map<String, Value> =
        std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let old = match previous.remove("entries") {
        Some(Value::Object(entries)) => entries,
        _ => Map::new(),
    };
    let Some(mut listed) = list(engine, namespace, old)? else { return Ok(()) };
    listed.keep_foreign(engine, namespace)?;
    let mut index = Map::new();
    index.insert("version".into(), json!("1.0"));
    let created = previous.get("created_at").and_then(Value::as_str).map(str::to_owned);
    index.insert("created_at".into(), json!(created.unwrap_or_else(|| format_time(listed.created))));
    index.insert("total_entries".into(), json!(listed.entries.len()));
    let bytes: u64 = listed.entries.values().filter_map(|entry| entry.get("size_bytes")?.as_u64()).sum();
    index.insert("total_size_mb".into(), json!((bytes as f64 / 1_048_576.0 * 100.0).round() / 100.0));
    for (name, value) in previous {
        index.entry(name).or_insert(value);
    }
    index.insert("entries".into(), Value::Object(listed.entries));
    let bytes = serde_json::to_vec_pretty(&Value::Object(index))
        .map_err(|error| Error::new(Code::Internal, format!("the index doesn't encode: {error}")))?;
    engine.replace_file(&path, &bytes)
}

/// What an index will list.
struct Listed {
    /// When the namespace was made, ms.
    created: u64,
    /// What the catalog has.
    entries: Map<String, Value>,
    /// Entries of the index before that the catalog does not have, or has another value of.
    others: Map<String, Value>,
}

/// The entries of the catalog; none where no index is kept. `old` are those of the index before.
fn list(engine: &Engine, namespace: &str, mut old: Map<String, Value>) -> Result<Option<Listed>> {
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let Some(space) = catalog.namespace(&txn, namespace)? else { return Ok(None) };
    if !space.settings.index {
        return Ok(None);
    }
    let now = engine.now();
    let mut entries = Map::new();
    let mut others = Map::new();
    let mut cursor = txn.cursor(catalog.db.entries)?;
    let mut pair = cursor.seek(&space.id.to_be_bytes())?;
    while let Some((entry, bytes)) = pair
        && keys::namespace_of(entry) == Some(space.id)
    {
        if let Some(record) = Record::decode(bytes) {
            let key = record.long_key.as_deref().unwrap_or_else(|| keys::user_key(entry));
            let key = String::from_utf8_lossy(key).into_owned();
            let before = old.remove(&key);
            match before {
                _ if record.is_expired(now) => {}
                Some(theirs) if is_replaced(engine, namespace, &record, &theirs) => {
                    others.insert(key, theirs);
                }
                before => {
                    let fields = describe(engine, &key, &record, before.as_ref());
                    entries.insert(key, fields);
                }
            }
        }
        pair = cursor.next()?;
    }
    if space.settings.layout == Layout::Named {
        others.append(&mut old);
    }
    Ok(Some(Listed { created: space.created, entries, others }))
}

/// Whether another program has put a file in place of the value and said so in the index.
fn is_replaced(engine: &Engine, namespace: &str, record: &Record, before: &Value) -> bool {
    let noted = before.get("checksum").and_then(Value::as_str).and_then(parse_checksum);
    noted.is_some()
        && noted != record.sha256
        && adopt::named_file(engine, namespace, record) == adopt::NamedFile::Changed
}

impl Listed {
    /// Takes over those of the others whose files are there.
    fn keep_foreign(&mut self, engine: &Engine, namespace: &str) -> Result<()> {
        for (key, entry) in std::mem::take(&mut self.others) {
            let named = entry.get("file").and_then(Value::as_str).map(str::to_owned);
            if adopt::has_foreign_file(engine, namespace, &key, named)? {
                self.entries.insert(key, entry);
            }
        }
        Ok(())
    }
}

/// One entry: the contract's fields, what somebody else had beside them, then our own.
fn describe(engine: &Engine, key: &str, record: &Record, before: Option<&Value>) -> Value {
    const OURS: [&str; 6] = ["codec", "file", "expires_at", "pinned", "priority", "tags"];
    let usage = engine.heat.usage(record.slot, engine.now());
    let seed = record.seed_access.unwrap_or((0, 0));
    let mut last = usage.last_access.max(seed.0).max(record.created);
    let mut count = seed.1 + u64::from(usage.count);
    let digest = record.sha256.map(|digest| format!("sha256:{}", quiver_io::hex(&digest)));
    let text = |name: &str| before.and_then(|before| before.get(name)).and_then(Value::as_str);
    if digest.is_some() && text("checksum") == digest.as_deref() {
        // Other programs count their accesses here.
        last = last.max(text("last_accessed").and_then(parse_time).unwrap_or(0));
        count = count.max(before.and_then(|before| before.get("access_count")?.as_u64()).unwrap_or(0));
    }
    let mut fields = Map::new();
    fields.insert("key".into(), json!(key));
    fields.insert("created_at".into(), json!(format_time(record.created)));
    fields.insert("size_bytes".into(), json!(record.size));
    fields.insert("access_count".into(), json!(count));
    fields.insert("last_accessed".into(), json!(format_time(last)));
    if let Some(digest) = digest {
        fields.insert("checksum".into(), json!(digest));
    }
    if let Some(Value::Object(before)) = before {
        for (name, value) in before.iter().filter(|(name, _)| !OURS.contains(&name.as_str())) {
            fields.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    fields.insert("codec".into(), json!(record.codec));
    if let Some(name) = &record.name {
        fields.insert("file".into(), json!(name));
    }
    if record.expires != NEVER {
        fields.insert("expires_at".into(), json!(format_time(record.expires)));
    }
    if record.flags.has(Flags::PINNED) {
        fields.insert("pinned".into(), json!(true));
    }
    if record.priority != 0 {
        fields.insert("priority".into(), json!(record.priority));
    }
    if !record.tags.is_empty() {
        fields.insert("tags".into(), json!(record.tags));
    }
    Value::Object(fields)
}

fn parse_checksum(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:")?;
    let mut out = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// ms since 1970 as `2025-11-11T00:00:00.000Z`.
pub fn format_time(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days as i64);
    let (hours, minutes, seconds) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", rest % 1_000)
}

/// The inverse for UTC times with up to nine fractional digits; a missing zone counts as UTC.
pub fn parse_time(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hours, minutes, seconds) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let fraction: String = text
        .get(19..)?
        .strip_prefix('.')
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect())
        .unwrap_or_default();
    let ms = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
    let days = days_from_civil(year, month, day);
    u64::try_from(((days * 24 + hours) * 60 + minutes) * 60_000 + seconds * 1_000 + ms).ok()
}

/// Days since 1970 to year, month, day (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        assert_eq!(format_time(1_762_819_200_000), "2025-11-11T00:00:00.000Z");
        assert_eq!(parse_time("2025-11-11T00:00:00Z"), Some(1_762_819_200_000));
        assert_eq!(parse_time("2024-02-29T23:59:59.123456"), Some(1_709_251_199_123));
        assert_eq!(parse_time("yesterday"), None);
    }

    proptest! {
        #[test]
        fn times_round_trip(ms in 0_u64..4_000_000_000_000) {
            prop_assert_eq!(parse_time(&format_time(ms)), Some(ms));
        }
    }
}
