//! The cost of a value's way to the disk and back: digests, publishing, mapping.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::File;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quiver_io::{Digester, Disk, Mapping, TempObject, sum64, sum128};

const SIZES: [usize; 3] = [1_000, 10_000, 1_000_000];

fn digests(c: &mut Criterion) {
    let mut group = c.benchmark_group("digest");
    for size in SIZES {
        let bytes = vec![7; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_with_input(BenchmarkId::new("sha256 and chunk sums", size), &bytes, |b, bytes| {
            b.iter(|| {
                let mut digester = Digester::new();
                digester.update(bytes);
                digester.finish()
            });
        });
        group.bench_with_input(BenchmarkId::new("sum64", size), &bytes, |b, bytes| b.iter(|| sum64(bytes)));
        group.bench_with_input(BenchmarkId::new("sum128", size), &bytes, |b, bytes| b.iter(|| sum128(bytes)));
    }
}

fn publish(c: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut group = c.benchmark_group("publish");
    group.sample_size(20);
    for size in SIZES {
        let bytes = vec![7; size];
        for (name, sync) in [("synced", true), ("not synced", false)] {
            let to = folder.path().join(format!("{size}-{sync}"));
            group.bench_function(BenchmarkId::new(name, size), |b| {
                b.iter(|| {
                    let mut object = TempObject::create(Arc::new(Disk), folder.path(), 0o444).unwrap();
                    object.write(&bytes).unwrap();
                    let published = object.seal(sync).unwrap().publish(&to);
                    std::fs::remove_file(&to).unwrap();
                    published.map_err(|(error, _)| error).unwrap()
                });
            });
        }
    }
}

fn map(c: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut group = c.benchmark_group("map");
    for size in [1 << 20, 64 << 20] {
        let path = folder.path().join(size.to_string());
        std::fs::write(&path, vec![7; size]).unwrap();
        group.bench_function(BenchmarkId::new("open and first byte", size), |b| {
            b.iter(|| {
                let mapping = Mapping::open(&File::open(&path).unwrap()).unwrap();
                black_box(mapping.as_slice()[0])
            });
        });
    }
}

criterion_group!(benches, digests, publish, map);
criterion_main!(benches);
