//! Nearest rows of 200,000 x 384, beside a scan by as many threads that only reads: the bound that memory sets.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::thread;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quiver_vectors::nearest::{Elements, Metric, nearest};

const ROWS: usize = 200_000;
const DIMENSION: usize = 384;
const K: usize = 10;

fn scan(values: &[f32]) {
    let threads = thread::available_parallelism().unwrap().get();
    thread::scope(|scope| {
        for part in values.chunks(values.len().div_ceil(threads)) {
            scope.spawn(move || {
                let mut lanes = [0_u32; 64];
                for chunk in part.as_chunks::<64>().0 {
                    for (lane, value) in lanes.iter_mut().zip(chunk) {
                        *lane ^= value.to_bits();
                    }
                }
                black_box(lanes)
            });
        }
    });
}

fn search(c: &mut Criterion) {
    let values: Vec<f32> =
        (0..ROWS * DIMENSION).map(|i| (i.wrapping_mul(2_654_435_761) % 1_000) as f32 / 500.0 - 1.0).collect();
    let halves: Vec<u16> = values.iter().map(|value| half::f16::from_f32(*value).to_bits()).collect();
    let bytes: Vec<i8> = values.iter().map(|value| (value * 127.0) as i8).collect();
    let queries = &values[..4 * DIMENSION];
    let mut group = c.benchmark_group("nearest 10 of 200,000 x 384");
    group.sample_size(20);
    group.throughput(Throughput::Bytes((values.len() * 4) as u64));
    // Taking turns: what else the machine does falls on both alike.
    for round in 1..=3 {
        group.bench_function(format!("read only, {round}"), |b| b.iter(|| scan(&values)));
        for (name, metric) in
            [("dot", Metric::Dot), ("cosine", Metric::Cosine), ("euclidean", Metric::Euclidean)]
        {
            group.bench_function(format!("{name}, {round}"), |b| {
                b.iter(|| {
                    nearest(
                        &[Elements::Float32(&values)],
                        DIMENSION,
                        &queries[..DIMENSION],
                        K,
                        metric,
                        &|| false,
                    )
                    .unwrap()
                });
            });
        }
    }
    group.bench_function("dot, 4 queries at once", |b| {
        b.iter(|| {
            nearest(&[Elements::Float32(&values)], DIMENSION, queries, K, Metric::Dot, &|| false).unwrap()
        });
    });
    group.throughput(Throughput::Bytes((values.len() * 2) as u64));
    group.bench_function("dot, float16", |b| {
        b.iter(|| {
            nearest(&[Elements::Float16(&halves)], DIMENSION, &queries[..DIMENSION], K, Metric::Dot, &|| {
                false
            })
            .unwrap()
        });
    });
    group.throughput(Throughput::Bytes(values.len() as u64));
    group.bench_function("dot, int8", |b| {
        let rows = Elements::Int8 { values: &bytes, scale: 1.0 / 127.0, zero_point: 0 };
        b.iter(|| nearest(&[rows], DIMENSION, &queries[..DIMENSION], K, Metric::Dot, &|| false).unwrap());
    });
}

criterion_group!(benches, search);
criterion_main!(benches);
