//! The bytes on disk are those of docs/format.md. They are read here by that page alone, not by the code that wrote
//! them: what fails is a change of the format, which the page and the format's version have to follow.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quiver_store::catalog::walk;
use quiver_store::settings::{Layout, NamespaceSettings};
use quiver_store::writer::NewFacts;
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::{done, facts, open, put_file, put_packed};

const EXPIRES: u64 = 4_000_000_000_000;

fn pattern(len: usize) -> Vec<u8> {
    support::pattern(1, len)
}

type Database = BTreeMap<Vec<u8>, Vec<u8>>;

/// A closed cache as its files have it.
struct OnDisk {
    root: PathBuf,
    databases: BTreeMap<String, Database>,
}

impl OnDisk {
    fn read(root: &Path) -> Self {
        let mut databases: BTreeMap<String, Database> = BTreeMap::new();
        let report = walk::walk(&root.join(".quiver/catalog/data.mdb"), &mut |database, key, value| {
            databases.entry(database.into()).or_default().insert(key.to_vec(), value.to_vec());
        })
        .unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        Self { root: root.into(), databases }
    }

    fn namespace(&self, name: &str) -> Value {
        serde_json::from_slice(&self.databases["namespaces"][name.as_bytes()]).unwrap()
    }

    fn entry_key(&self, namespace: &str, key: &[u8]) -> Vec<u8> {
        let id = u32::try_from(self.namespace(namespace)["id"].as_u64().unwrap()).unwrap();
        [&id.to_be_bytes()[..], key].concat()
    }

    fn record(&self, namespace: &str, key: &[u8]) -> RawRecord {
        RawRecord::parse(&self.databases["entries"][&self.entry_key(namespace, key)])
    }

    fn word(&self, file: &str, index: u32) -> u32 {
        let bytes = std::fs::read(self.root.join(".quiver").join(file)).unwrap();
        let at = index as usize * 4;
        u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
    }
}

struct RawRecord {
    head: Vec<u8>,
    fields: Vec<(u8, Vec<u8>)>,
}

impl RawRecord {
    fn parse(bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        let mut rest = &bytes[54..];
        while let [tag, a, b, c, d, tail @ ..] = rest {
            let (value, after) = tail.split_at(u32::from_le_bytes([*a, *b, *c, *d]) as usize);
            fields.push((*tag, value.to_vec()));
            rest = after;
        }
        assert!(rest.is_empty());
        Self { head: bytes[..54].to_vec(), fields }
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.head[at..at + 4].try_into().unwrap())
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.head[at..at + 8].try_into().unwrap())
    }

    fn content(&self) -> u64 {
        self.u64(14)
    }

    fn field(&self, tag: u8) -> Option<&[u8]> {
        self.fields.iter().find(|(found, _)| *found == tag).map(|(_, bytes)| bytes.as_slice())
    }
}

fn written(folder: &Path) -> OnDisk {
    let store = open(folder);
    store.namespace("small", &NamespaceSettings::default(), false).unwrap();
    let named =
        NamespaceSettings { layout: Layout::Named, index: true, versions: 2, ..NamespaceSettings::default() };
    store.namespace("named", &named, false).unwrap();
    let full = NewFacts {
        expires: Some(EXPIRES),
        priority: -3,
        pinned: true,
        tags: vec!["one".into(), "two".into()],
        metadata: Some("{\"m\":1}".into()),
        tensor: Some("{\"dtype\":\"uint8\",\"shape\":[5000]}".into()),
        ..facts()
    };
    done(put_packed(&store, "small", "full", pattern(5_000), full));
    done(put_packed(&store, "small", &"k".repeat(401), b"long".to_vec(), facts()));
    done(put_packed(&store, "small", "brief", pattern(100), facts()));
    done(put_file(&store, "named", "Ab", &pattern(100), facts()));
    done(put_file(&store, "named", "Ab", &pattern(6 << 20), facts()));
    store.close();
    OnDisk::read(folder)
}

#[test]
fn a_packed_value_with_all_its_facts() {
    let folder = tempfile::tempdir().unwrap();
    let disk = written(folder.path());
    let record = disk.record("small", b"full");
    assert_eq!(record.head[..2], [1, 1 | 2]);
    assert_eq!(record.u32(2) as i32, -3);
    assert_eq!((record.u64(22), record.u64(30), record.u64(46)), (5_000, 2 * 4_096 + 256, EXPIRES));
    assert_eq!(record.content() >> 22, record.u64(38), "the id begins with the time");
    assert_eq!(record.field(1).unwrap(), b"bin");
    assert_eq!(record.field(2).unwrap(), b"dat");
    assert_eq!(record.field(6).unwrap(), quiver_io::sum128(&pattern(5_000)).to_le_bytes());
    assert_eq!(record.field(7).unwrap(), b"{\"dtype\":\"uint8\",\"shape\":[5000]}");
    assert_eq!(record.field(8).unwrap(), b"{\"m\":1}");
    let tags: Vec<_> = record.fields.iter().filter(|(tag, _)| *tag == 9).map(|(_, text)| text).collect();
    assert_eq!(tags, [b"one", b"two"]);
    assert!([3, 4, 5, 10, 11, 12, 13].iter().all(|tag| record.field(*tag).is_none()));

    let whole = [&record.content().to_be_bytes()[..], &0_u16.to_be_bytes()].concat();
    assert_eq!(disk.databases["values"][&whole], pattern(5_000));

    let entry = disk.entry_key("small", b"full");
    let expiry = [EXPIRES.to_be_bytes(), record.content().to_be_bytes()].concat();
    assert_eq!(disk.databases["expiry"][&expiry], entry);
    let tag = quiver_io::sum64(b"two").to_be_bytes();
    let tag = [&tag[..], &entry[..4], &record.content().to_be_bytes()].concat();
    assert_eq!(disk.databases["tags"][&tag], entry);
    assert_eq!(disk.word("stamps", record.u32(10)), record.u32(6));
}

#[test]
fn a_small_value_is_the_last_field_of_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let disk = written(folder.path());
    let record = disk.record("small", b"brief");
    assert_eq!(record.head[..2], [2, 2]);
    assert_eq!((record.u64(22), record.u64(30)), (100, 375));
    assert_eq!(record.field(6).unwrap(), quiver_io::sum128(&pattern(100)).to_le_bytes());
    assert_eq!(record.fields.last().unwrap(), &(15, pattern(100)));
    let contents: Vec<_> = disk.databases["values"].keys().map(|key| &key[..8]).collect();
    assert!(!contents.contains(&&record.content().to_be_bytes()[..]));
}

#[test]
fn a_long_key_is_a_prefix_and_a_digest() {
    let folder = tempfile::tempdir().unwrap();
    let disk = written(folder.path());
    let key = "k".repeat(401);
    let stored = [&key.as_bytes()[..400], &[0xff], &Sha256::digest(&key)].concat();
    assert_eq!(disk.record("small", &stored).field(3).unwrap(), key.as_bytes());
}

#[test]
fn a_named_value_with_a_kept_version() {
    let folder = tempfile::tempdir().unwrap();
    let disk = written(folder.path());
    let record = disk.record("named", b"Ab");
    assert_eq!((record.head[1], record.u64(46)), (0, u64::MAX));
    assert_eq!(record.field(4).unwrap(), b"Ab.dat");
    assert_eq!(record.field(5).unwrap(), Sha256::digest(pattern(6 << 20)).as_slice());
    assert_eq!(record.field(11).unwrap(), 2_u32.to_le_bytes());

    let id = format!("{:016x}", record.content());
    let object = disk.root.join(".quiver/objects").join(&id[..6]).join(format!("{id}.dat"));
    assert_eq!(std::fs::read(&object).unwrap(), pattern(6 << 20));
    let sums: Vec<u8> =
        pattern(6 << 20).chunks(65_536).flat_map(|chunk| quiver_io::sum64(chunk).to_le_bytes()).collect();
    assert_eq!(std::fs::read(disk.root.join(".quiver/sums").join(&id[..6]).join(&id)).unwrap(), sums);
    assert!(record.field(13).is_none());

    let entry = disk.entry_key("named", b"Ab");
    let name = [&entry[..4], &quiver_io::sum128(b"ab.dat").to_be_bytes()].concat();
    assert_eq!(disk.databases["names"][&name], entry);
    let version = [&entry[..], &[0xfe], &1_u32.to_be_bytes()].concat();
    let old = RawRecord::parse(&disk.databases["versions"][&version]);
    assert_eq!(old.field(13).unwrap(), quiver_io::sum64(&pattern(100)).to_le_bytes());
    assert_eq!(std::fs::read(disk.root.join("named/.versions/Ab/1.dat")).unwrap(), pattern(100));
    assert_eq!(std::fs::read(disk.root.join("named/Ab.dat")).unwrap(), pattern(6 << 20));
}

#[test]
fn the_rest_of_the_catalog_and_the_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let disk = written(folder.path());
    let space = disk.namespace("named");
    assert_eq!(space["settings"]["layout"], "named");
    assert_eq!(space["settings"]["versions"], 2);
    let word = |field: &str| u32::try_from(space[field].as_u64().unwrap()).unwrap();
    assert_eq!(disk.word("stamps", word("slot")), word("epoch"));

    let totals = &disk.databases[walk::MAIN][&[&[0], &word("id").to_be_bytes()[..]].concat()];
    assert_eq!(totals[..16], [1_u64.to_le_bytes(), (6_u64 << 20).to_le_bytes()].concat());
    assert_eq!(totals.len(), 24);
    assert_eq!(disk.databases["meta"][&b"nextNamespace"[..]], 3_u64.to_le_bytes());
    assert_eq!(disk.databases["meta"][&b"nextSlot"[..]], 6_u64.to_le_bytes());

    let format: Value =
        serde_json::from_slice(&std::fs::read(disk.root.join(".quiver/format.json")).unwrap()).unwrap();
    for field in ["layout", "minReader", "minWriter"] {
        assert_eq!(format[field], 1);
    }
    assert_eq!(format["settings"]["durability"], "full");
    for name in ["open", "write", "holds", "flights", "leases"] {
        assert!(disk.root.join(".quiver/locks").join(name).exists(), "{name}");
    }
}
