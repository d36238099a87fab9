//! A file that is leased stays as it is, whatever becomes of its entry.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use quiver_io::{Disk, Faulty, Op, RangeLock};
use quiver_store::holds::Holds;
use quiver_store::path_leases::PathLease;
use quiver_store::reader::{self, Namespace};
use quiver_store::settings::{Files, NamespaceSettings};
use quiver_store::{Code, OpenOptions, Store, sweep};
use support::{delete, done, facts, named, open, pattern, put_file};

fn filed() -> NamespaceSettings {
    NamespaceSettings { files: Files::Always, ..NamespaceSettings::default() }
}

/// A store on a disk whose calls can be made to fail.
fn faulty(folder: &Path) -> (Faulty, Arc<Store>) {
    let disk = Faulty::new(Arc::new(Disk), folder).unwrap();
    let options = OpenOptions { storage: Arc::new(disk.clone()), ..OpenOptions::default() };
    let store = Store::open(folder, &options).unwrap();
    (disk, store)
}

fn leased(root: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(root.join(".quiver/leased")).into_iter().flatten();
    names.map(|name| name.unwrap().path()).collect()
}

fn lease(store: &Store, namespace: &Namespace) -> PathLease {
    store.lease(namespace, b"k", true).unwrap().unwrap()
}

fn content(store: &Store, namespace: &Namespace) -> u64 {
    reader::lookup(&store.engine, namespace, b"k", &mut Vec::new()).unwrap().unwrap().record.content
}

#[test]
fn it_outlives_the_value_and_ends_with_the_lease() {
    for size in [1_000, 5_000_000] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let namespace = store.namespace("n", &filed(), false).unwrap();
        assert!(store.lease(&namespace, b"k", false).unwrap().is_none());
        let put = |seed| done(put_file(&store, "n", "k", &pattern(seed, size), facts()));
        put(1);
        let [first, twin] = [lease(&store, &namespace), lease(&store, &namespace)];
        put(2);
        let second = lease(&store, &namespace);
        done(delete(&store, "n", "k"));
        assert!(store.lease(&namespace, b"k", false).unwrap().is_none());
        sweep::files(&store.engine).unwrap();
        for (lease, seed) in [(&first, 1), (&twin, 1), (&second, 2)] {
            assert_eq!(std::fs::read(&lease.path).unwrap(), pattern(seed, size));
            assert_eq!(lease.path.extension().unwrap(), "dat");
        }
        drop(first);
        assert!(twin.path.exists());
        drop([twin, second]);
        store.close();
        assert_eq!(leased(folder.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_name_that_a_dead_process_left_is_swept_and_one_that_somebody_holds_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &filed(), false).unwrap();
    done(put_file(&store, "n", "k", &pattern(1, 1_000), facts()));
    let ours = lease(&store, &namespace);
    let other = folder.path().join(".quiver/leased/0000000000000008-0000000000000001.dat");
    let theirs = Holds::new(RangeLock::open(&folder.path().join(".quiver/locks/holds"), 0o600).unwrap());
    theirs.hold(8).unwrap();
    for name in ["0000000000000008-0000000000000001.dat", "0000000000000007-0000000000000001.dat", "whatever"]
    {
        std::fs::write(other.with_file_name(name), "left").unwrap();
    }
    assert_eq!(sweep::files(&store.engine).unwrap().temporary, 2);
    assert!(ours.path.exists() && other.exists());
    theirs.release(8).unwrap();
    drop(ours);
    store.close();
    assert_eq!(leased(folder.path()), Vec::<PathBuf>::new(), "the last to close sees to the rest");
}

#[test]
fn where_no_link_can_be_made_it_is_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = faulty(folder.path());
    let namespace = store.namespace("n", &filed(), false).unwrap();
    let put = |seed| done(put_file(&store, "n", "k", &pattern(seed, 1_000), facts()));
    put(1);
    disk.fail_from(Op::Link, 1, libc::EPERM);
    let lease = lease(&store, &namespace);
    put(2);
    assert_eq!(std::fs::read(&lease.path).unwrap(), pattern(1, 1_000));
}

#[test]
fn a_failed_lease_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = faulty(folder.path());
    let namespace = store.namespace("n", &filed(), false).unwrap();
    done(put_file(&store, "n", "k", &pattern(1, 1_000), facts()));
    let fails = |verify| store.lease(&namespace, b"k", verify).unwrap_err().code;
    disk.fail(Op::Link, 1, libc::ENOSPC);
    let copies = disk.calls(Op::Copy);
    assert_eq!(fails(false), Code::DiskFull);
    assert_eq!(disk.calls(Op::Copy), copies, "a copy takes what is left of a full disk");
    disk.fail(Op::Link, 1, libc::EPERM);
    disk.fail(Op::Copy, 1, libc::ENOSPC);
    assert_eq!(fails(false), Code::DiskFull);
    disk.heal();
    let lease = lease(&store, &namespace);
    support::allow_writing(&lease.path);
    std::fs::write(&lease.path, pattern(3, 1_000)).unwrap();
    assert_eq!(fails(true), Code::ChecksumMismatch);
    std::fs::write(&lease.path, "short").unwrap();
    assert_eq!(fails(false), Code::Corrupt);
    assert_eq!(leased(folder.path()).len(), 1);
    drop(lease);
    assert!(!store.engine.holds.is_held(content(&store, &namespace)));
}

#[test]
fn a_readable_name_is_leased_as_it_is_also_when_another_program_has_put_its_file_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &named(), false).unwrap();
    done(put_file(&store, "n", "k", b"ours", facts()));
    let name = folder.path().join("n/k.dat");
    assert_eq!(lease(&store, &namespace).path, name);
    std::thread::sleep(Duration::from_millis(50));
    std::fs::remove_file(&name).unwrap();
    std::fs::write(&name, "theirs").unwrap();
    let settled = SystemTime::now() - Duration::from_secs(10);
    std::fs::File::options().write(true).open(&name).unwrap().set_modified(settled).unwrap();
    let lease = lease(&store, &namespace);
    assert_eq!(std::fs::read(&lease.path).unwrap(), b"theirs");
    assert_eq!(lease.path, name);
}

#[test]
fn a_readable_name_that_could_not_be_swapped_is_not_leased_in_place_of_the_value() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = faulty(folder.path());
    let namespace = store.namespace("n", &named(), false).unwrap();
    let put = |value: &[u8]| done(put_file(&store, "n", "k", value, facts()));
    put(b"old");
    disk.fail_from(Op::Link, 1, libc::ENOSPC);
    disk.fail_from(Op::Copy, 1, libc::ENOSPC);
    put(b"new");
    disk.heal();
    assert_eq!(std::fs::read(folder.path().join("n/k.dat")).unwrap(), b"old");
    let lease = lease(&store, &namespace);
    assert_eq!(std::fs::read(&lease.path).unwrap(), b"new");
    put(b"newer");
    assert_eq!(std::fs::read(&lease.path).unwrap(), b"new");
}

#[test]
fn what_is_always_there_is_always_leased() {
    for settings in [filed(), named()] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let namespace = store.namespace("n", &settings, false).unwrap();
        let put = |seed| done(put_file(&store, "n", "k", &[seed; 1_000], facts()));
        put(0);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for seed in (0..250).cycle() {
                    put(seed);
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            for _ in 0..500 {
                let lease = store.lease(&namespace, b"k", true);
                let read = lease.map(|lease| lease.map(|lease| std::fs::read(&lease.path)));
                if !matches!(&read, Ok(Some(Ok(bytes))) if bytes.windows(2).all(|pair| pair[0] == pair[1])) {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("{read:?}");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
