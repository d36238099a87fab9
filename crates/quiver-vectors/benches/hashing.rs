//! Texts of a thousand characters as hashed n-grams.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quiver_vectors::hashing::Hashing;

fn hashing(c: &mut Criterion) {
    let words = ["call", "me", "ishmael", "some", "years", "ago", "never", "mind", "how", "long"];
    let texts: Vec<String> = (0..256)
        .map(|text| (0..180).map(|i| words[(text * 7 + i * i) % words.len()]).collect::<Vec<_>>().join(" "))
        .collect();
    let mut group = c.benchmark_group("hash 256 texts of 1,000 characters");
    group.throughput(Throughput::Bytes(texts.iter().map(String::len).sum::<usize>() as u64));
    for (name, hashing) in [
        ("words", Hashing::new(384, Some(1..=2), None).unwrap()),
        ("words and characters", Hashing::new(384, Some(1..=2), Some(3..=4)).unwrap()),
    ] {
        let mut out = vec![0.0; texts.len() * 384];
        group.bench_function(name, |b| b.iter(|| hashing.embed(&texts, &mut out).unwrap()));
    }
}

criterion_group!(benches, hashing);
criterion_main!(benches);
