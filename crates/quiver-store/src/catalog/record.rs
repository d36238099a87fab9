//! One entry's facts as bytes. A fixed head, then fields by tag and length:
//!
//! ```text
//! u8 version | u8 flags | i32 priority | u32 stamp | u32 slot | u64 content id | u64 size | u64 allocated
//! u64 created ms | u64 expires ms (max = never) | { u8 tag | u32 length | bytes }*
//! ```
//! All little-endian. Unknown tags are kept as they are, so that an older writer loses nothing of a newer one's;
//! an unknown version makes the record unreadable, which is a miss and never a deletion. So version 2, which has a small
//! value as its last field, is not mistaken by those who would look for its value elsewhere.

/// The facts alone.
const FACTS: u8 = 1;
/// Facts and, as the last field, the value.
const WITH_VALUE: u8 = 2;
const HEAD: usize = 2 + 4 + 4 + 4 + 8 * 5;
/// Bytes of a field before its own.
const FIELD_HEAD: usize = 5;

/// No expiry.
pub const NEVER: u64 = u64::MAX;

/// A set of yes-or-no facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// Never evicted.
    pub const PINNED: u8 = 1;
    /// The value is in the catalog, in its record or in parts of its own, not in a file.
    pub const INLINE: u8 = 2;
    /// Taken over from a file that somebody else wrote.
    pub const ADOPTED: u8 = 4;

    /// Whether a flag is set.
    pub fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
    /// Sets or clears a flag.
    pub fn set(&mut self, flag: u8, on: bool) {
        if on {
            self.0 |= flag;
        } else {
            self.0 &= !flag;
        }
    }
}

mod tag {
    pub const CODEC: u8 = 1;
    pub const EXTENSION: u8 = 2;
    pub const KEY: u8 = 3;
    pub const NAME: u8 = 4;
    pub const SHA256: u8 = 5;
    pub const SUM128: u8 = 6;
    pub const TENSOR: u8 = 7;
    pub const METADATA: u8 = 8;
    pub const TAGS: u8 = 9;
    pub const NAMED_FILE: u8 = 10;
    pub const VERSION_NUMBER: u8 = 11;
    pub const SEED_ACCESS: u8 = 12;
    pub const SUMS: u8 = 13;
    pub const STALE_UNTIL: u8 = 14;
    pub const VALUE: u8 = 15;
}

/// Identity of the file under the readable name, as it was when its facts were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// Inode number.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Modification time in nanoseconds.
    pub mtime_ns: i64,
}

/// One entry's facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Yes-or-no facts.
    pub flags: Flags,
    /// Lower leaves first.
    pub priority: i32,
    /// Number of the write that made this record, low 32 bits.
    pub stamp: u32,
    /// Word of the stamp table.
    pub slot: u32,
    /// Names the value's bytes, never reused.
    pub content: u64,
    /// Bytes of the stored value.
    pub size: u64,
    /// Bytes that the value takes on disk.
    pub allocated: u64,
    /// Wall-clock milliseconds.
    pub created: u64,
    /// Wall-clock milliseconds or `NEVER`.
    pub expires: u64,
    /// Until when the entry is kept once it has expired, for those who ask for stale ones; none = not at all.
    pub stale_until: Option<u64>,
    /// Codec name.
    pub codec: String,
    /// File extension without dot.
    pub extension: String,
    /// The whole key, where it is too long to be the catalog's key.
    pub long_key: Option<Vec<u8>>,
    /// File name under the namespace's folder, where there is one.
    pub name: Option<String>,
    /// Digest of the stored bytes.
    pub sha256: Option<[u8; 32]>,
    /// xxh3-128 of an inline value.
    pub sum128: Option<u128>,
    /// Dtype and shape as JSON, for values that are one tensor.
    pub tensor: Option<String>,
    /// The user's metadata as JSON.
    pub metadata: Option<String>,
    /// The user's tags.
    pub tags: Vec<String>,
    /// The file under `name`.
    pub named_file: Option<FileIdentity>,
    /// Number among the key's values.
    pub number: u32,
    /// Last access (ms) and count taken over with an adopted entry, before this cache counted.
    pub seed_access: Option<(u64, u64)>,
    /// xxh3-64 of each 64 KiB of a file value, while they are few; of larger ones they are in a file.
    pub sums: Vec<u64>,
    /// Its bytes hold the value too, which is read from them where it is needed (`Glance`, `Row`).
    pub embedded: bool,
    /// Fields of later versions.
    pub unknown: Vec<(u8, Vec<u8>)>,
}

impl Record {
    /// A record with every optional fact absent.
    pub fn new(codec: &str, extension: &str) -> Self {
        Self {
            flags: Flags::default(),
            priority: 0,
            stamp: 0,
            slot: u32::MAX,
            content: 0,
            size: 0,
            allocated: 0,
            created: 0,
            expires: NEVER,
            stale_until: None,
            codec: codec.into(),
            extension: extension.into(),
            long_key: None,
            name: None,
            sha256: None,
            sum128: None,
            tensor: None,
            metadata: None,
            tags: Vec::new(),
            named_file: None,
            number: 1,
            seed_access: None,
            sums: Vec::new(),
            embedded: false,
            unknown: Vec::new(),
        }
    }

    /// Whether the value lies in the catalog.
    pub fn is_inline(&self) -> bool {
        self.flags.has(Flags::INLINE)
    }

    /// The content id under which the value has a file that can be held; none where it lies in the catalog.
    pub fn file(&self) -> Option<u64> {
        (!self.is_inline()).then_some(self.content)
    }

    /// For how long it is served and kept.
    pub fn term(&self) -> Term {
        Term { created: self.created, expires: self.expires, stale_until: self.stale_until }
    }

    /// Whether the entry is expired at `now`.
    pub fn is_expired(&self, now: u64) -> bool {
        self.term().is_expired(now)
    }

    /// When the entry is to be removed: at its expiry, or later where it is kept for those who ask for stale ones.
    pub fn kept_until(&self) -> u64 {
        self.term().kept_until()
    }

    /// Whether nobody is to get the entry at `now` any more.
    pub fn is_gone(&self, now: u64) -> bool {
        self.term().is_gone(now)
    }

    /// The record as bytes, with the value of one that is to hold it.
    pub fn encode(&self, value: Option<&[u8]>) -> Vec<u8> {
        debug_assert_eq!(self.embedded, value.is_some(), "a record keeps its value, and only its own");
        let mut out = Vec::with_capacity(HEAD + 128 + value.map_or(0, <[u8]>::len));
        out.push(if value.is_some() { WITH_VALUE } else { FACTS });
        out.push(self.flags.0);
        out.extend_from_slice(&self.priority.to_le_bytes());
        out.extend_from_slice(&self.stamp.to_le_bytes());
        out.extend_from_slice(&self.slot.to_le_bytes());
        for word in [self.content, self.size, self.allocated, self.created, self.expires] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        let mut field = |tag: u8, bytes: &[u8]| {
            out.push(tag);
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        self.each_field(&mut field);
        if let Some(value) = value {
            field(tag::VALUE, value);
        }
        out
    }

    /// How many bytes it takes with an embedded value of `value` bytes.
    pub fn encoded_len(&self, value: usize) -> usize {
        let mut length = HEAD + FIELD_HEAD + value;
        self.each_field(&mut |_, bytes| length += FIELD_HEAD + bytes.len());
        length
    }

    fn each_field(&self, field: &mut impl FnMut(u8, &[u8])) {
        field(tag::CODEC, self.codec.as_bytes());
        field(tag::EXTENSION, self.extension.as_bytes());
        if let Some(key) = &self.long_key {
            field(tag::KEY, key);
        }
        if let Some(name) = &self.name {
            field(tag::NAME, name.as_bytes());
        }
        if let Some(digest) = &self.sha256 {
            field(tag::SHA256, digest);
        }
        if let Some(sum) = self.sum128 {
            field(tag::SUM128, &sum.to_le_bytes());
        }
        if let Some(tensor) = &self.tensor {
            field(tag::TENSOR, tensor.as_bytes());
        }
        if let Some(metadata) = &self.metadata {
            field(tag::METADATA, metadata.as_bytes());
        }
        for text in &self.tags {
            field(tag::TAGS, text.as_bytes());
        }
        if let Some(file) = self.named_file {
            let mut bytes = [0; 24];
            bytes[..8].copy_from_slice(&file.ino.to_le_bytes());
            bytes[8..16].copy_from_slice(&file.size.to_le_bytes());
            bytes[16..].copy_from_slice(&file.mtime_ns.to_le_bytes());
            field(tag::NAMED_FILE, &bytes);
        }
        if self.number != 1 {
            field(tag::VERSION_NUMBER, &self.number.to_le_bytes());
        }
        if let Some((time, count)) = self.seed_access {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&time.to_le_bytes());
            bytes[8..].copy_from_slice(&count.to_le_bytes());
            field(tag::SEED_ACCESS, &bytes);
        }
        if let Some(time) = self.stale_until {
            field(tag::STALE_UNTIL, &time.to_le_bytes());
        }
        if !self.sums.is_empty() {
            let bytes: Vec<u8> = self.sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
            field(tag::SUMS, &bytes);
        }
        for (tag, bytes) in &self.unknown {
            field(*tag, bytes);
        }
    }

    /// Reads a record without its value; `None` for bytes that are none of this or an earlier version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEAD)?;
        if !is_known(head[0]) {
            return None;
        }
        let mut record = Self::new("", "");
        record.flags = Flags(head[1]);
        record.priority = i32::from_le_bytes(array(head, 2)?);
        record.stamp = u32::from_le_bytes(array(head, 6)?);
        record.slot = u32::from_le_bytes(array(head, 10)?);
        record.content = u64::from_le_bytes(array(head, 14)?);
        record.size = u64::from_le_bytes(array(head, 22)?);
        record.allocated = u64::from_le_bytes(array(head, 30)?);
        record.created = u64::from_le_bytes(array(head, 38)?);
        record.expires = u64::from_le_bytes(array(head, 46)?);
        for field in fields(bytes) {
            let (tag, value) = field?;
            record.field(tag, value)?;
        }
        Some(record)
    }

    fn field(&mut self, tag: u8, value: &[u8]) -> Option<()> {
        let text = || String::from_utf8(value.to_vec()).ok();
        match tag {
            tag::CODEC => self.codec = text()?,
            tag::EXTENSION => self.extension = text()?,
            tag::KEY => self.long_key = Some(value.to_vec()),
            tag::NAME => self.name = Some(text()?),
            tag::SHA256 => self.sha256 = Some(value.try_into().ok()?),
            tag::SUM128 => self.sum128 = Some(u128::from_le_bytes(value.try_into().ok()?)),
            tag::TENSOR => self.tensor = Some(text()?),
            tag::METADATA => self.metadata = Some(text()?),
            tag::TAGS => self.tags.push(text()?),
            tag::NAMED_FILE => {
                self.named_file = Some(FileIdentity {
                    ino: u64::from_le_bytes(array(value, 0)?),
                    size: u64::from_le_bytes(array(value, 8)?),
                    mtime_ns: i64::from_le_bytes(array(value, 16)?),
                });
            }
            tag::VERSION_NUMBER => self.number = u32::from_le_bytes(array(value, 0)?),
            tag::SEED_ACCESS => {
                self.seed_access =
                    Some((u64::from_le_bytes(array(value, 0)?), u64::from_le_bytes(array(value, 8)?)));
            }
            tag::STALE_UNTIL => self.stale_until = Some(u64::from_le_bytes(array(value, 0)?)),
            tag::SUMS => {
                let (words, rest) = value.as_chunks::<8>();
                if !rest.is_empty() {
                    return None;
                }
                self.sums = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            }
            tag::VALUE => self.embedded = true,
            other => self.unknown.push((other, value.to_vec())),
        }
        Some(())
    }
}

/// A record with all that has to be written again with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The facts.
    pub record: Record,
    /// The value of an embedded one.
    pub value: Option<Vec<u8>>,
}

impl Row {
    /// Reads a record and copies its value; `None` as for `Record::decode`.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let record = Record::decode(bytes)?;
        let value = if record.embedded { Glance::of(bytes)?.value.map(<[u8]>::to_vec) } else { None };
        Some(Self { record, value })
    }

    /// What `decode` reads.
    pub fn encode(&self) -> Vec<u8> {
        self.record.encode(self.value.as_deref())
    }
}

/// For how long an entry is served and kept, in wall-clock milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// When it was made.
    pub created: u64,
    /// When it ends, or `NEVER`.
    pub expires: u64,
    /// Until when it is kept once it has expired.
    pub stale_until: Option<u64>,
}

impl Term {
    /// Whether it is expired at `now`. An entry from more than a minute in the future counts as expired: the clock
    /// was wrong when it was made, so its age is unknown.
    pub fn is_expired(self, now: u64) -> bool {
        self.expires != NEVER && (now >= self.expires || now.saturating_add(60_000) < self.created)
    }

    /// When it is to be removed.
    pub fn kept_until(self) -> u64 {
        if self.expires == NEVER { NEVER } else { self.expires.max(self.stale_until.unwrap_or(0)) }
    }

    /// Whether nobody is to get it at `now` any more.
    pub fn is_gone(self, now: u64) -> bool {
        self.is_expired(now) && (now >= self.kept_until() || now < self.expires)
    }
}

/// What a look-up needs of a record, borrowed from its bytes: on the hottest path decoding all of it would cost as
/// much as finding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance<'t> {
    /// Yes-or-no facts.
    pub flags: Flags,
    /// Number of the write that made this record, low 32 bits.
    pub stamp: u32,
    /// Word of the stamp table.
    pub slot: u32,
    /// Names the value's bytes.
    pub content: u64,
    /// Bytes of the stored value.
    pub size: u64,
    /// For how long it is served and kept.
    pub term: Term,
    /// Codec name.
    pub codec: &'t str,
    /// xxh3-128 of an inline value.
    pub sum128: Option<u128>,
    /// The whole key, where it is too long to be the catalog's key.
    pub long_key: Option<&'t [u8]>,
    /// The value of a packed entry, where the record has it.
    pub value: Option<&'t [u8]>,
}

impl<'t> Glance<'t> {
    /// Reads a record; `None` for exactly the bytes for which `Record::decode` answers so, as far as it looks.
    pub fn of(bytes: &'t [u8]) -> Option<Self> {
        if !is_known(*bytes.first()?) {
            return None;
        }
        let mut glance = Self {
            flags: Flags(*bytes.get(1)?),
            stamp: u32::from_le_bytes(array(bytes, 6)?),
            slot: u32::from_le_bytes(array(bytes, 10)?),
            content: u64::from_le_bytes(array(bytes, 14)?),
            size: u64::from_le_bytes(array(bytes, 22)?),
            term: Term {
                created: u64::from_le_bytes(array(bytes, 38)?),
                expires: u64::from_le_bytes(array(bytes, 46)?),
                stale_until: None,
            },
            codec: "",
            sum128: None,
            long_key: None,
            value: None,
        };
        for field in fields(bytes) {
            let (tag, value) = field?;
            match tag {
                tag::CODEC => glance.codec = std::str::from_utf8(value).ok()?,
                tag::SUM128 => glance.sum128 = Some(u128::from_le_bytes(value.try_into().ok()?)),
                tag::KEY => glance.long_key = Some(value),
                tag::VALUE => glance.value = Some(value),
                tag::STALE_UNTIL => {
                    glance.term.stale_until = Some(u64::from_le_bytes(array(value, 0)?));
                }
                _ => {}
            }
        }
        Some(glance)
    }

    /// Whether the value lies in the catalog.
    pub fn is_inline(&self) -> bool {
        self.flags.has(Flags::INLINE)
    }
}

fn is_known(version: u8) -> bool {
    matches!(version, FACTS | WITH_VALUE)
}

/// The tagged fields of a record; the last one is `None` where the bytes end within it.
fn fields(bytes: &[u8]) -> impl Iterator<Item = Option<(u8, &[u8])>> {
    let mut rest = bytes.get(HEAD..).unwrap_or_default();
    std::iter::from_fn(move || {
        let tag = *rest.first()?;
        let value = array(rest, 1)
            .map(u32::from_le_bytes)
            .and_then(|length| rest.get(FIELD_HEAD..FIELD_HEAD.checked_add(length as usize)?));
        rest = value.map_or(&[], |value| &rest[FIELD_HEAD + value.len()..]);
        Some(value.map(|value| (tag, value)))
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full() -> Record {
        let mut record = Record::new("npz", "npz");
        record.flags.set(Flags::PINNED, true);
        record.priority = -7;
        record.stamp = 0xfeed_beef;
        record.slot = 12;
        record.content = u64::MAX - 3;
        record.size = 1 << 40;
        record.created = 1_763_000_000_000;
        record.expires = 1_763_000_001_000;
        record.stale_until = Some(1_763_000_002_000);
        record.long_key = Some(vec![7; 900]);
        record.name = Some("kernel_1.5.npz".into());
        record.sha256 = Some([9; 32]);
        record.sum128 = Some(u128::MAX / 3);
        record.tensor = Some(r#"{"dtype":"float64","shape":[3]}"#.into());
        record.metadata = Some(r#"{"a":1}"#.into());
        record.tags = vec!["x".into(), "ü".into()];
        record.named_file = Some(FileIdentity { ino: 4, size: 5, mtime_ns: -6 });
        record.number = 3;
        record.seed_access = Some((1, 2));
        record.sums = vec![1, u64::MAX];
        record.unknown = vec![(200, vec![1, 2, 3])];
        record
    }

    #[test]
    fn every_fact_survives() {
        assert_eq!(Record::decode(&full().encode(None)), Some(full()));
    }

    fn embedded(value: &[u8]) -> Row {
        Row { record: Record { embedded: true, ..full() }, value: Some(value.to_vec()) }
    }

    #[test]
    fn a_value_comes_last_and_raises_the_version() {
        let (without, row) = (full().encode(None), embedded(b"value"));
        let bytes = row.encode();
        assert_eq!((without[0], bytes[0]), (1, 2));
        assert_eq!(bytes[1..without.len()], without[1..]);
        assert_eq!(bytes[without.len()..], [&[15, 5, 0, 0, 0], &b"value"[..]].concat());
        assert_eq!(row.record.encoded_len(5), bytes.len());
        assert_eq!(Row::decode(&bytes), Some(row.clone()));
        assert_eq!(Record::decode(&bytes), Some(row.record));
        assert_eq!(Row::decode(&without), Some(Row { record: full(), value: None }));
        assert_eq!(Glance::of(&without).unwrap().value, None);
    }

    #[test]
    fn a_glance_sees_what_the_whole_record_says() {
        let (record, bytes) = (full(), embedded(&[5; 40]).encode());
        let glance = Glance::of(&bytes).unwrap();
        assert_eq!((glance.stamp, glance.slot, glance.content), (record.stamp, record.slot, record.content));
        assert_eq!(
            (glance.size, glance.term.created, glance.term.expires),
            (record.size, record.created, record.expires)
        );
        assert_eq!((glance.codec, glance.sum128), (record.codec.as_str(), record.sum128));
        assert_eq!((glance.long_key, glance.flags), (record.long_key.as_deref(), record.flags));
        assert_eq!((glance.term, glance.value), (record.term(), Some(&[5; 40][..])));
        for length in 0..HEAD {
            assert_eq!(Glance::of(&bytes[..length]), None);
        }
        assert_eq!(Glance::of(&bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn a_later_version_is_unreadable_and_every_cut_is_noticed() {
        let mut bytes = full().encode(None);
        for length in 0..HEAD {
            assert_eq!(Record::decode(&bytes[..length]), None);
        }
        assert_eq!(Record::decode(&bytes[..bytes.len() - 1]), None);
        bytes[0] = WITH_VALUE + 1;
        assert_eq!(Record::decode(&bytes), None);
    }

    #[test]
    fn entries_from_the_future_count_as_expired() {
        let record = full();
        assert!(!record.is_expired(record.created));
        assert!(record.is_expired(record.expires));
        assert!(record.is_expired(record.created - 60_001));
        assert!(!record.is_expired(record.created - 60_000));
        assert!(record.is_gone(record.created - 60_001));
    }

    fn rows() -> impl Strategy<Value = Row> {
        use proptest::{collection::vec, option::of};
        let words = (any::<(u8, i32, u32, u32)>(), any::<(u64, u64, u64, u64, u64)>(), of(any::<u64>()));
        let texts = (".{0,9}", ".{0,5}", vec(".{0,9}", 0..3), of(".{0,40}"), of(".{0,20}"));
        let bytes = (of(vec(any::<u8>(), 401..500)), of(any::<u128>()), of(any::<[u8; 32]>()));
        (words, texts, bytes, of(vec(any::<u8>(), 0..1_200))).prop_map(|(words, texts, bytes, value)| {
            let ((flags, priority, stamp, slot), (content, size, allocated, created, expires), stale_until) =
                words;
            let (codec, extension, tags, metadata, tensor) = texts;
            let (long_key, sum128, sha256) = bytes;
            let flags = Flags(flags);
            let embedded = value.is_some();
            let record = Record {
                flags,
                priority,
                stamp,
                slot,
                content,
                size,
                allocated,
                created,
                expires,
                stale_until,
                long_key,
                sha256,
                sum128,
                tensor,
                metadata,
                tags,
                embedded,
                ..Record::new(&codec, &extension)
            };
            Row { record, value }
        })
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(row) = Row::decode(&bytes) {
                prop_assert!(Glance::of(&bytes).is_some());
                prop_assert_eq!(Row::decode(&row.encode()), Some(row));
            }
            let _ = Glance::of(&bytes);
        }

        #[test]
        fn records_with_and_without_a_value_read_back(row in rows()) {
            let bytes = row.encode();
            prop_assert_eq!(Row::decode(&bytes), Some(row.clone()));
            let Row { record, value } = &row;
            if let Some(value) = value {
                prop_assert_eq!(record.encoded_len(value.len()), bytes.len());
            }
            prop_assert_eq!(Record::decode(&bytes), Some(record.clone()));
            let seen = Glance::of(&bytes).unwrap();
            prop_assert_eq!(seen, Glance {
                flags: record.flags,
                stamp: record.stamp,
                slot: record.slot,
                content: record.content,
                size: record.size,
                term: record.term(),
                codec: &record.codec,
                sum128: record.sum128,
                long_key: record.long_key.as_deref(),
                value: value.as_deref(),
            });
        }
    }
}
