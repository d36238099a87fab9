//! Files of other programs in a named namespace, and files of ours that must not be taken for such.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::Path;
use std::sync::Arc;

use quiver_store::reader::Namespace;
use quiver_store::writer::Op;
use quiver_store::{Code, Store, adopt};

fn open(path: &Path) -> (Arc<Store>, Arc<Namespace>) {
    let store = support::open(path);
    let namespace = store.namespace("n", &support::named(), false).unwrap();
    (store, namespace)
}

/// Lets every file count as finished.
fn later(store: &Store) {
    let clock = &store.engine.clock;
    clock.stop_at(Some(clock.now() + 10_000));
}

/// As another program does it, past the time stamp that the file system gave to the file before.
fn replace(path: &Path, value: &[u8]) {
    std::thread::sleep(std::time::Duration::from_millis(20));
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, value).unwrap();
    std::fs::rename(temporary, path).unwrap();
}

fn put(store: &Store, key: &str, value: &[u8]) {
    support::done(support::put_file(store, "n", key, value, support::facts_of("npy")));
}

fn size(store: &Store, namespace: &Namespace, key: &str) -> Option<u64> {
    store.lookup(namespace, key.as_bytes(), &mut Vec::new()).unwrap().map(|found| found.record.size)
}

#[test]
fn what_was_cleared_does_not_come_back_while_its_files_wait_for_deletion() {
    let folder = tempfile::tempdir().unwrap();
    let (store, namespace) = open(folder.path());
    put(&store, "cleared", b"1234");
    store.writer().unwrap().call(Op::Clear { namespace: "n".into() }).unwrap();
    later(&store);
    assert!(folder.path().join("n/cleared.npy").exists(), "deleted with the clear: this test shows nothing");
    assert!(!store.adopt(&namespace, b"cleared").unwrap());
    assert_eq!(adopt::all(&store, &namespace).unwrap(), 0);
    assert_eq!(size(&store, &namespace, "cleared"), None);
    store.close();
    let index = std::fs::read_to_string(folder.path().join("n/index.json")).unwrap();
    assert!(!index.contains("cleared"), "{index}");
}

#[test]
fn a_file_that_came_while_another_was_cleared_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let (store, namespace) = open(folder.path());
    put(&store, "k", b"1234");
    store.writer().unwrap().call(Op::Clear { namespace: "n".into() }).unwrap();
    replace(&folder.path().join("n/k.npy"), b"123456");
    later(&store);
    assert!(store.adopt(&namespace, b"k").unwrap());
    assert_eq!(size(&store, &namespace, "k"), Some(6));
}

#[test]
fn one_damaged_file_keeps_no_other_from_being_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n");
    std::fs::create_dir(&path).unwrap();
    for name in ["a", "damaged", "z"] {
        std::fs::write(path.join(format!("{name}.npy")), name).unwrap();
    }
    let sum = "0".repeat(64);
    std::fs::write(
        path.join("index.json"),
        format!(r#"{{"entries":{{"damaged":{{"checksum":"sha256:{sum}"}}}}}}"#),
    )
    .unwrap();
    let (store, namespace) = open(folder.path());
    later(&store);
    assert_eq!(adopt::all(&store, &namespace).unwrap(), 2);
    let refused = store.adopt(&namespace, b"damaged").unwrap_err();
    assert_eq!((refused.code, refused.path), (Code::ChecksumMismatch, Some(path.join("damaged.npy"))));
    assert_eq!(size(&store, &namespace, "damaged"), None);
    assert_eq!((size(&store, &namespace, "a"), size(&store, &namespace, "z")), (Some(1), Some(1)));
}

#[test]
fn a_changed_file_under_a_name_with_a_suffix_is_taken_over_too() {
    let folder = tempfile::tempdir().unwrap();
    let (store, namespace) = open(folder.path());
    put(&store, "a/b", b"1234");
    let name = store.lookup(&namespace, b"a/b", &mut Vec::new()).unwrap().unwrap().record.name.unwrap();
    replace(&folder.path().join("n").join(name), b"123456");
    later(&store);
    assert!(store.adopt(&namespace, b"a/b").unwrap());
    assert_eq!(size(&store, &namespace, "a/b"), Some(6));
}
