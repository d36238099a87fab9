//! What is chosen from a snapshot to be removed and has changed since stays: overwritten, touched, pinned, held.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::sync::Arc;

use quiver_store::Store;
use quiver_store::reader::Namespace;
use quiver_store::writer::{FactChanges, NewFacts, Op, Outcome, Reason, Victim};
use support::{done, facts, get, packed, put_file, put_packed, submit};

struct Bench {
    folder: tempfile::TempDir,
    store: Arc<Store>,
    namespace: Arc<Namespace>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = support::open(folder.path());
        let namespace = store.namespace("n", &packed(), false).unwrap();
        Self { folder, store, namespace }
    }

    fn put(&self, key: &str, value: &[u8]) {
        done(put_packed(&self.store, "n", key, value.to_vec(), facts()));
    }

    fn touch(&self, key: &str, changes: FactChanges) {
        let ticket = self.store.engine.order.draw();
        done(submit(
            &self.store,
            Op::Touch { namespace: "n".into(), key: key.as_bytes().to_vec(), changes, ticket },
        ));
    }

    /// As eviction and repair choose: the entry, and its stamp at that moment.
    fn choose(&self, key: &str) -> Victim {
        let found = self.store.lookup(&self.namespace, key.as_bytes(), &mut Vec::new()).unwrap().unwrap();
        let id = self.namespace.record().id;
        Victim {
            entry: quiver_store::catalog::keys::entry_key(id, key.as_bytes()),
            stamp: found.record.stamp,
        }
    }

    fn remove(&self, victims: Vec<Victim>, reason: Reason) -> u64 {
        match done(submit(&self.store, Op::Remove { victims, reason })) {
            Outcome::Removed(removed) => removed.count,
            other => panic!("{other:?}"),
        }
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        get(&self.store, &self.namespace, key).unwrap()
    }
}

#[test]
fn an_entry_that_was_written_touched_or_pinned_since_it_was_chosen_is_not_removed() {
    type Change = fn(&Bench, &str);
    let changes: [(&str, Change); 4] = [
        ("overwritten", |bench, key| bench.put(key, b"new")),
        ("touched", |bench, key| {
            bench.touch(key, FactChanges { priority: Some(1), ..FactChanges::default() });
        }),
        ("pinned", |bench, key| {
            bench.touch(key, FactChanges { pinned: Some(true), ..FactChanges::default() });
        }),
        ("deleted and set again", |bench, key| {
            done(support::delete(&bench.store, "n", key));
            bench.put(key, b"new");
        }),
    ];
    for reason in [Reason::Evict, Reason::Delete, Reason::Expire] {
        let bench = Bench::new();
        for (key, change) in changes {
            bench.put(key, b"old");
            let victim = bench.choose(key);
            change(&bench, key);
            assert_eq!(bench.remove(vec![victim], reason), 0, "{key}, {reason:?}");
            assert!(bench.value(key).is_some(), "{key}, {reason:?}");
        }
        bench.put("as it was", b"old");
        assert_eq!(bench.remove(vec![bench.choose("as it was")], reason), 1);
        assert_eq!(bench.value("as it was"), None);
    }
}

#[test]
fn what_is_pinned_or_held_by_path_is_not_evicted_however_fresh_the_choice() {
    let bench = Bench::new();
    let pinned = NewFacts { pinned: true, ..facts() };
    done(put_packed(&bench.store, "n", "pinned", b"1".to_vec(), pinned));
    done(put_file(&bench.store, "n", "held", &vec![2; 100_000], facts()));
    let content =
        bench.store.lookup(&bench.namespace, b"held", &mut Vec::new()).unwrap().unwrap().record.content;
    bench.store.engine.holds.hold(content).unwrap();
    let victims = || vec![bench.choose("pinned"), bench.choose("held")];
    assert_eq!(bench.remove(victims(), Reason::Evict), 0);
    bench.store.engine.holds.release(content).unwrap();
    assert_eq!(bench.remove(victims(), Reason::Evict), 1);
    assert!(bench.value("pinned").is_some() && bench.value("held").is_none());
}

#[test]
fn an_entry_whose_time_was_prolonged_does_not_run_out_at_the_old_one() {
    let bench = Bench::new();
    let clock = &bench.store.engine.clock;
    let now = clock.now();
    clock.stop_at(Some(now));
    for key in ["kept", "gone"] {
        let facts = NewFacts { expires: Some(now + 1_000), ..facts() };
        done(put_packed(&bench.store, "n", key, b"value".to_vec(), facts));
    }
    bench.touch("kept", FactChanges { expires: Some(Some(now + 60_000)), ..FactChanges::default() });
    clock.stop_at(Some(now + 2_000));
    done(submit(&bench.store, Op::Expire { counted: false }));
    assert!(bench.value("kept").is_some() && bench.value("gone").is_none());
    assert!(bench.folder.path().exists());
}
