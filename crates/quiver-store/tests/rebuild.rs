//! A rebuild needs the cache for one process alone: beside another one it is refused, and whoever opens meanwhile
//! waits for its end. Other processes are played by locks of other owners, which the kernel treats alike.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use quiver_io::RangeLock;
use quiver_store::catalog::record::Flags;
use quiver_store::maintenance;
use quiver_store::writer::NewFacts;
use quiver_store::{Code, OpenOptions, Store};
use support::{done, facts, get, named, open, packed, put_file, put_packed};

fn filled(root: &Path) {
    let store = open(root);
    store.namespace("n", &packed(), false).unwrap();
    for i in 0..100 {
        done(put_packed(&store, "n", &format!("k{i}"), vec![i; 3_000], facts()));
    }
    store.close();
}

fn cut(root: &Path) -> Vec<u8> {
    let data = root.join(".quiver/catalog/data.mdb");
    let file = std::fs::File::options().write(true).open(&data).unwrap();
    file.set_len(file.metadata().unwrap().len() - 40_960).unwrap();
    std::fs::read(data).unwrap()
}

/// The lock that each process shares for as long as it has the cache open.
fn open_lock(root: &Path) -> RangeLock {
    RangeLock::open(&root.join(".quiver/locks/open"), 0o600).unwrap()
}

#[test]
fn beside_a_process_that_has_the_cache_open_a_damaged_catalog_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let damaged = cut(folder.path());
    let other = open_lock(folder.path());
    assert!(other.try_lock(0, 1, false).unwrap());
    let error = Store::open(folder.path(), &OpenOptions::default()).map(drop).unwrap_err();
    assert_eq!(error.code, Code::Busy, "{error}");
    assert_eq!(std::fs::read(folder.path().join(".quiver/catalog/data.mdb")).unwrap(), damaged);
    drop(other);
    let store = open(folder.path());
    assert!(store.notices.iter().any(|notice| notice.contains("rebuilt")), "{:?}", store.notices);
    let another = open_lock(folder.path());
    assert!(another.try_lock(0, 1, false).unwrap(), "shared again once it is done");
    assert!(!another.try_lock(0, 1, true).unwrap());
}

#[test]
fn who_opens_during_a_rebuild_waits_for_its_end() {
    const TAKES: Duration = Duration::from_millis(300);
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let rebuilding = open_lock(folder.path());
    assert!(rebuilding.try_lock(0, 1, true).unwrap());
    let began = Instant::now();
    let end = std::thread::spawn(move || {
        std::thread::sleep(TAKES);
        drop(rebuilding);
    });
    let store = open(folder.path());
    assert!(began.elapsed() >= TAKES);
    end.join().unwrap();
    let namespace = store.namespace("n", &packed(), false).unwrap();
    assert_eq!(get(&store, &namespace, "k7").unwrap().unwrap(), vec![7; 3_000]);
}

#[test]
fn a_catalog_that_others_have_open_is_not_compacted() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let store = open(folder.path());
    let other = open_lock(folder.path());
    assert!(other.try_lock(0, 1, false).unwrap());
    assert_eq!(maintenance::compact(&store).unwrap_err().code, Code::Busy);
    drop(other);
    maintenance::compact(&store).unwrap();
    assert!(open_lock(folder.path()).try_lock(0, 1, false).unwrap(), "others may come again");
}

#[test]
fn what_was_held_before_a_rebuild_or_a_compaction_is_no_longer_current() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path());
    let mut held = Vec::new();
    let mut check = |store: &Store| {
        let namespace = store.namespace("n", &packed(), false).unwrap();
        done(put_packed(store, "n", "k7", vec![7; 3_000], facts()));
        let found = store.lookup(&namespace, b"k7", &mut Vec::new()).unwrap().unwrap();
        assert!(found.coherent);
        assert!(held.iter().all(|before| *before < found.record.stamp), "{held:?}, {}", found.record.stamp);
        held.push(found.record.stamp);
    };
    for _ in 0..2 {
        let store = open(folder.path());
        check(&store);
        maintenance::compact(&store).unwrap();
        check(&store);
        store.close();
        cut(folder.path());
    }
    let store = open(folder.path());
    assert!(!store.notices.is_empty());
    check(&store);
}

/// Writes over every page of the catalog but its meta pages, so that no row can be read any more.
fn wipe(root: &Path) {
    let data = root.join(".quiver/catalog/data.mdb");
    let mut bytes = std::fs::read(&data).unwrap();
    bytes[2 * 4_096..].fill(0xa5);
    std::fs::write(data, bytes).unwrap();
}

#[test]
fn a_catalog_that_was_damaged_after_a_clean_end_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let read_only = OpenOptions { read_only: true, ..OpenOptions::default() };
    let reopen = || Store::open(folder.path(), &read_only).map(|store| store.close());
    filled(folder.path());
    reopen().unwrap();
    open(folder.path()).close();
    let closed = folder.path().join(".quiver/catalog/closed");
    let noted = std::fs::read(&closed).unwrap();
    let other = open(folder.path());
    assert!(!closed.exists(), "open, it changes");
    assert!(other.notices.is_empty(), "{:?}", other.notices);
    other.close();
    assert!(closed.exists() && !noted.is_empty());

    wipe(folder.path());
    assert_eq!(reopen().unwrap_err().code, Code::Corrupt);
    let store = open(folder.path());
    assert!(store.notices.iter().any(|notice| notice.contains("rebuilt")), "{:?}", store.notices);
}

fn put_named(store: &Store, key: &str, facts: NewFacts) {
    done(put_file(store, "n", key, &[7; 9_000], facts));
}

#[test]
fn what_is_known_from_the_index_alone_keeps_its_facts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let store = open(root);
    let expires = store.engine.now() + 3_600_000;
    store.namespace("n", &named(), false).unwrap();
    let tags = vec!["a".to_owned(), "b".to_owned()];
    let all = NewFacts { expires: Some(expires), pinned: true, priority: 3, tags, ..facts() };
    put_named(&store, "known", NewFacts { codec: "own".into(), ..all });
    put_named(&store, "short", NewFacts { expires: Some(store.engine.now() + 5_000), ..facts() });
    store.close();
    // Past the time stamp of the index: nobody can tell when this one would have run out.
    let store = open(root);
    let index = std::fs::read(root.join("n/index.json")).unwrap();
    put_named(&store, "unknown", NewFacts { expires: Some(expires), ..facts() });
    store.close();
    std::fs::write(root.join("n/index.json"), index).unwrap();
    let long_ago = std::time::SystemTime::now() - Duration::from_mins(1);
    for name in ["index.json", "known.dat", "short.dat"] {
        File::open(root.join("n").join(name)).unwrap().set_modified(long_ago).unwrap();
    }
    wipe(root);

    let store = open(root);
    store.engine.clock.stop_at(Some(store.engine.now() + 10_000));
    let namespace = store.namespace("n", &named(), false).unwrap();
    assert_eq!(get(&store, &namespace, "known").unwrap().unwrap(), [7; 9_000]);
    let record = store.lookup(&namespace, b"known", &mut Vec::new()).unwrap().unwrap().record;
    assert_eq!((record.expires, record.priority, record.codec.as_str()), (expires, 3, "own"));
    assert_eq!((record.flags.has(Flags::PINNED), record.tags.len()), (true, 2));
    for gone in ["short", "unknown"] {
        assert_eq!(get(&store, &namespace, gone).unwrap(), None, "{gone}");
    }
}
