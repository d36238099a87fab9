//! The limit of a namespace holds in the transaction that would go beyond it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::sync::Arc;

use quiver_store::Store;
use quiver_store::reader::{self, Age, Namespace};
use quiver_store::settings::NamespaceSettings;
use support::{done, facts, open, put_packed};

const LIMIT: u64 = 48_000;

/// A namespace that is nearly full of "0", "1" and so on, the first ones used longest ago.
fn nearly_full(store: &Store) -> Arc<Namespace> {
    let namespace = store
        .namespace("n", &NamespaceSettings { max_size: Some(LIMIT), ..NamespaceSettings::default() }, false)
        .unwrap();
    let now = store.engine.now();
    for key in 0..5 {
        store.engine.clock.stop_at(Some(now + key));
        done(put_packed(store, "n", &key.to_string(), vec![1; 8_000], facts()));
    }
    namespace
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
    let namespace = nearly_full(&store);
    done(put_packed(&store, "n", "0", vec![2; 16_000], facts()));
    assert!(allocated(&store, &namespace) <= LIMIT);
    assert_eq!(left(&store, &namespace), "0234");
}

#[test]
fn in_place_of_what_is_held_another_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let namespace = nearly_full(&store);
    // Looking it up through the store would count as using it.
    let found =
        reader::lookup_aged(&store.engine, &namespace, b"0", Age::Any, &mut Vec::new()).unwrap().unwrap();
    store.engine.holds.hold(found.record.content).unwrap();
    done(put_packed(&store, "n", "4", vec![2; 16_000], facts()));
    assert!(allocated(&store, &namespace) <= LIMIT);
    assert_eq!(left(&store, &namespace), "0234");
}
