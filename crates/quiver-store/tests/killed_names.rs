//! What a process leaves that is killed after a commit and before the name of the value before is gone.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quiver_io::RangeLock;
use quiver_store::settings::NamespaceSettings;
use quiver_store::{OpenOptions, Store, adopt, sweep};

fn put(store: &Store, extension: &str, value: &[u8]) {
    support::done(support::put_file(store, "n", "k", value, support::facts_of(extension)));
}

fn only_object(root: &Path) -> PathBuf {
    let folder = std::fs::read_dir(root.join(".quiver/objects")).unwrap().next().unwrap().unwrap().path();
    std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

/// Stores a value, makes `change`, and puts back the names that the change had removed last. What the next opener
/// finds under the key, as the length of its value.
fn after_a_kill(change: impl FnOnce(&Store)) -> Option<u64> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cache");
    let kept = folder.path().join("kept");
    let settings = NamespaceSettings { index: false, ..support::named() };

    let store = support::open(&root);
    store.namespace("n", &settings, false).unwrap();
    put(&store, "npy", b"old");
    let object = only_object(&root);
    std::fs::hard_link(&object, &kept).unwrap();
    change(&store);
    store.close();
    drop(store);
    std::fs::create_dir_all(object.parent().unwrap()).unwrap();
    std::fs::hard_link(&kept, &object).unwrap();
    std::fs::hard_link(&kept, root.join("n/k.npy")).unwrap();
    std::fs::write(root.join(".quiver/locks/p-1-1-1"), quiver_io::boot_id()).unwrap();

    let store = support::open(&root);
    let clock = &store.engine.clock;
    clock.stop_at(Some(clock.now() + 10_000));
    let namespace = store.namespace("n", &settings, false).unwrap();
    adopt::all(&store, &namespace).unwrap();
    assert!(!root.join("n/k.npy").exists());
    store.lookup(&namespace, b"k", &mut Vec::new()).unwrap().map(|found| found.record.size)
}

#[test]
fn a_deleted_value_does_not_come_back() {
    let found = after_a_kill(|store| drop(support::delete(store, "n", "k").recv().unwrap().unwrap()));
    assert_eq!(found, None);
}

#[test]
fn a_value_replaced_in_another_format_does_not_come_back() {
    assert_eq!(after_a_kill(|store| put(store, "npz", b"newer")), Some(5));
}

/// Replaces a value as a writer leaves it that is killed before it swaps the name, whose file has changed after the new
/// one and, unless the clock is `ahead`, after the new record was made.
fn replaced_without_the_name(root: &Path, store: &Store, ahead: Duration) {
    let (name, kept) = (root.join("n/k.npy"), root.join("kept"));
    put(store, "npy", b"old");
    std::fs::hard_link(&name, &kept).unwrap();
    // Of two writes of a key that are under way together the first may have its bytes on the disk last.
    let finished = std::time::SystemTime::now() + Duration::from_secs(5);
    let clock = &store.engine.clock;
    clock.stop_at(Some(clock.now() + ahead.as_millis() as u64));
    put(store, "npy", b"newer");
    support::allow_writing(&kept);
    std::fs::File::options().write(true).open(&kept).unwrap().set_modified(finished).unwrap();
    let object = only_object(root);
    std::fs::hard_link(&kept, object.with_file_name("0000000000000001.npy")).unwrap();
    std::fs::rename(&kept, &name).unwrap();
}

fn assert_newer(root: &Path, store: &Store) {
    let namespace = store.namespace("n", &support::named(), false).unwrap();
    assert_eq!(std::fs::read(root.join("n/k.npy")).unwrap(), b"newer");
    let found = store.lookup(&namespace, b"k", &mut Vec::new()).unwrap().unwrap();
    assert_eq!(found.record.size, 5);
    assert_eq!(store.named_file(&namespace, &found.record), adopt::NamedFile::Same);
}

#[test]
fn a_value_written_out_sooner_than_the_one_it_replaces_is_kept() {
    for ahead in [Duration::from_secs(10), Duration::ZERO] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("cache");
        let store = support::open(&root);
        store.namespace("n", &support::named(), false).unwrap();
        replaced_without_the_name(&root, &store, ahead);
        store.close();
        drop(store);
        std::fs::write(root.join(".quiver/locks/p-1-1-1"), quiver_io::boot_id()).unwrap();
        assert_newer(&root, &support::open(&root));
    }
}

#[test]
fn a_sweep_puts_names_right_before_it_removes_what_they_show() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cache");
    let store = support::open(&root);
    store.namespace("n", &support::named(), false).unwrap();
    replaced_without_the_name(&root, &store, Duration::ZERO);
    assert_eq!(sweep::files(&store.engine).unwrap().orphans, 1);
    assert_newer(&root, &store);
}

#[test]
fn mending_leaves_a_link_alone_that_a_live_writer_is_about_to_rename() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    store.namespace("n", &support::named(), false).unwrap();
    let writers = RangeLock::open(&folder.path().join(".quiver/locks/write"), 0o600).unwrap();
    assert!(writers.lock_timeout(0, 1, true, Duration::from_secs(10)).unwrap());
    let half_made = folder.path().join("n/.quiver-0123456789abcdef");
    std::fs::write(&half_made, b"value").unwrap();
    let engine = Arc::clone(&store.engine);
    let mending = std::thread::spawn(move || sweep::names(&engine).unwrap());
    std::thread::sleep(Duration::from_millis(100));
    assert!(half_made.exists());
    drop(writers);
    assert_eq!(mending.join().unwrap(), 1);
    assert!(!half_made.exists());
}
