//! Rows picked out of a table, by the width of a row.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quiver_tensor::{Rows, gather_rows};

const PICKED: usize = 1_000;

fn gather(c: &mut Criterion) {
    let mut group = c.benchmark_group("gather 1,000 of 100,000 rows");
    for bytes in [4, 16, 128, 1_536] {
        let rows = Rows { count: 100_000, bytes, stride: bytes };
        let source = vec![7; rows.count * bytes];
        let indices: Vec<u32> = (0..PICKED).map(|index| (index * 7_919 % rows.count) as u32).collect();
        let mut out = vec![0; PICKED * bytes];
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(bytes), |b| {
            b.iter(|| gather_rows(&source, rows, &indices, &mut out).unwrap());
        });
    }
}

criterion_group!(benches, gather);
criterion_main!(benches);
