//! A file that is leased stays as it is, whatever becomes of its entry.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quiver_io::{Disk, Faulty, Op};
use quiver_store::path_leases::PathLease;
use quiver_store::reader::Namespace;
use quiver_store::settings::{Files, NamespaceSettings};
use quiver_store::{Code, OpenOptions, Store, sweep};
use support::{delete, done, facts, named, open, pattern, put_file};

fn filed() -> NamespaceSettings {
    NamespaceSettings { files: Files::Always, ..NamespaceSettings::default() }
}

fn leased(root: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(root.join(".quiver/leased")).into_iter().flatten();
    names.map(|name| name.unwrap().path()).collect()
}

fn lease(store: &Store, namespace: &Namespace) -> PathLease {
    store.lease(namespace, b"k", true).unwrap().unwrap()
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
        store.release_lease(first.id).unwrap();
        store.release_lease(first.id).unwrap();
        // Large files are removed by a thread.
        assert!(twin.path.exists() && (size > 1_000 || !first.path.exists()));
        store.close();
        assert_eq!(leased(folder.path()), Vec::<PathBuf>::new());
        store.release_lease(twin.id).unwrap();
    }
}

#[test]
fn a_name_that_a_dead_process_left_is_swept_and_one_that_is_held_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &filed(), false).unwrap();
    done(put_file(&store, "n", "k", &pattern(1, 1_000), facts()));
    let lease = lease(&store, &namespace);
    for name in ["0000000000000007-0000000000000001.dat", "whatever", "x-y"] {
        std::fs::write(folder.path().join(".quiver/leased").join(name), "left").unwrap();
    }
    assert_eq!(sweep::files(&store.engine).unwrap().temporary, 3);
    assert_eq!(leased(folder.path()), [lease.path]);
}

#[test]
fn where_files_have_one_name_only_it_is_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Faulty::new(Arc::new(Disk), folder.path()).unwrap();
    let options = OpenOptions { storage: Arc::new(disk.clone()), ..OpenOptions::default() };
    let store = Store::open(folder.path(), &options).unwrap();
    let namespace = store.namespace("n", &filed(), false).unwrap();
    let put = |seed| done(put_file(&store, "n", "k", &pattern(seed, 1_000), facts()));
    put(1);
    disk.fail_from(Op::Link, 1, libc::EPERM);
    let lease = lease(&store, &namespace);
    put(2);
    assert_eq!(std::fs::read(lease.path).unwrap(), pattern(1, 1_000));
}

#[test]
fn a_failed_lease_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Faulty::new(Arc::new(Disk), folder.path()).unwrap();
    let options = OpenOptions { storage: Arc::new(disk.clone()), ..OpenOptions::default() };
    let store = Store::open(folder.path(), &options).unwrap();
    let namespace = store.namespace("n", &filed(), false).unwrap();
    done(put_file(&store, "n", "k", &pattern(1, 1_000), facts()));
    disk.fail_from(Op::Link, 1, libc::EPERM);
    disk.fail(Op::Copy, 1, libc::ENOSPC);
    assert_eq!(store.lease(&namespace, b"k", false).unwrap_err().code, Code::DiskFull);
    disk.heal();
    let lease = lease(&store, &namespace);
    support::allow_writing(&lease.path);
    std::fs::write(&lease.path, pattern(3, 1_000)).unwrap();
    assert_eq!(store.lease(&namespace, b"k", true).unwrap_err().code, Code::ChecksumMismatch);
    std::fs::write(&lease.path, "short").unwrap();
    assert_eq!(store.lease(&namespace, b"k", false).unwrap_err().code, Code::Corrupt);
    assert_eq!(leased(folder.path()), [lease.path]);
    store.release_lease(lease.id).unwrap();
    let found = quiver_store::reader::lookup(&store.engine, &namespace, b"k", &mut Vec::new()).unwrap();
    assert!(!store.engine.holds.is_held(found.unwrap().record.content));
}

#[test]
fn where_values_have_readable_names_it_is_the_one_of_now_also_if_another_program_put_it_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = store.namespace("n", &named(), false).unwrap();
    done(put_file(&store, "n", "k", b"ours", facts()));
    let name = folder.path().join("n/k.dat");
    assert_eq!(lease(&store, &namespace).path, name);
    std::thread::sleep(std::time::Duration::from_millis(50));
    std::fs::remove_file(&name).unwrap();
    std::fs::write(&name, "theirs").unwrap();
    let settled = std::time::SystemTime::now() - std::time::Duration::from_secs(10);
    std::fs::File::options().write(true).open(&name).unwrap().set_modified(settled).unwrap();
    assert_eq!(std::fs::read(lease(&store, &namespace).path).unwrap(), b"theirs");
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
                for seed in 1.. {
                    put(seed % 250);
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            for _ in 0..500 {
                let lease = store.lease(&namespace, b"k", true);
                let read =
                    lease.map(|lease| lease.map(|lease| (lease.id, std::fs::read(lease.path).unwrap())));
                if !matches!(&read, Ok(Some((_, bytes))) if bytes.windows(2).all(|pair| pair[0] == pair[1])) {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("{read:?}");
                }
                store.release_lease(read.unwrap().unwrap().0).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
