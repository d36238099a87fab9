//! Small packed values lie in their entry's record, others apart from it. Both kinds live side by side and become each
//! other; what holds for one holds for the other.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use quiver_store::catalog::lmdb::{EnvOptions, Read};
use quiver_store::catalog::record::Row;
use quiver_store::catalog::{Catalog, keys, values, walk};
use quiver_store::engine::Modes;
use quiver_store::listing::Query;
use quiver_store::reader::{self, Namespace};
use quiver_store::repair;
use quiver_store::root::Root;
use quiver_store::settings::{Durability, NamespaceSettings, RootSettings};
use quiver_store::writer::{FactChanges, NewFacts, Op, Outcome};
use quiver_store::{Code, OpenOptions, Store, maintenance};
use support::{Pending, delete, done, facts, get, packed, pattern, put_op, put_packed, submit};

/// How a catalog is opened beside the store's own way, by who is alone with it.
const OPTIONS: EnvOptions = EnvOptions {
    map_size: 1 << 30,
    max_databases: 16,
    max_readers: 16,
    no_sync: true,
    read_only: false,
    no_lock: true,
    mode: 0o600,
};

/// Opens without syncing.
fn open_quick(root: &Path) -> Arc<Store> {
    let settings = RootSettings { durability: Durability::Process, ..RootSettings::default() };
    Store::open(root, &OpenOptions { settings, ..OpenOptions::default() }).unwrap()
}

fn data(root: &Path) -> std::path::PathBuf {
    root.join(".quiver/catalog/data.mdb")
}

/// Rows of a catalog that nobody has open: user's key to record, and the lengths of what lies apart of values.
fn rows(root: &Path) -> (BTreeMap<String, Row>, Vec<usize>) {
    let (mut rows, mut parts) = (BTreeMap::new(), Vec::new());
    let report = walk::walk(&data(root), &mut |database, key, value| match database {
        "entries" => {
            let name = String::from_utf8_lossy(keys::user_key(key)).into_owned();
            rows.insert(name, Row::decode(value).unwrap());
        }
        "values" => parts.push(value.len()),
        _ => {}
    })
    .unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    (rows, parts)
}

/// Changes the catalog of a cache that nobody has open.
fn change(root: &Path, work: impl FnOnce(&Catalog)) {
    work(&Catalog::open(&root.join(".quiver/catalog"), &OPTIONS).unwrap());
}

/// Makes a catalog what it was before records could hold values: version 1, all values in parts.
fn as_before(root: &Path) {
    change(root, |catalog| {
        let mut txn = catalog.env.write().unwrap();
        for database in [catalog.db.entries, catalog.db.versions] {
            let mut old = Vec::new();
            let mut cursor = txn.cursor(database).unwrap();
            while let Some((key, bytes)) = cursor.next().unwrap() {
                old.push((key.to_vec(), Row::decode(bytes).unwrap()));
            }
            drop(cursor);
            for (key, mut row) in old {
                let Some(value) = row.value.take() else { continue };
                row.record.embedded = false;
                assert!(
                    values::put(&mut txn, &catalog.db, row.record.content, &value, values::PART).unwrap()
                );
                txn.put(database, &key, &row.encode()).unwrap();
                assert_eq!(row.encode()[0], 1);
            }
        }
        txn.commit().unwrap();
    });
}

/// Puts all values that lie apart into parts of a page, as they are written on a full disk and were by older versions.
fn into_parts(root: &Path) {
    change(root, |catalog| {
        let mut txn = catalog.env.write().unwrap();
        let (mut places, mut apart) = (Vec::new(), BTreeMap::<u64, Vec<u8>>::new());
        let mut cursor = txn.cursor(catalog.db.values).unwrap();
        while let Some((key, bytes)) = cursor.next().unwrap() {
            places.push(key.to_vec());
            let content = u64::from_be_bytes(key[..8].try_into().unwrap());
            apart.entry(content).or_default().extend_from_slice(bytes);
        }
        drop(cursor);
        for key in places {
            assert!(txn.delete(catalog.db.values, &key).unwrap());
        }
        for (content, value) in apart {
            assert!(values::put(&mut txn, &catalog.db, content, &value, values::PART).unwrap());
        }
        txn.commit().unwrap();
    });
}

fn touch(store: &Store, key: &str, changes: FactChanges) -> Outcome {
    let ticket = store.engine.order.draw();
    done(submit(store, Op::Touch { namespace: "n".into(), key: key.into(), changes, ticket }))
}

/// Writes of one commit.
fn put_many(store: &Store, writes: impl Iterator<Item = (String, Vec<u8>, NewFacts)>) -> Pending {
    let puts = writes.map(|(key, value, facts)| match put_op(store, "n", &key, &value, facts) {
        Op::Put(put) => *put,
        other => panic!("{other:?}"),
    });
    submit(store, Op::PutMany(puts.collect()))
}

fn with_metadata(length: usize) -> Option<String> {
    (length > 0).then(|| format!("{{\"m\":\"{}\"}}", "x".repeat(length)))
}

#[test]
fn small_values_lie_in_their_records_and_others_apart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_quick(folder.path());
    store.namespace("n", &packed(), false).unwrap();
    let limit = values::EMBEDDED_LIMIT;
    let long = NewFacts { metadata: with_metadata(1_000), ..facts() };
    done(put_packed(&store, "n", "small", pattern(1, limit), facts()));
    done(put_packed(&store, "n", "large", pattern(2, limit + 1), facts()));
    done(put_packed(&store, "n", "much is told of it", pattern(3, limit), long));
    done(put_packed(&store, "n", &"k".repeat(5_000), pattern(4, 10), facts()));
    done(put_packed(&store, "n", "empty", Vec::new(), facts()));
    store.close();
    let (rows, parts) = rows(folder.path());
    let whereabouts: Vec<_> =
        rows.values().map(|row| (row.record.size as usize, row.record.embedded)).collect();
    assert_eq!(whereabouts, [(0, true), (10, false), (limit + 1, false), (limit, false), (limit, true)]);
    assert_eq!(parts.len(), 3);
}

#[test]
fn values_lie_whole_and_those_in_parts_are_read_and_replaced() {
    let sizes: [usize; 8] = [1_101, 4_080, 4_081, 8_160, 8_161, 10_240, 12_241, 16_384];
    let in_parts = sizes.iter().map(|size| size.div_ceil(values::PART)).sum();
    let folder = tempfile::tempdir().unwrap();
    let value = |round: u64, at: usize| pattern(round << 8 | at as u64, sizes[at]);
    let key = |at: usize| format!("k{at}");
    let check = |round, places: usize| {
        assert_eq!(rows(folder.path()).1.len(), places, "round {round}");
        let store = open_quick(folder.path());
        let namespace = store.namespace("n", &packed(), false).unwrap();
        for at in 0..sizes.len() {
            assert_eq!(get(&store, &namespace, &key(at)).unwrap().unwrap(), value(round, at));
        }
        store
    };
    let store = open_quick(folder.path());
    store.namespace("n", &packed(), false).unwrap();
    done(put_many(&store, (0..sizes.len()).map(|at| (key(at), value(1, at), facts()))));
    store.close();
    check(1, sizes.len()).close();
    into_parts(folder.path());
    let store = check(1, in_parts);
    for at in 0..sizes.len() {
        done(put_packed(&store, "n", &key(at), value(2, at), facts()));
    }
    store.close();
    check(2, sizes.len()).close();
    into_parts(folder.path());
    rebuild(folder.path());
    check(2, sizes.len()).close();
    into_parts(folder.path());
    let store = check(2, in_parts);
    for at in 0..sizes.len() {
        done(delete(&store, "n", &key(at)));
    }
    store.close();
    assert_eq!(rows(folder.path()), (BTreeMap::new(), Vec::new()));
}

#[test]
fn no_row_with_a_value_is_too_long_for_a_node() {
    // What LMDB keeps in a page of 4,096 bytes with another one, and its own bytes before a key.
    const NODE: usize = 2_038 - 8;
    let digest = 5 + 32;
    let folder = tempfile::tempdir().unwrap();
    let settings = NamespaceSettings { versions: 2, ..packed() };
    let store = open_quick(folder.path());
    let namespace = store.namespace("n", &settings, false).unwrap();
    let mut longest = 0;
    for length in 400..900 {
        let told = NewFacts { metadata: with_metadata(length), ..facts() };
        done(put_packed(&store, "n", "k", pattern(5, 1_000), told));
        let row = entry(&store, &namespace, "k");
        if row.record.embedded {
            longest = longest.max(keys::version_key(b"nnnnk", 1).len() + row.encode().len() + digest);
        }
    }
    assert!((NODE - 200..=NODE).contains(&longest), "{longest}");
    store.close();
}

fn entry(store: &Store, namespace: &Namespace, key: &str) -> Row {
    let catalog = store.engine.catalog().unwrap();
    let txn = catalog.env.read().unwrap();
    let (id, _) = namespace.current(&store.engine, &catalog, &txn).unwrap();
    Row::decode(txn.get(catalog.db.entries, &keys::entry_key(id, key.as_bytes())).unwrap().unwrap()).unwrap()
}

#[test]
fn all_that_rewrites_a_record_keeps_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_quick(folder.path());
    let namespace = store.namespace("n", &packed(), false).unwrap();
    let value = pattern(6, 700);
    done(put_packed(&store, "n", "k", value.clone(), facts()));
    let check = |embedded: bool| {
        assert_eq!(get(&store, &namespace, "k").unwrap().unwrap(), value);
        let row = entry(&store, &namespace, "k");
        assert_eq!(row.record.embedded, embedded);
        row.record
    };
    let found = store.lookup(&namespace, b"k", &mut Vec::new()).unwrap().unwrap();
    let digest = maintenance::digest(&store, &namespace, b"k", &found.record).unwrap();
    done(submit(&store, Op::Count(Vec::new())));
    assert_eq!((check(true).sha256, digest.is_some()), (digest, true));

    let before = check(true).stamp;
    let key = keys::entry_key(namespace.record().id, b"k");
    done(submit(&store, Op::Mend { entry: key }));
    assert_ne!(check(true).stamp, before);

    touch(
        &store,
        "k",
        FactChanges { pinned: Some(true), tags: Some(vec!["t".into()]), ..FactChanges::default() },
    );
    assert_eq!(check(true).tags, ["t"]);
    let metadata = Some(with_metadata(3_000));
    touch(&store, "k", FactChanges { metadata, ..FactChanges::default() });
    assert_eq!(check(false).sha256, digest);
    touch(&store, "k", FactChanges { metadata: Some(None), ..FactChanges::default() });
    let record = check(false);
    assert!(record.metadata.is_none() && record.sha256 == digest);
    let removed = submit(&store, Op::DeleteTagged { namespace: "n".into(), tag: "t".into() });
    assert!(matches!(done(removed), Outcome::Removed(removed) if removed.count == 1));
    store.close();
    assert_eq!(rows(folder.path()), (BTreeMap::new(), Vec::new()));
}

#[test]
fn kept_versions_of_both_kinds_are_read_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let settings = NamespaceSettings { versions: 3, ..packed() };
    let sizes = [900, 5_000, 10, 0, 1_000, 16_000];
    {
        let store = open_quick(folder.path());
        store.namespace("n", &settings, false).unwrap();
        for (turn, size) in sizes.into_iter().enumerate() {
            done(put_packed(&store, "n", "k", pattern(turn as u64, size), facts()));
        }
        store.close();
    }
    let check = || {
        let store = open_quick(folder.path());
        let namespace = store.namespace("n", &settings, false).unwrap();
        let numbers: Vec<_> =
            reader::versions(&store.engine, &namespace, b"k").unwrap().iter().map(|one| one.number).collect();
        assert_eq!(numbers, [5, 4, 3]);
        for number in 3..=6_u32 {
            let mut value = Vec::new();
            let record = reader::lookup_version(&store.engine, &namespace, b"k", number, &mut value);
            let turn = number as usize - 1;
            assert_eq!(record.unwrap().unwrap().size, sizes[turn] as u64);
            assert_eq!(value, pattern(turn as u64, sizes[turn]));
        }
        store
    };
    check().close();
    rebuild(folder.path());
    let store = check();
    done(delete(&store, "n", "k"));
    store.close();
    assert!(rows(folder.path()).1.is_empty());
}

/// Makes the catalog anew from its own rows.
fn rebuild(root: &Path) {
    let rebuilt = repair::rebuild(&Root::new(root), Modes::PRIVATE, OPTIONS, true).unwrap();
    assert!(rebuilt.kept > 0 && rebuilt.lost == 0, "{rebuilt:?}");
}

#[test]
fn a_catalog_from_before_is_read_verified_repaired_and_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let settings = NamespaceSettings { versions: 1, ..packed() };
    let value = |key: usize, round: u64| pattern(round << 8 | key as u64, key * 150);
    let fill = |store: &Store, round| {
        for key in 0..12 {
            done(put_packed(store, "n", &format!("k{key}"), value(key, round), facts()));
        }
    };
    {
        let store = open_quick(folder.path());
        store.namespace("n", &settings, false).unwrap();
        fill(&store, 1);
        fill(&store, 2);
        store.close();
    }
    as_before(folder.path());
    let check = |round, embedded| {
        let store = open_quick(folder.path());
        let namespace = store.namespace("n", &settings, false).unwrap();
        for key in 0..12 {
            let name = format!("k{key}");
            assert_eq!(get(&store, &namespace, &name).unwrap().unwrap(), value(key, round));
            assert_eq!(entry(&store, &namespace, &name).record.embedded, embedded && key < 8);
            let (mut old, number) = (Vec::new(), round as u32 - 1);
            reader::lookup_version(&store.engine, &namespace, name.as_bytes(), number, &mut old).unwrap();
            assert_eq!(old, value(key, round - 1));
        }
        let verified = maintenance::verify(&store, &namespace, true, &AtomicBool::new(false), &|_, _| {});
        assert_eq!((verified.as_ref().unwrap().entries, verified.unwrap().findings.len()), (12, 0));
        store
    };
    check(2, false).close();
    rebuild(folder.path());
    let store = check(2, false);
    let namespace = store.namespace("n", &settings, false).unwrap();
    touch(&store, "k3", FactChanges { priority: Some(4), ..FactChanges::default() });
    assert_eq!(get(&store, &namespace, "k3").unwrap().unwrap(), value(3, 2));
    fill(&store, 3);
    store.close();
    // What has been replaced is kept as it was.
    let store = check(3, true);
    fill(&store, 4);
    for key in 0..12 {
        assert_eq!(get(&store, &namespace, &format!("k{key}")).unwrap().unwrap(), value(key, 4));
    }
    fill(&store, 5);
    store.close();
    assert_eq!(rows(folder.path()).1.len(), 2 * 4, "of the last two rounds, what is too large for a record");
}

#[test]
fn a_flipped_bit_is_noticed_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let value = pattern(9, 500);
    let store = open_quick(folder.path());
    store.namespace("n", &packed(), false).unwrap();
    done(put_packed(&store, "n", "damaged", value.clone(), facts()));
    done(put_packed(&store, "n", "whole", pattern(10, 500), facts()));
    store.close();
    let mut bytes = std::fs::read(data(folder.path())).unwrap();
    let places: Vec<_> = (0..bytes.len() - 500).filter(|at| bytes[*at..].starts_with(&value)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 250] ^= 1;
    }
    std::fs::write(data(folder.path()), &bytes).unwrap();

    let store = open_quick(folder.path());
    let namespace = store.namespace("n", &packed(), false).unwrap();
    assert_eq!(get(&store, &namespace, "damaged").unwrap_err().code, Code::ChecksumMismatch);
    let version = reader::lookup_version(&store.engine, &namespace, b"damaged", 1, &mut Vec::new());
    assert_eq!(version.unwrap_err().code, Code::ChecksumMismatch);
    let record = entry(&store, &namespace, "damaged").record;
    assert_eq!(maintenance::digest(&store, &namespace, b"damaged", &record).unwrap(), None);
    let verified =
        maintenance::verify(&store, &namespace, true, &AtomicBool::new(false), &|_, _| {}).unwrap();
    let found: Vec<_> = verified.findings.iter().map(|one| (one.key.as_str(), one.code)).collect();
    assert_eq!(found, [("damaged", Code::ChecksumMismatch.name())]);
    assert_eq!(get(&store, &namespace, "damaged").unwrap(), None);
    assert_eq!(get(&store, &namespace, "whole").unwrap().unwrap(), pattern(10, 500));
    store.close();

    std::fs::write(data(folder.path()), &bytes).unwrap();
    let rebuilt = repair::rebuild(&Root::new(folder.path()), Modes::PRIVATE, OPTIONS, true).unwrap();
    assert_eq!((rebuilt.kept, rebuilt.lost), (1, 1));
}

#[test]
fn an_id_that_another_entry_has_in_an_index_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_quick(folder.path());
    let namespace = store.namespace("n", &packed(), false).unwrap();
    let expires = store.engine.now() + 3_600_000;
    let told = || NewFacts { expires: Some(expires), tags: vec!["t".into()], ..facts() };
    // From a millisecond to come on, ids go on from the last.
    let last = store.engine.ids.next(store.engine.now() + 60_000);
    let catalog = store.engine.catalog().unwrap();
    let mut txn = catalog.env.write().unwrap();
    txn.put(catalog.db.expiry, &keys::expiry_key(expires, last + 1), b"another").unwrap();
    let tag = keys::tag_key("t", namespace.record().id, last + 2);
    txn.put(catalog.db.tags, &tag, b"another").unwrap();
    txn.commit().unwrap();
    drop(catalog);
    done(put_packed(&store, "n", "k", pattern(1, 10), told()));
    assert_eq!(entry(&store, &namespace, "k").record.content, last + 3);
    done(put_packed(&store, "n", "no index has it", pattern(1, 10), facts()));
    assert_eq!(entry(&store, &namespace, "no index has it").record.content, last + 4);
    store.close();
}

/// What is done to a cache, and to a map.
#[derive(Debug, Clone)]
enum Step {
    Set { key: u8, size: usize, metadata: usize },
    Touch { key: u8, metadata: usize },
    SetMany { count: u8, size: usize },
    Delete { key: u8 },
    Reopen,
    Rebuild,
    IntoParts,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![0..1_200_usize, 1_050..1_150_usize, Just(5_000_usize)];
    let metadata = prop_oneof![Just(0_usize), 500..1_000_usize, Just(3_000_usize)];
    let step = prop_oneof![
        12 => (0..6_u8, size.clone(), metadata.clone()).prop_map(|(key, size, metadata)| Step::Set { key, size, metadata }),
        3 => (1..12_u8, size.clone()).prop_map(|(count, size)| Step::SetMany { count, size }),
        6 => (0..6_u8, metadata).prop_map(|(key, metadata)| Step::Touch { key, metadata }),
        3 => (0..6_u8).prop_map(|key| Step::Delete { key }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Rebuild),
        1 => Just(Step::IntoParts),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Of each entry its value, and the metadata's length.
type Model = BTreeMap<String, (Vec<u8>, usize)>;

fn compare(store: &Store, namespace: &Namespace, model: &Model) {
    let page = store.list(namespace, Query { prefix: b"", after: None, limit: 100 }).unwrap();
    assert_eq!(page.entries.len(), model.len());
    for ((key, record), (name, (value, metadata))) in page.entries.iter().zip(model) {
        assert_eq!(key, name.as_bytes());
        assert_eq!(record.metadata, with_metadata(*metadata));
        assert_eq!(&get(store, namespace, name).unwrap().unwrap(), value);
    }
    let totals = reader::totals(&store.engine, namespace).unwrap();
    let bytes: usize = model.values().map(|(value, _)| value.len()).sum();
    assert_eq!((totals.entries, totals.bytes), (model.len() as u64, bytes as u64));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn both_kinds_are_what_a_map_is(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let begin = || {
            let store = open_quick(folder.path());
            let namespace = store.namespace("n", &packed(), false).unwrap();
            (store, namespace)
        };
        let (mut store, mut namespace) = begin();
        let mut model = Model::new();
        for (turn, step) in steps.into_iter().enumerate() {
            let name = |key: u8| format!("k{key}");
            match step {
                Step::Set { key, size, metadata } => {
                    let value = pattern(turn as u64, size);
                    let told = NewFacts { metadata: with_metadata(metadata), ..facts() };
                    done(put_packed(&store, "n", &name(key), value.clone(), told));
                    model.insert(name(key), (value, metadata));
                }
                Step::SetMany { count, size } => {
                    let value = |index: u8| pattern((turn as u64) << 8 | u64::from(index), size);
                    done(put_many(&store, (0..count).map(|index| (name(index % 6), value(index), facts()))));
                    model.extend((0..count).map(|index| (name(index % 6), (value(index), 0))));
                }
                Step::Touch { key, metadata } => {
                    let changes = FactChanges { metadata: Some(with_metadata(metadata)), ..FactChanges::default() };
                    touch(&store, &name(key), changes);
                    if let Some(entry) = model.get_mut(&name(key)) {
                        entry.1 = metadata;
                    }
                }
                Step::Delete { key } => {
                    done(delete(&store, "n", &name(key)));
                    model.remove(&name(key));
                }
                Step::Reopen | Step::Rebuild | Step::IntoParts => {
                    store.close();
                    if matches!(step, Step::IntoParts) {
                        into_parts(folder.path());
                    }
                    if matches!(step, Step::Rebuild) && !model.is_empty() {
                        rebuild(folder.path());
                    }
                    (store, namespace) = begin();
                }
            }
            compare(&store, &namespace, &model);
        }
        store.close();
        let (rows, parts) = rows(folder.path());
        let apart = rows.values().map(|row| &row.record).filter(|record| !record.embedded);
        let bytes: u64 = apart.map(|record| record.size).sum();
        prop_assert_eq!(parts.iter().sum::<usize>() as u64, bytes, "nothing is left of values that are gone or have moved");
    }
}
