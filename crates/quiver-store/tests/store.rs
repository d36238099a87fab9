//! The store through its own face: what is written is read back, by this process and the next.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quiver_io::RangeLock;
use quiver_store::catalog::Counters;
use quiver_store::open_values::ValueBytes;
use quiver_store::publisher::Threads;
use quiver_store::reader::Namespace;
use quiver_store::settings::{Durability, Files, Layout, NamespaceSettings, RootSettings};
use quiver_store::writer::{FactChanges, NewFacts, Op, Outcome};
use quiver_store::{Code, OpenOptions, Store};
use support::{
    delete, done, facts_of, gather_packed, get, named, open, put_file, put_op, put_packed, submit,
};

fn pattern(len: usize) -> Vec<u8> {
    support::pattern(len as u64, len)
}

#[test]
fn values_of_all_sizes_survive_a_reopen() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = [0, 1, 100, 2_038, 4_080, 4_081, 10_000, 16_384, 70_000, 1_000_000, 9_000_000];
    {
        let store = open(folder.path());
        let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
        for size in sizes {
            let (key, facts) = (format!("k{size}"), facts_of("bin"));
            done(if size <= 16_384 {
                put_packed(&store, "n", &key, pattern(size), facts)
            } else {
                put_file(&store, "n", &key, &pattern(size), facts)
            });
            assert_eq!(get(&store, &namespace, &format!("k{size}")).unwrap().unwrap(), pattern(size));
        }
        store.close();
    }
    let store = open(folder.path());
    let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    for size in sizes {
        assert_eq!(get(&store, &namespace, &format!("k{size}")).unwrap().unwrap(), pattern(size), "{size}");
    }
    let totals = quiver_store::reader::totals(&store.engine, &namespace).unwrap();
    assert_eq!(totals.entries, sizes.len() as u64);
    assert_eq!(totals.bytes, sizes.iter().sum::<usize>() as u64);
    assert!(quiver_store::catalog::lmdb_hooks::active(), "liblmdb was built without the hooks");
}

#[test]
fn what_is_not_synced_is_committed_by_who_asks_and_its_files_go_soon() {
    let folder = tempfile::tempdir().unwrap();
    let settings = RootSettings { durability: Durability::Process, ..RootSettings::default() };
    let store = Store::open(folder.path(), &OpenOptions { settings, ..OpenOptions::default() }).unwrap();
    let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    done(put_file(&store, "n", "k", &pattern(70_000), facts_of("bin")));
    let mut value = Vec::new();
    let old = store.lookup(&namespace, b"k", &mut value).unwrap().unwrap().record;
    let object = store.engine.root.object(old.content, &old.extension);
    assert!(object.exists());
    // Now and then the thread is at it still. Who goes on as soon as it has answered may find it so every time.
    let at_once = (0..200).any(|turn| {
        std::thread::sleep(Duration::from_millis(5));
        let answer = gather_packed(&store, "n", "k", pattern(turn));
        store.flush();
        answer.try_recv().is_ok() || answer.recv().is_err()
    });
    assert!(at_once, "the answer is never there when the flush returns");
    done(put_packed(&store, "n", "k", pattern(10), facts_of("bin")));
    assert_eq!(get(&store, &namespace, "k").unwrap().unwrap(), pattern(10));
    let gone = std::iter::repeat_with(|| std::thread::sleep(Duration::from_millis(5)))
        .take(1_000)
        .any(|()| !object.exists());
    assert!(gone, "the object that was replaced is still there");
}

#[test]
fn many_threads_that_wait_for_their_writes_commit_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for turn in 0..25 {
                    let op = put_op(store, "n", &format!("{thread}-{turn}"), &pattern(turn), facts_of("bin"));
                    store.writer().unwrap().call(op).unwrap();
                }
            });
        }
    });
    for thread in 0..4 {
        for turn in 0..25 {
            let key = format!("{thread}-{turn}");
            assert_eq!(get(&store, &namespace, &key).unwrap().unwrap(), pattern(turn));
        }
    }
}

/// Asks for one thing after the other, as a program does that awaits each of its writes, until it is told to stop.
fn keep_asking(store: &Arc<Store>, enough: &Arc<AtomicBool>) {
    if enough.load(Ordering::Relaxed) {
        return;
    }
    let again = (Arc::clone(store), Arc::clone(enough));
    store.submit(Op::Reclaim, Box::new(move |_| keep_asking(&again.0, &again.1)));
}

#[test]
fn who_waits_for_one_thing_is_not_kept_by_those_who_ask_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let enough = Arc::new(AtomicBool::new(false));
    keep_asking(&store, &enough);
    keep_asking(&store, &enough);
    let (sender, receiver) = std::sync::mpsc::channel();
    let calling = {
        let store = Arc::clone(&store);
        std::thread::spawn(move || {
            for call in 0..100 {
                store.writer().unwrap().call(Op::Reclaim).unwrap();
                sender.send(call).unwrap();
            }
        })
    };
    let calls = (0..100).map_while(|_| receiver.recv_timeout(Duration::from_secs(20)).ok()).count();
    enough.store(true, Ordering::Relaxed);
    calling.join().unwrap();
    // The last to let go of the store must not be its own thread.
    while Arc::strong_count(&store) > 1 {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(calls, 100);
}

#[test]
fn a_named_value_is_a_file_of_its_key_and_its_index_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("kernels", &named(), false).unwrap();
    done(put_file(&store, "kernels", "kernel_1.5", &pattern(500), facts_of("npy")));
    done(put_file(&store, "kernels", "kernel_1.5", &pattern(700), facts_of("npz")));
    done(put_file(&store, "kernels", "Other", &pattern(10), facts_of("npy")));
    done(put_file(&store, "kernels", "other", &pattern(11), facts_of("npy")));
    assert_eq!(get(&store, &namespace, "other").unwrap().unwrap(), pattern(11));
    assert_eq!(get(&store, &namespace, "Other").unwrap().unwrap(), pattern(10));
    let path = folder.path().join("kernels");
    assert!(!path.join("kernel_1.5.npy").exists(), "the old format's file is gone");
    assert_eq!(std::fs::read(path.join("kernel_1.5.npz")).unwrap(), pattern(700));
    store.close();
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["total_entries"], 3);
    assert_eq!(index["entries"]["kernel_1.5"]["size_bytes"], 700);
    let names: Vec<_> = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".quiver"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn clearing_empties_at_once_and_old_rows_go_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &named(), false).unwrap();
    for i in 0..50 {
        done(put_file(&store, "n", &format!("k{i}"), &pattern(100 + i), facts_of("bin")));
    }
    let Outcome::Removed(removed) =
        store.writer().unwrap().call(Op::Clear { namespace: "n".into() }).unwrap()
    else {
        panic!()
    };
    assert_eq!(removed.count, 50);
    assert!(get(&store, &namespace, "k3").unwrap().is_none());
    done(put_file(&store, "n", "k3", &pattern(5), facts_of("bin")));
    for _ in 0..5 {
        store.writer().unwrap().call(Op::Reclaim).unwrap();
    }
    assert_eq!(get(&store, &namespace, "k3").unwrap().unwrap(), pattern(5));
    assert!(folder.path().join("n/k3.bin").exists());
    assert!(!folder.path().join("n/k4.bin").exists());
    assert_eq!(store.engine.usage().entries, 1);
}

#[test]
fn a_stamp_moves_with_every_write_and_a_slot_is_not_valid_for_its_next_owner() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    let mut value = Vec::new();
    done(put_packed(&store, "n", "a", b"1".to_vec(), facts_of("bin")));
    let first = store.lookup(&namespace, b"a", &mut value).unwrap().unwrap();
    assert!(first.coherent);
    let changes = FactChanges { pinned: Some(true), ..FactChanges::default() };
    let op =
        Op::Touch { namespace: "n".into(), key: b"a".to_vec(), changes, ticket: store.engine.order.draw() };
    store.writer().unwrap().call(op).unwrap();
    let touched = store.lookup(&namespace, b"a", &mut value).unwrap().unwrap();
    assert_ne!(first.record.stamp, touched.record.stamp);
    done(delete(&store, "n", "a"));
    done(put_packed(&store, "n", "b", b"2".to_vec(), facts_of("bin")));
    let next = store.lookup(&namespace, b"b", &mut value).unwrap().unwrap();
    assert_eq!(next.record.slot, touched.record.slot, "the slot is used again");
    assert_ne!(store.engine.stamps.load(touched.record.slot), Some(touched.record.stamp));
}

#[test]
fn equal_values_are_apart_and_no_value_takes_the_name_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    let put = |key: &str| {
        done(put_file(&store, "n", key, &pattern(100_000), facts_of("bin")));
        store.lookup(&namespace, key.as_bytes(), &mut Vec::new()).unwrap().unwrap().record.content
    };
    let mut contents = vec![put("a"), put("b"), put("a")];
    done(delete(&store, "n", "a"));
    assert_eq!(get(&store, &namespace, "b").unwrap().unwrap(), pattern(100_000));
    contents.push(put("a"));
    assert!(contents.windows(2).all(|pair| pair[0] < pair[1]), "{contents:?}");
}

#[test]
fn a_value_under_way_while_its_namespace_is_cleared_is_whole_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for (name, settings) in [("named", named()), ("hashed", NamespaceSettings::default())] {
        let namespace = store.namespace(name, &settings, false).unwrap();
        done(put_file(&store, name, "k", &pattern(100), facts_of("bin")));
        let writer = store.object_writer(name, b"k", Threads::Ours).unwrap();
        writer.write(pattern(50_000)).unwrap();
        store.writer().unwrap().call(Op::Clear { namespace: name.into() }).unwrap();
        done(support::commit(&writer, name, "k", facts_of("bin")));
        for _ in 0..5 {
            store.writer().unwrap().call(Op::Reclaim).unwrap();
        }
        assert_eq!(get(&store, &namespace, "k").unwrap().unwrap(), pattern(50_000), "{name}");
    }
    assert_eq!(std::fs::read(folder.path().join("named/k.bin")).unwrap(), pattern(50_000));
}

#[test]
fn a_catalog_of_another_platform_or_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close();
    let path = folder.path().join(".quiver/format.json");
    let format: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (field, value, code) in [
        ("platform", serde_json::json!("linux-x86_64-musl"), Code::ForeignLibc),
        ("minReader", serde_json::json!(1_000), Code::FormatVersion),
        ("minWriter", serde_json::json!(1_000), Code::FormatVersion),
    ] {
        let mut other = format.clone();
        assert!(other[field].take() != value);
        other[field] = value;
        std::fs::write(&path, other.to_string()).unwrap();
        let error = Store::open(folder.path(), &OpenOptions::default()).map(drop).unwrap_err();
        assert_eq!(error.code, code, "{field}");
    }
}

/// A cache of 200 values whose catalog was cut short.
fn cut_catalog(folder: &Path) {
    let store = open(folder);
    store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    for i in 0..200 {
        done(put_packed(&store, "n", &format!("k{i:03}"), pattern(3_000), facts_of("bin")));
    }
    done(put_file(&store, "n", "large", &pattern(100_000), facts_of("bin")));
    store.close();
    let data = folder.join(".quiver/catalog/data.mdb");
    let length = std::fs::metadata(&data).unwrap().len();
    std::fs::File::options().write(true).open(&data).unwrap().set_len(length - 40_960).unwrap();
}

fn assert_rebuilt(folder: &Path) {
    let store = open(folder);
    assert!(store.notices.iter().any(|notice| notice.contains("rebuilt")), "{:?}", store.notices);
    let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    let kept = (0..200).filter(|i| {
        get(&store, &namespace, &format!("k{i:03}")).unwrap().is_some_and(|value| {
            assert_eq!(value, pattern(3_000));
            true
        })
    });
    assert!(kept.count() > 100);
    store.close();
}

#[test]
fn a_damaged_catalog_is_rebuilt_from_what_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    cut_catalog(folder.path());
    assert_rebuilt(folder.path());
    let trash = std::fs::read_dir(folder.path().join(".quiver/trash")).unwrap();
    let kept =
        trash.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("data.mdb.damaged-"));
    assert!(kept, "the damaged file is kept for whoever wants to look");
}

#[test]
fn a_rebuild_that_did_not_end_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    cut_catalog(folder.path());
    let stamps = folder.path().join(".quiver/stamps");
    std::fs::remove_file(&stamps).unwrap();
    std::fs::create_dir(&stamps).unwrap();
    Store::open(folder.path(), &OpenOptions::default()).unwrap_err();
    std::fs::remove_dir(&stamps).unwrap();
    assert_rebuilt(folder.path());
}

#[test]
fn a_flipped_bit_in_a_value_is_a_checksum_mismatch() {
    // What is verified at the first look, when it is opened and mapped, and when it is opened and copied.
    for (size, looked_at) in [(300_000, 0..100), (250_000, 0..190_000), (60_000, 0..0)] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let namespace = store.namespace("n", &named(), false).unwrap();
        done(put_file(&store, "n", "k", &pattern(size), facts_of("bin")));
        overwrite(&folder.path().join("n/k.bin"), 0xff, size as u64 * 4 / 5);
        let opened = opened(&store, &namespace);
        opened.checked.verify(looked_at.start, looked_at.end, &[]).unwrap();
        let error = opened.checked.verify(0, size as u64, &[]).unwrap_err();
        assert_eq!(error.code, quiver_store::Code::ChecksumMismatch);
    }
}

#[test]
fn a_value_of_a_few_chunks_is_verified_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &named(), false).unwrap();
    for (size, at_once) in [(60_000, true), (250_000, true), (300_000, false)] {
        done(put_file(&store, "n", "k", &pattern(size), facts_of("bin")));
        assert_eq!(opened(&store, &namespace).checked.covers(0, size as u64), at_once, "{size}");
    }
}

#[test]
fn what_nobody_was_shown_yet_is_compared_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &named(), false).unwrap();
    // The sums of the second one are in a file of their own.
    for size in [300_000, 9_000_000] {
        let whole = pattern(size);
        done(put_file(&store, "n", "k", &whole, facts_of("bin")));
        let checked = opened(&store, &namespace).checked.clone();
        let mut damaged = whole.clone();
        damaged[140_000] ^= 1;
        checked.verify_fresh(100_000, 200_000, &damaged);
        assert!(checked.covers(65_536, 131_072) && checked.covers(196_608, 200_000), "{size}");
        assert!(!checked.covers(131_072, 131_073) && !checked.covers(0, 1), "{size}");
        // The file is right, and decides.
        checked.verify(140_000, 140_001, &damaged).unwrap();
        assert!(checked.covers(131_072, 196_608), "{size}");
        checked.verify_fresh(0, 1, &whole[1..]);
        checked.verify_fresh(0, u64::MAX, &whole);
        assert!(!checked.covers(0, 1), "{size}");
        checked.verify_fresh(size as u64 - 1, u64::MAX, &whole);
        checked.verify_fresh(0, 1, &whole);
        assert!(checked.covers(0, 65_536) && checked.covers(size as u64 - 1, size as u64), "{size}");
    }
}

fn opened(store: &Store, namespace: &Namespace) -> ValueBytes {
    let found = store.lookup(namespace, b"k", &mut Vec::new()).unwrap().unwrap();
    store.open_value(namespace, b"k", &found.record).unwrap().unwrap()
}

/// Another byte in a file that is read-only.
fn overwrite(path: &Path, byte: u8, at: u64) {
    support::allow_writing(path);
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    quiver_io::write_all_at(&file, &[byte], at).unwrap();
}

#[test]
fn a_name_that_was_not_swapped_yet_is_not_taken_for_a_foreign_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &named(), false).unwrap();
    done(put_file(&store, "n", "k", &pattern(100), facts_of("bin")));
    let path = folder.path().join("n/k.bin");
    let old = folder.path().join("old");
    std::fs::hard_link(&path, &old).unwrap();
    std::thread::sleep(Duration::from_millis(2_100));
    done(put_file(&store, "n", "k", &pattern(200), facts_of("bin")));
    // As a writer leaves it that is killed between its commit and the swap; the rename keeps the old times but
    // for ctime, which the system sets: so only what `named_file` sees of an untouched link can be shown here.
    let mut value = Vec::new();
    let found = store.lookup(&namespace, b"k", &mut value).unwrap().unwrap();
    let mut older = found.record.clone();
    older.named_file.as_mut().unwrap().ino += 1;
    older.created += 60_000;
    assert_eq!(store.named_file(&namespace, &older), quiver_store::adopt::NamedFile::Same);
    older.created -= 120_000;
    // Its own object under the name is no news either, as in a copied cache; another file is.
    assert_eq!(store.named_file(&namespace, &older), quiver_store::adopt::NamedFile::Same);
    std::fs::remove_file(&old).unwrap();
    std::fs::write(&old, pattern(200)).unwrap();
    std::fs::rename(&old, &path).unwrap();
    assert_eq!(store.named_file(&namespace, &older), quiver_store::adopt::NamedFile::Changed);
    let facts = store.engine.storage.facts(&path).unwrap();
    older.created = (facts.mtime_ns.max(facts.ctime_ns) / 1_000_000) as u64;
    assert_eq!(
        store.named_file(&namespace, &older),
        quiver_store::adopt::NamedFile::Same,
        "the same millisecond"
    );
    older.created -= 1;
    assert_eq!(store.named_file(&namespace, &older), quiver_store::adopt::NamedFile::Changed);
}

#[test]
fn an_entry_whose_file_came_back_before_the_transaction_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &named(), false).unwrap();
    done(put_file(&store, "n", "k", &pattern(100), facts_of("bin")));
    let mut value = Vec::new();
    let found = store.lookup(&namespace, b"k", &mut value).unwrap().unwrap();
    store.vanished(&namespace, b"k", &found.record).unwrap();
    assert_eq!(get(&store, &namespace, "k").unwrap().unwrap(), pattern(100));
    std::fs::remove_file(folder.path().join("n/k.bin")).unwrap();
    store.vanished(&namespace, b"k", &found.record).unwrap();
    assert!(get(&store, &namespace, "k").unwrap().is_none());
}

#[test]
fn the_sweep_takes_what_nobody_names_and_leaves_what_is_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    done(put_file(&store, "n", "k", &pattern(100_000), facts_of("bin")));
    let orphans = folder.path().join(".quiver/objects/000001");
    std::fs::create_dir(&orphans).unwrap();
    std::fs::write(orphans.join("0000010000000001.bin"), b"orphan").unwrap();
    let busy = orphans.join("0000010000000002.bin");
    std::fs::write(&busy, b"being committed").unwrap();
    let lock = std::fs::File::open(&busy).unwrap();
    lock.try_lock().unwrap();
    std::fs::write(folder.path().join(".quiver/tmp/unfinished"), b"x").unwrap();
    let swept = quiver_store::sweep::files(&store.engine).unwrap();
    assert_eq!((swept.orphans, swept.temporary), (1, 1));
    assert!(busy.exists());
    drop(lock);
    assert_eq!(quiver_store::sweep::files(&store.engine).unwrap().orphans, 1);
    let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    assert_eq!(get(&store, &namespace, "k").unwrap().unwrap(), pattern(100_000));
}

#[test]
fn a_deleted_entry_leaves_no_file_behind_whatever_its_layout() {
    for layout in [Layout::Named, Layout::Hashed] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let settings = NamespaceSettings { layout, files: Files::Always, versions: 2, ..Default::default() };
        store.namespace("n", &settings, false).unwrap();
        let metadata = || NewFacts { metadata: Some("{\"by\":\"me\"}".into()), ..facts_of("dat") };
        // Kept versions, sums in the record and in a file, metadata.
        for len in [10, 100_000, 5_000_000, 6_000_000, 1_000] {
            done(put_file(&store, "n", "k", &pattern(len), metadata()));
        }
        assert_eq!(files_under(&folder.path().join("n/.versions")).len(), 2, "{layout:?}");
        done(delete(&store, "n", "k"));
        store.close();
        for place in ["n", ".quiver/objects", ".quiver/sums", ".quiver/tmp"] {
            assert_eq!(files_under(&folder.path().join(place)), Vec::<PathBuf>::new(), "{layout:?} {place}");
        }
    }
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] })
        .collect()
}

#[test]
fn the_sweep_takes_empty_folders_but_not_one_just_made_for_a_file_to_come() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for parent in ["objects", "sums"] {
        let [old, fresh] =
            ["000001", "000002"].map(|name| folder.path().join(".quiver").join(parent).join(name));
        std::fs::create_dir_all(&old).unwrap();
        std::fs::create_dir_all(&fresh).unwrap();
        let yesterday = std::time::SystemTime::now() - Duration::from_hours(24);
        std::fs::File::open(&old).unwrap().set_modified(yesterday).unwrap();
        quiver_store::sweep::files(&store.engine).unwrap();
        assert!(!old.exists() && fresh.exists(), "{parent}");
    }
}

fn one_hit() -> Counters {
    Counters { hits: 1, ..Counters::default() }
}

#[test]
fn counts_of_caches_that_are_closed_at_once_are_all_kept() {
    const TIMES: u64 = 60;
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..TIMES {
        let store = open(folder.path());
        store.namespace("n", &NamespaceSettings::default(), false).unwrap();
        store.engine.count("n", one_hit());
        store.close();
    }
    assert_eq!(open(folder.path()).counters("n").unwrap().hits, TIMES);
}

#[test]
fn counts_that_are_written_are_pending_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    store.engine.count("n", one_hit().plus(one_hit()));
    done(submit(&store, Op::Count(vec![("n".into(), one_hit())])));
    assert_eq!((store.counters("n").unwrap().hits, store.engine.pending_counts("n").hits), (2, 1));
}

/// Leaves a namespace in the catalog that no transaction survives.
fn damage_namespace(store: &Store, name: &str) {
    let catalog = store.engine.catalog().unwrap();
    let mut txn = catalog.env.write().unwrap();
    txn.put(catalog.db.namespaces, name.as_bytes(), b"{").unwrap();
    txn.commit().unwrap();
}

#[test]
fn of_writes_that_come_together_each_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let limited = NamespaceSettings { max_size: Some(6_000), ..NamespaceSettings::default() };
    let namespace = store.namespace("n", &limited, false).unwrap();
    damage_namespace(&store, "damaged");
    // What is wrong with the third one spoils the transaction for all.
    for (round, third) in ["absent", "damaged"].into_iter().enumerate() {
        let value = vec![round as u8; 10];
        let put = |namespace: &str, key: &str, value: &[u8]| {
            let Op::Put(put) = put_op(&store, namespace, key, value, facts_of("bin")) else { unreachable!() };
            *put
        };
        let puts = vec![
            put("n", "a", &value),
            put("n", "b", &[0; 16_000]),
            put(third, "c", &value),
            put("n", "d", &value),
        ];
        let Outcome::Many(outcomes) = done(submit(&store, Op::PutMany(puts))) else { panic!("no list") };
        let codes: Vec<_> =
            outcomes.iter().map(|outcome| outcome.as_ref().err().map(|error| error.code)).collect();
        let of_third = if third == "absent" { Code::BadNamespace } else { Code::Corrupt };
        assert_eq!(codes, [None, Some(Code::TooLarge), Some(of_third), None]);
        assert_eq!(outcomes[1].as_ref().err().unwrap().key.as_deref(), Some("b"));
        for (key, found) in [("a", true), ("b", false), ("d", true)] {
            assert_eq!(get(&store, &namespace, key).unwrap(), found.then(|| value.clone()), "{third} {key}");
        }
    }
}

#[test]
fn what_follows_into_a_transaction_that_has_begun_fails_alone_and_undoes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    damage_namespace(&store, "damaged");
    for turn in 0..50 {
        // The thread begins with the first two while the others come.
        let keys = ["a", "b", "c", "d", "e"];
        let answers = keys.map(|key| {
            let at = if key == "d" { "damaged" } else { "n" };
            let answer = gather_packed(&store, at, key, pattern(10_000 + turn));
            std::thread::sleep(Duration::from_micros(100));
            answer
        });
        store.flush();
        for (key, answer) in keys.into_iter().zip(answers) {
            let code = answer.recv().unwrap().err().map(|error| error.code);
            assert_eq!(code, (key == "d").then_some(Code::Corrupt), "{key}, turn {turn}");
            let value = get(&store, &namespace, key).unwrap();
            assert_eq!(value, (key != "d").then(|| pattern(10_000 + turn)), "{key}, turn {turn}");
        }
    }
}

/// Keeps every writer of the cache waiting.
fn stop_writers(store: &Store) -> RangeLock {
    let lock = RangeLock::open(&store.engine.root.locks().join("write"), 0o600).unwrap();
    assert!(lock.lock_timeout(0, 1, true, Duration::from_secs(20)).unwrap());
    lock
}

fn wait_for_queued(store: &Store, requests: usize) {
    let wanted = format!("Writer {{ queued: {requests} }}");
    for _ in 0..10_000 {
        if format!("{:?}", store.writer().unwrap()) == wanted {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("there are never {requests} requests in the queue");
}

#[test]
fn a_value_in_a_file_that_is_committed_again_by_itself_has_not_overtaken_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    damage_namespace(&store, "damaged");
    let lock = stop_writers(&store);
    // The thread has this one and waits, so that the others come together.
    let first = put_packed(&store, "n", "first", pattern(10), facts_of("bin"));
    wait_for_queued(&store, 0);
    let large = put_file(&store, "n", "large", &pattern(70_000), facts_of("bin"));
    wait_for_queued(&store, 1);
    let spoiling = gather_packed(&store, "damaged", "k", pattern(10));
    wait_for_queued(&store, 2);
    drop(lock);
    done(first);
    assert!(matches!(done(large), Outcome::Written(_)));
    assert_eq!(spoiling.recv().unwrap().unwrap_err().code, Code::Corrupt);
    assert_eq!(get(&store, &namespace, "large").unwrap(), Some(pattern(70_000)));
}

#[test]
fn what_is_committed_beside_compaction_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    let enough = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut count = 0;
            while !enough.load(Ordering::Relaxed) {
                // Heavy enough that the thread begins before the last has come.
                let answers: Vec<_> = (count..count + 6)
                    .map(|at| {
                        std::thread::sleep(Duration::from_micros(200));
                        gather_packed(&store, "n", &format!("k{at}"), pattern(9_000 + at))
                    })
                    .collect();
                store.flush();
                for answer in answers {
                    done(answer);
                }
                count += 6;
            }
            count
        });
        for _ in 0..30 {
            quiver_store::maintenance::compact(&store).unwrap();
        }
        enough.store(true, Ordering::Relaxed);
        writing.join().unwrap()
    });
    assert!(written > 0);
    for at in 0..written {
        let value = get(&store, &namespace, &format!("k{at}")).unwrap();
        assert_eq!(value, Some(pattern(9_000 + at)), "value {at} of {written}");
    }
}

#[test]
fn a_name_that_a_later_request_took_away_does_not_come_back_where_each_is_committed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &named(), false).unwrap();
    damage_namespace(&store, "damaged");
    let lock = stop_writers(&store);
    let first = put_packed(&store, "damaged", "first", pattern(10), facts_of("bin"));
    wait_for_queued(&store, 0);
    let large = put_file(&store, "n", "large", &pattern(70_000), facts_of("bin"));
    wait_for_queued(&store, 1);
    let gone = delete(&store, "n", "large");
    wait_for_queued(&store, 2);
    let spoiling = gather_packed(&store, "damaged", "k", pattern(10));
    wait_for_queued(&store, 3);
    drop(lock);
    assert!(first.recv().unwrap().is_err() && spoiling.recv().unwrap().is_err());
    done(large);
    done(gone);
    assert_eq!(get(&store, &namespace, "large").unwrap(), None);
    assert!(!folder.path().join("n/large.bin").exists());
}
