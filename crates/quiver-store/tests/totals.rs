//! Sums over the entries of namespaces, rows of LMDB's main database.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::{Path, PathBuf};

use quiver_store::catalog::lmdb::{Env, EnvOptions, Read};
use quiver_store::catalog::{Totals, walk};
use quiver_store::{Store, maintenance, reader};
use support::{delete, done, facts, open, packed, pattern, put_packed};

/// How a catalog is opened by who is alone with it.
const OPTIONS: EnvOptions = EnvOptions {
    map_size: 1 << 30,
    max_databases: 16,
    max_readers: 16,
    no_sync: true,
    read_only: false,
    no_lock: true,
    mode: 0o600,
};

const SPACES: usize = 120;

fn data(root: &Path) -> PathBuf {
    root.join(".quiver/catalog/data.mdb")
}

fn name(space: usize) -> String {
    format!("space{space:03}")
}

/// So many that LMDB's main database takes several pages: the first has two entries, the second none, all others one.
fn fill(root: &Path) {
    let store = open(root);
    for space in 0..SPACES {
        store.namespace(&name(space), &packed(), false).unwrap();
        if space != 1 {
            done(put_packed(&store, &name(space), "a", pattern(1, 100), facts()));
        }
    }
    done(put_packed(&store, &name(0), "b", pattern(2, 5_000), facts()));
    store.close();
}

fn assert_filled(store: &Store) {
    let totals = |space| {
        let namespace = store.namespace(&name(space), &packed(), false).unwrap();
        reader::totals(&store.engine, &namespace).unwrap()
    };
    let one = Totals { entries: 1, bytes: 100, allocated: 375 };
    let two = Totals { entries: 2, bytes: 5_100, allocated: 375 + 2 * 4_096 + 256 };
    assert_eq!([totals(0), totals(1), totals(2), totals(SPACES - 1)], [two, Totals::default(), one, one]);
    assert_eq!(store.engine.usage().entries, SPACES as u64);
}

/// Adds and removes entries, and sees them counted.
fn assert_counts(store: &Store) {
    let usage = |entries: usize| assert_eq!(store.engine.usage().entries, entries as u64);
    done(put_packed(store, &name(1), "a", pattern(1, 100), facts()));
    done(put_packed(store, &name(2), "b", pattern(1, 100), facts()));
    usage(SPACES + 2);
    done(delete(store, &name(1), "a"));
    done(delete(store, &name(2), "b"));
    usage(SPACES);
}

/// Keys of rows in the main database and in the old one.
fn places(root: &Path) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut main, mut old) = (Vec::new(), Vec::new());
    let report = walk::walk(&data(root), &mut |database, key, _| match database {
        walk::MAIN => main.push(key.to_vec()),
        "totals" => old.push(key.to_vec()),
        _ => {}
    })
    .unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    (main, old)
}

/// Brings the sums of a cache that nobody has open into a database of their own, where the first caches had them.
fn as_before(root: &Path) {
    {
        let env = Env::open(&root.join(".quiver/catalog"), &OPTIONS).unwrap();
        let mut txn = env.write().unwrap();
        let (main, old) = (txn.main().unwrap(), txn.create(c"totals").unwrap());
        let mut rows = Vec::new();
        let mut cursor = txn.cursor(main).unwrap();
        while let Some((key, value)) = cursor.next().unwrap() {
            if let [0, id @ ..] = key {
                rows.push((id.to_vec(), value.to_vec()));
            }
        }
        drop(cursor);
        for (id, value) in rows {
            txn.put(old, &id, &value).unwrap();
            txn.delete(main, &[&[0], &id[..]].concat()).unwrap();
        }
        txn.commit().unwrap();
    }
    let (main, old) = places(root);
    assert_eq!((main.len(), old.len()), (0, SPACES - 1));
}

fn assert_moved(root: &Path, rows: usize) {
    let (main, old) = places(root);
    assert_eq!((main.len(), old.len()), (rows, 0));
    assert!(main.iter().all(|key| key.len() == 5));
    let env = Env::open(&root.join(".quiver/catalog"), &OPTIONS).unwrap();
    assert_eq!(env.read().unwrap().open(c"totals").unwrap(), None);
}

#[test]
fn sums_in_a_database_of_their_own_are_moved() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    assert_moved(folder.path(), SPACES - 1);
    as_before(folder.path());
    for _ in 0..2 {
        let store = open(folder.path());
        assert_filled(&store);
        assert_counts(&store);
        store.close();
        assert_moved(folder.path(), SPACES);
    }
}

#[test]
fn copies_have_them() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let store = open(folder.path());
    let copy = folder.path().with_extension("copy");
    maintenance::backup(&store, &copy).unwrap();
    maintenance::compact(&store).unwrap();
    assert_filled(&store);
    assert_counts(&store);
    store.close();
    let store = open(&copy);
    assert_filled(&store);
    store.close();
    std::fs::remove_dir_all(copy).unwrap();
}

#[test]
fn pages_of_the_main_database_are_in_use() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let store = open(folder.path());
    maintenance::compact(&store).unwrap();
    let used = maintenance::disk_usage(&store).unwrap().catalog_used;
    store.close();
    // A compacted file has no free pages. The commit that follows copies a few.
    let pages = std::fs::metadata(data(folder.path())).unwrap().len() / 4_096;
    assert!((pages - 6..=pages).contains(&(used / 4_096)), "{used} of {pages} pages");
}

/// Changes each row of a number in the main database, in all pages that have one.
fn damage(root: &Path, change: impl Fn(&mut [u8])) {
    let mut bytes = std::fs::read(data(root)).unwrap();
    let node = [24, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 3];
    let found = |at: &usize| bytes[*at..].starts_with(&node);
    let places: Vec<usize> = (0..bytes.len()).filter(found).collect();
    assert!(!places.is_empty());
    for at in places {
        change(&mut bytes[at..at + node.len() + 24]);
    }
    std::fs::write(data(root), bytes).unwrap();
}

#[test]
fn a_row_that_is_damaged_is_counted_anew() {
    let changes = [
        ("a large value", 4, 1),
        ("a database", 4, 2),
        ("duplicates", 4, 4),
        ("a name", 8, b'a'),
        ("another number", 12, 9),
    ];
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    for (what, at, byte) in changes {
        damage(folder.path(), |node| node[at] = byte);
        let store = open(folder.path());
        assert!(store.notices.iter().any(|notice| notice.contains("rebuilt")), "{what}: {:?}", store.notices);
        assert_filled(&store);
        store.close();
    }
}

#[test]
fn numbers_that_are_too_large_end_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    damage(folder.path(), |node| node[13..].fill(0xff));
    let store = open(folder.path());
    assert_eq!(store.engine.usage().entries, u64::MAX);
    store.close();
}
