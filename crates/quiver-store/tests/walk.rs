//! The walker over whole, damaged and arbitrary files: it may report anything but never panics, and it finds every
//! row of a whole one.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use proptest::prelude::*;
use quiver_store::catalog::lmdb::EnvOptions;
use quiver_store::catalog::{Catalog, Totals, precheck, values, walk};

const OPTIONS: EnvOptions = EnvOptions {
    map_size: 1 << 26,
    max_databases: 16,
    max_readers: 16,
    no_sync: true,
    read_only: false,
    no_lock: false,
    mode: 0o600,
};

type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// A catalog with nodes of every kind: small ones, values of one page and of several parts, branches.
fn whole() -> &'static (Vec<u8>, Rows) {
    static WHOLE: OnceLock<(Vec<u8>, Rows)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = Rows::new();
        {
            let catalog = Catalog::open(folder.path(), &OPTIONS).unwrap();
            for round in 0..3_u32 {
                let mut txn = catalog.env.write().unwrap();
                for i in 0..400_u32 {
                    let key = format!("key {:05}", i * 3 + round).into_bytes();
                    let value = vec![(i % 251) as u8; (i as usize * 37) % 2_500];
                    txn.put(catalog.db.entries, &key, &value).unwrap();
                    rows.insert(("entries".into(), key), value);
                }
                let value = vec![round as u8; 9_000];
                for (id, size) in [(0, values::PART), (10, values::LARGEST)] {
                    values::put(&mut txn, &catalog.db, id + u64::from(round), &value, size).unwrap();
                }
                for id in 0..100 {
                    catalog.totals.put(&mut txn, id, Totals::default()).unwrap();
                }
                txn.commit().unwrap();
            }
        }
        (std::fs::read(folder.path().join("data.mdb")).unwrap(), rows)
    })
}

fn walk_bytes(bytes: &[u8]) -> (quiver_store::Result<walk::Report>, Rows) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.mdb");
    std::fs::write(&path, bytes).unwrap();
    let _ = precheck::check(&path);
    walk_file(&path)
}

fn walk_file(path: &Path) -> (quiver_store::Result<walk::Report>, Rows) {
    let mut rows = Rows::new();
    let report = walk::walk(path, &mut |database, key, value| {
        rows.insert((database.to_owned(), key.to_vec()), value.to_vec());
    });
    (report, rows)
}

#[test]
fn every_row_of_a_whole_file_is_found() {
    let (bytes, expected) = whole();
    let (report, mut rows) = walk_bytes(bytes);
    let report = report.unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    rows.retain(|(database, _), _| database == "entries");
    assert_eq!(rows, *expected);
}

#[test]
fn a_page_that_is_overwritten_is_reported() {
    let (bytes, _) = whole();
    let mut noticed = 0;
    let pages = bytes.len() / 4_096;
    for page in 2..pages {
        let mut damaged = bytes.clone();
        damaged[page * 4_096..page * 4_096 + 64].fill(0xa5);
        noticed += usize::from(!walk_bytes(&damaged).0.is_ok_and(|report| report.is_sound()));
    }
    // Free pages may hold anything; the header of every other page is looked at.
    assert!(noticed * 2 > pages, "{noticed} of {pages}");
}

#[test]
fn a_row_that_claims_to_be_of_another_kind_is_reported() {
    let (bytes, _) = whole();
    let key = b"key 00500";
    let at = bytes.windows(key.len()).position(|found| found == key).unwrap();
    for flags in [2, 4, 6] {
        let mut damaged = bytes.clone();
        // Before the key lie its size and the flags.
        damaged[at - 4] = flags;
        assert!(!walk_bytes(&damaged).0.unwrap().is_sound(), "{flags}");
    }
}

#[test]
fn rows_of_a_database_whose_name_is_damaged_are_found() {
    let (bytes, expected) = whole();
    let mut damaged = bytes.clone();
    // Flags of a database, bytes of the key, the key: in all pages that have been the main database's.
    let name = [&[2, 0, 7, 0], &b"entries"[..]].concat();
    for at in 0..damaged.len() - name.len() {
        if damaged[at..].starts_with(&name) {
            damaged[at] = 6;
        }
    }
    let (report, mut rows) = walk_bytes(&damaged);
    assert!(!report.unwrap().is_sound());
    rows.retain(|(database, _), _| database == "entries");
    assert_eq!(rows, *expected);
}

#[test]
fn a_transaction_that_none_can_follow_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.mdb");
    for meta in [0, 4_096] {
        let mut bytes = whole().0.clone();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(precheck::check(&path).unwrap(), precheck::Verdict::Sound);
        bytes[meta + 144..meta + 152].fill(0xff);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(precheck::check(&path).unwrap_err().code, quiver_store::Code::Corrupt);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_never_panics(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
                           cut in proptest::option::of(any::<prop::sample::Index>())) {
        let mut bytes = whole().0.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = walk_bytes(&bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20_000)) {
        let _ = walk_bytes(&bytes);
    }
}
