//! A rebuild needs the cache for one process alone: beside another one it is refused, and whoever opens meanwhile
//! waits for its end. Other processes are played by locks of other owners, which the kernel treats alike.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use quiver_io::RangeLock;
use quiver_store::maintenance;
use quiver_store::{Code, OpenOptions, Store};
use support::{done, facts, get, open, packed, put_packed};

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
    assert!(!open_lock(folder.path()).try_lock(0, 1, true).unwrap(), "shared again once it is done");
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
