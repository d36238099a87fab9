//! Every call to the disk fails once: whoever asked is told by a typed error, the store works on as soon as the
//! disk does, nothing acknowledged is lost, and nothing stays of what failed.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_io::{Disk, Faulty, Op as Call};
use quiver_store::reader::Namespace;
use quiver_store::writer::{Op, Outcome};
use quiver_store::{Code, OpenOptions, Result, Store, maintenance, sweep};

const CALLS: [Call; 14] = [
    Call::Create,
    Call::Write,
    Call::Sync,
    Call::Lock,
    Call::Read,
    Call::Rename,
    Call::Link,
    Call::Unlink,
    Call::CreateDir,
    Call::SyncDir,
    Call::RemoveDir,
    Call::List,
    Call::Facts,
    Call::Copy,
];
const KEYS: [(&str, &str); 4] = [("packed", "small"), ("packed", "large"), ("named", "a"), ("named", "b")];

struct Bench {
    folder: tempfile::TempDir,
    faulty: Faulty,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        let faulty = Faulty::new(Arc::new(Disk), &root).unwrap();
        Self { folder, faulty }
    }

    fn root(&self) -> PathBuf {
        std::fs::canonicalize(self.folder.path()).unwrap()
    }

    fn open(&self) -> Result<(Arc<Store>, [Arc<Namespace>; 2])> {
        let options = OpenOptions { storage: Arc::new(self.faulty.clone()), ..OpenOptions::default() };
        let store = Store::open(&self.root(), &options)?;
        let opened = store
            .namespace("packed", &support::packed(), false)
            .and_then(|packed| Ok([packed, store.namespace("named", &support::named(), false)?]));
        if opened.is_err() {
            store.release();
        }
        opened.map(|namespaces| (store, namespaces))
    }
}

fn put(store: &Store, namespace: &str, key: &str, value: &[u8]) -> Result<()> {
    let pending = if key == "small" {
        support::put_packed(store, namespace, key, value.to_vec(), support::facts())
    } else {
        support::put_file(store, namespace, key, value, support::facts())
    };
    pending.recv().unwrap().map(drop)
}

fn get(store: &Store, namespaces: &[Arc<Namespace>; 2], key: (&str, &str)) -> Result<Option<Vec<u8>>> {
    support::get(store, &namespaces[usize::from(key.0 == "named")], key.1)
}

fn expect_typed(error: &quiver_store::Error, errno: i32, context: &str) {
    let code = if errno == libc::ENOSPC { Code::DiskFull } else { Code::Io };
    assert_eq!(error.code, code, "{context}: {error:?}");
}

/// The program: what every key holds as far as its callers were told.
fn run(
    store: &Store,
    namespaces: &[Arc<Namespace>; 2],
    held: &mut [Option<Vec<u8>>; 4],
    errno: i32,
    context: &str,
) {
    for round in 1..=3_u64 {
        for (index, key) in KEYS.iter().enumerate() {
            let value = support::pattern(round * 10 + index as u64, 3_000 * (index + 1));
            match put(store, key.0, key.1, &value) {
                Ok(()) => held[index] = Some(value),
                Err(error) => expect_typed(&error, errno, context),
            }
        }
        match support::delete(store, "named", "b").recv().unwrap() {
            Ok(Outcome::Removed(_)) => held[3] = None,
            Ok(other) => panic!("{other:?}"),
            Err(error) => expect_typed(&error, errno, context),
        }
        for (index, key) in KEYS.iter().enumerate() {
            match get(store, namespaces, *key) {
                Ok(value) => assert_eq!(value, held[index], "{context}: {key:?}"),
                Err(error) => expect_typed(&error, errno, context),
            }
        }
    }
    let _ = support::submit(store, Op::Reclaim).recv().unwrap();
}

fn leftovers(root: &Path) -> Vec<PathBuf> {
    let mut left: Vec<PathBuf> =
        std::fs::read_dir(root.join(".quiver/tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
    left.extend(
        std::fs::read_dir(root.join("named")).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".quiver-"))
        }),
    );
    left
}

fn check_after(bench: &Bench, held: &[Option<Vec<u8>>; 4], context: &str) {
    bench.faulty.heal();
    let (store, namespaces) = bench.open().unwrap();
    sweep::names(&store.engine).unwrap();
    sweep::files(&store.engine).unwrap();
    for (index, key) in KEYS.iter().enumerate() {
        assert_eq!(
            get(&store, &namespaces, *key).unwrap(),
            held[index],
            "{context}: {key:?} after reopening"
        );
        put(&store, key.0, key.1, &[7; 600]).unwrap();
        assert_eq!(get(&store, &namespaces, *key).unwrap().as_deref(), Some(&[7; 600][..]), "{context}");
    }
    assert_eq!(leftovers(&bench.root()), Vec::<PathBuf>::new(), "{context}");
    let named = bench.root().join("named");
    assert_eq!(std::fs::read(named.join("a.dat")).unwrap(), [7; 600], "{context}: the readable file");
    store.release();
}

/// Numbers of calls to try: all of the first, then ever fewer.
fn numbers(calls: usize) -> impl Iterator<Item = usize> {
    let step = if std::env::var_os("QUIVER_TORTURE").is_some() { 1 } else { 3 };
    (1..=calls).filter(move |nth| *nth <= 4 || nth % step == 0)
}

#[test]
fn each_call_may_fail_while_the_store_works() {
    for op in CALLS {
        let calls = {
            let bench = Bench::new();
            let (store, namespaces) = bench.open().unwrap();
            let before = bench.faulty.calls(op);
            run(&store, &namespaces, &mut Default::default(), 0, "counting");
            let calls = bench.faulty.calls(op) - before;
            store.release();
            calls
        };
        for nth in numbers(calls) {
            for errno in [libc::ENOSPC, libc::EIO] {
                let context = format!("{op:?} {nth} of {calls} fails with {errno}");
                let bench = Bench::new();
                let (store, namespaces) = bench.open().unwrap();
                bench.faulty.fail(op, nth, errno);
                let mut held = Default::default();
                run(&store, &namespaces, &mut held, errno, &context);
                bench.faulty.heal();
                for (index, key) in KEYS.iter().enumerate() {
                    assert_eq!(get(&store, &namespaces, *key).unwrap(), held[index], "{context}: {key:?}");
                }
                store.release();
                check_after(&bench, &held, &context);
            }
        }
    }
}

#[test]
fn each_call_may_fail_while_the_store_opens() {
    for op in CALLS {
        let calls = {
            let bench = Bench::new();
            let (store, _) = bench.open().unwrap();
            store.release();
            bench.faulty.calls(op)
        };
        for nth in numbers(calls) {
            let context = format!("{op:?} {nth} of {calls} fails while opening");
            let bench = Bench::new();
            bench.faulty.fail(op, nth, libc::ENOSPC);
            match bench.open() {
                Ok((store, _)) => store.release(),
                Err(error) => expect_typed(&error, libc::ENOSPC, &context),
            }
            check_after(&bench, &Default::default(), &context);
        }
    }
}

#[test]
fn what_fails_in_putting_names_right_ends_the_opening_and_not_the_next_one() {
    let bench = Bench::new();
    let (store, _) = bench.open().unwrap();
    put(&store, "named", "a", b"value").unwrap();
    store.release();
    drop(store);
    // As a process leaves it that was killed before it made the name.
    std::fs::remove_file(bench.root().join("named/a.dat")).unwrap();
    std::fs::write(bench.root().join(".quiver/locks/p-1-1-1"), quiver_io::boot_id()).unwrap();
    for op in [Call::Link, Call::Copy] {
        bench.faulty.fail_from(op, 1, libc::EIO);
    }
    expect_typed(&bench.open().map(drop).unwrap_err(), libc::EIO, "opening");
    bench.faulty.heal();
    bench.open().unwrap().0.release();
}

#[test]
fn a_disk_that_stays_full_refuses_writes_and_serves_reads() {
    let bench = Bench::new();
    let (store, namespaces) = bench.open().unwrap();
    put(&store, "named", "a", &[1; 9_000]).unwrap();
    put(&store, "packed", "small", &[2; 100]).unwrap();
    for op in [Call::Create, Call::Write, Call::Copy] {
        bench.faulty.fail_from(op, 1, libc::ENOSPC);
    }
    for _ in 0..3 {
        assert_eq!(put(&store, "named", "a", &[3; 9_000]).unwrap_err().code, Code::DiskFull);
        assert_eq!(get(&store, &namespaces, ("named", "a")).unwrap().unwrap(), [1; 9_000]);
        assert_eq!(get(&store, &namespaces, ("packed", "small")).unwrap().unwrap(), [2; 100]);
    }
    support::delete(&store, "named", "a").recv().unwrap().unwrap();
    assert_eq!(get(&store, &namespaces, ("named", "a")).unwrap(), None);
    store.release();
    check_after(&bench, &[Some(vec![2; 100]), None, None, None], "full");
}

#[test]
fn a_compaction_that_fails_leaves_the_cache_open_and_nothing_behind() {
    let bench = Bench::new();
    let (store, namespaces) = bench.open().unwrap();
    put(&store, "packed", "small", &[1; 300]).unwrap();
    for call in [Call::CreateDir, Call::Facts, Call::Rename, Call::SyncDir] {
        bench.faulty.fail(call, 1, libc::EIO);
        expect_typed(&maintenance::compact(&store).unwrap_err(), libc::EIO, &format!("{call:?}"));
        bench.faulty.heal();
        assert!(!bench.root().join(".quiver/catalog-compact").exists(), "{call:?}");
        put(&store, "packed", "small", &[2; 300]).unwrap();
        assert_eq!(get(&store, &namespaces, ("packed", "small")).unwrap(), Some(vec![2; 300]));
    }
    maintenance::compact(&store).unwrap();
    store.close();
}
