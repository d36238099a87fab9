//! Looking entries up, and committing them alone and in groups.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quiver_store::reader::Namespace;
use quiver_store::settings::NamespaceSettings;
use quiver_store::writer::{NewFacts, NewValue, Op, PackedBytes, Put};
use quiver_store::{OpenOptions, Store};
use tempfile::TempDir;

const ENTRIES: usize = 10_000;

fn open() -> (TempDir, Arc<Store>, Arc<Namespace>) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let namespace = store.namespace("bench", &NamespaceSettings::default(), false).unwrap();
    (folder, store, namespace)
}

/// Puts values under `keys` and waits until all are durable.
fn put(store: &Store, keys: impl ExactSizeIterator<Item = usize>, size: usize) {
    let (sender, receiver) = sync_channel(keys.len());
    let count = keys.len();
    for key in keys {
        let sender = sender.clone();
        let put = Put {
            namespace: "bench".into(),
            key: key.to_string().into_bytes().into(),
            facts: NewFacts { codec: "bin".into(), extension: "dat".into(), ..NewFacts::default() }.into(),
            value: NewValue::Inline(PackedBytes::copy_of(&vec![7; size])),
            ticket: store.engine.order.draw(),
            fence: None,
            adoption: None,
        };
        store.gather(
            Op::Put(Box::new(put)),
            Box::new(move |result| {
                let _ = sender.send(result.is_ok());
            }),
        );
    }
    store.flush();
    assert!(receiver.iter().take(count).all(|stored| stored));
}

fn lookup(c: &mut Criterion) {
    let mut group = c.benchmark_group("lookup");
    for size in [100, 1_000, 10_000] {
        let (_folder, store, namespace) = open();
        put(&store, 0..ENTRIES, size);
        let mut value = Vec::new();
        let mut next = 0;
        group.bench_function(BenchmarkId::new("hit", size), |b| {
            b.iter(|| {
                next = (next + 7_919) % ENTRIES;
                let key = next.to_string();
                let found = store.lookup(&namespace, key.as_bytes(), &mut value).unwrap();
                assert_eq!(value.len(), size);
                found
            });
        });
        store.release();
    }
    let (_folder, store, namespace) = open();
    let mut value = Vec::new();
    group.bench_function("miss", |b| b.iter(|| store.lookup(&namespace, b"absent", &mut value).unwrap()));
    store.release();
}

fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("durable commit");
    group.sample_size(20);
    let (_folder, store, _namespace) = open();
    for together in [1, 64, 1_000] {
        group.throughput(Throughput::Elements(together as u64));
        group.bench_function(BenchmarkId::new("1 KB values", together), |b| {
            b.iter(|| put(&store, 0..together, 1_000));
        });
    }
    store.release();
}

criterion_group!(benches, lookup, commit);
criterion_main!(benches);
