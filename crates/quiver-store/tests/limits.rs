//! The limit of a namespace holds in the transaction that would go beyond it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::sync::Arc;

use quiver_store::reader::{self, Age, Namespace};
use quiver_store::settings::{NamespaceSettings, RootSettings};
use quiver_store::{OpenOptions, Store};
use support::{Pending, done, facts, facts_of, named, open, pattern, put_file, put_packed};

const LIMIT: u64 = 48_000;

/// A namespace that is nearly full of "0", "1" and so on, the first ones used longest ago.
fn nearly_full(store: &Store, put: impl Fn(&str) -> Pending) -> Arc<Namespace> {
    let namespace = store
        .namespace("n", &NamespaceSettings { max_size: Some(LIMIT), ..NamespaceSettings::default() }, false)
        .unwrap();
    let now = store.engine.now();
    for key in 0..5 {
        store.engine.clock.stop_at(Some(now + key));
        done(put(&key.to_string()));
    }
    namespace
}

/// A namespace that holds so many entries at most.
fn of_entries(store: &Store, most: u64) -> Arc<Namespace> {
    let limited = NamespaceSettings { max_entries: Some(most), ..NamespaceSettings::default() };
    store.namespace("n", &limited, false).unwrap()
}

fn left(store: &Store, namespace: &Namespace) -> String {
    let left: Vec<String> = (0..5)
        .map(|key| key.to_string())
        .filter(|key| support::get(store, namespace, key).unwrap().is_some())
        .collect();
    left.concat()
}

fn allocated(store: &Store, namespace: &Namespace) -> u64 {
    reader::totals(&store.engine, namespace).unwrap().allocated
}

#[test]
fn what_is_overwritten_makes_no_room_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = nearly_full(&store, |key| put_packed(&store, "n", key, vec![1; 8_000], facts()));
    done(put_packed(&store, "n", "0", vec![2; 16_000], facts()));
    assert!(allocated(&store, &namespace) <= LIMIT);
    assert_eq!(left(&store, &namespace), "0234");
}

#[test]
fn in_place_of_what_is_held_another_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace =
        nearly_full(&store, |key| put_file(&store, "n", key, &pattern(1, 8_000), facts_of("bin")));
    // Looking it up through the store would count as using it.
    let found =
        reader::lookup_aged(&store.engine, &namespace, b"0", Age::Any, &mut Vec::new()).unwrap().unwrap();
    store.engine.holds.hold(found.record.content).unwrap();
    done(put_packed(&store, "n", "4", vec![2; 16_000], facts()));
    assert!(allocated(&store, &namespace) <= LIMIT);
    assert_eq!(left(&store, &namespace), "0234");
}

#[test]
fn what_is_kept_of_older_values_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let limited = NamespaceSettings { versions: 3, max_size: Some(LIMIT), ..named() };
    let namespace = store.namespace("n", &limited, false).unwrap();
    let put = |key: &str| done(put_file(&store, "n", key, &pattern(1, 8_000), facts_of("bin")));
    for key in ["0", "1", "2"] {
        put(key);
    }
    for (values, others) in [(4, "012"), (5, "012"), (5, "12"), (5, "2"), (5, "2")] {
        put("k");
        assert_eq!(allocated(&store, &namespace) / 8_192, values);
        assert_eq!(left(&store, &namespace).len(), others.len());
    }
}

#[test]
fn the_limit_of_all_namespaces_holds_also_where_one_of_them_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let settings = RootSettings { max_size: Some(LIMIT), ..RootSettings::default() };
    let store = Store::open(folder.path(), &OpenOptions { settings, ..OpenOptions::default() }).unwrap();
    let small = NamespaceSettings { max_size: Some(14_000), ..NamespaceSettings::default() };
    let small = store.namespace("small", &small, false).unwrap();
    let large = store.namespace("n", &NamespaceSettings::default(), false).unwrap();
    done(put_packed(&store, "small", "k", vec![1; 4_000], facts()));
    for key in 0..5 {
        done(put_packed(&store, "n", &key.to_string(), vec![1; 8_000], facts()));
    }
    // The namespace is over its limit by little, all together by more.
    done(put_packed(&store, "small", "l", vec![1; 9_000], facts()));
    assert!(allocated(&store, &small) <= 14_000);
    assert!(allocated(&store, &small) + allocated(&store, &large) <= LIMIT);
}

#[test]
fn who_was_used_longest_ago_leaves_also_behind_the_first_thousands() {
    const ENTRIES: u64 = 5_000;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = of_entries(&store, ENTRIES);
    let put = |keys: std::ops::Range<u64>| {
        let pending: Vec<Pending> =
            keys.map(|key| support::gather_packed(&store, "n", &format!("{key:05}"), vec![1; 10])).collect();
        store.flush();
        for pending in pending {
            done(pending);
        }
    };
    let is_there = |key: &u64| support::get(&store, &namespace, &format!("{key:05}")).unwrap().is_some();
    let now = store.engine.now();
    store.engine.clock.stop_at(Some(now));
    put(4_500..ENTRIES);
    store.engine.clock.stop_at(Some(now + 1_000));
    put(0..4_500);
    put(ENTRIES..ENTRIES + 600);
    assert_eq!(reader::totals(&store.engine, &namespace).unwrap().entries, ENTRIES);
    assert!((4_500..ENTRIES).filter(is_there).count() < 300);
    assert_eq!((ENTRIES..ENTRIES + 600).filter(is_there).count(), 600);
}

#[test]
fn who_was_to_leave_next_stays_if_it_is_used_meanwhile() {
    const ENTRIES: u64 = 64;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = of_entries(&store, ENTRIES);
    let now = store.engine.now();
    let put = |key: u64| {
        store.engine.clock.stop_at(Some(now + key));
        done(put_packed(&store, "n", &key.to_string(), vec![1; 10], facts()));
    };
    (0..=ENTRIES).for_each(put);
    let use_it = |key: &str| support::get(&store, &namespace, key).unwrap().is_some();
    assert!(!use_it("0"));
    assert!(use_it("1"));
    put(ENTRIES + 1);
    assert_eq!(left(&store, &namespace), "134");
}
