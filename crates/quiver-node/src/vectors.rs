//! Embeddings: texts as hashed n-grams, folders of vectors, nearest rows.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use napi::bindgen_prelude::{AsyncTask, Env, Float32Array, Float64Array, Task, Uint8Array, Uint32Array};
use napi_derive::napi;
use quiver_dataset::Dataset;
use quiver_vectors::hashing::Hashing;
use quiver_vectors::nearest::{Metric, Neighbour};
use quiver_vectors::search::{Quantisation, nearest_rows};
use quiver_vectors::{first_non_finite as first_non_finite_of, texts};

use crate::dataset::{NativeDataset, StopFlag};
use crate::errors::{Result, rejection, vector_failure};
use crate::task::Job;

/// Turns texts into vectors of hashed n-grams on the thread pool.
#[napi]
pub struct Hasher {
    hashing: Arc<Hashing>,
    dimension: usize,
}

#[napi]
impl Hasher {
    /// `words` and `characters` are the shortest and the longest n-gram of the kind.
    #[napi(constructor)]
    pub fn new(dimension: u32, words: Option<(u32, u32)>, characters: Option<(u32, u32)>) -> Result<Self> {
        let hashing = Hashing::new(dimension as usize, words.map(lengths), characters.map(lengths))
            .map_err(vector_failure)?;
        Ok(Self { hashing: Arc::new(hashing), dimension: dimension as usize })
    }

    /// Resolves to one vector a text, one after the other. The texts are copied before this returns.
    #[napi(ts_args_type = "texts: readonly string[]", ts_return_type = "Promise<Float32Array>")]
    pub fn embed(&self, texts: Vec<String>) -> AsyncTask<Hash> {
        AsyncTask::new(Hash { hashing: Arc::clone(&self.hashing), dimension: self.dimension, texts })
    }
}

fn lengths((shortest, longest): (u32, u32)) -> RangeInclusive<usize> {
    shortest as usize..=longest as usize
}

/// One call of a [`Hasher`].
pub struct Hash {
    hashing: Arc<Hashing>,
    dimension: usize,
    texts: Vec<String>,
}

impl Task for Hash {
    type Output = quiver_vectors::Result<Vec<f32>>;
    type JsValue = Float32Array;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let mut out = vec![0.0; self.texts.len() * self.dimension];
        Ok(self.hashing.embed(&self.texts, &mut out).map(|()| out))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        output.map(Float32Array::new).map_err(|error| rejection(env, vector_failure(error)))
    }
}

/// Digests of texts: 14 bytes each, one after the other.
#[napi(ts_args_type = "texts: readonly string[]", ts_return_type = "Promise<Uint8Array>")]
pub fn digest_texts(texts: Vec<String>) -> AsyncTask<Job<Uint8Array>> {
    Job::start(move || Ok(texts::digests(&texts).into()))
}

/// For each of some digests the number of the first one that equals it. The digests are copied before this returns.
#[napi(ts_return_type = "Promise<Uint32Array>")]
pub fn first_texts(digests: &[u8]) -> AsyncTask<Job<Uint32Array>> {
    let digests = digests.to_vec();
    Job::start(move || Ok(texts::firsts(&digests).into()))
}

/// For each of the `wanted` digests the number of the first one among `present` that equals it; 0xffffffff for none.
#[napi]
pub fn found_texts(wanted: &[u8], present: &[u8]) -> Uint32Array {
    texts::found(wanted, present).into()
}

/// Where the first number that is infinite or none lies; -1 when all are finite.
#[napi]
pub fn first_non_finite(values: &[f32]) -> f64 {
    first_non_finite_of(values).map_or(-1.0, |index| index as f64)
}

/// Rows that were found, query by query, each of them as many.
#[napi(object)]
pub struct NativeNeighbours {
    /// Numbers of the rows, nearest first.
    pub rows: Float64Array,
    /// Their dot products, cosines or distances.
    pub scores: Float32Array,
}

#[napi]
impl NativeDataset {
    /// The `k` nearest rows to each query; queries are copied before this returns. `metric` is "dot", "cosine" or
    /// "euclidean"; the pair is what int8 elements stand for, scale and zero point.
    #[napi(ts_return_type = "Promise<NativeNeighbours>")]
    pub fn nearest(
        &self,
        column: String,
        queries: &[f32],
        k: u32,
        metric: String,
        (scale, zero_point): (f64, i32),
        stop: Option<&StopFlag>,
    ) -> AsyncTask<Find> {
        let metric = match metric.as_str() {
            "dot" => Metric::Dot,
            "euclidean" => Metric::Euclidean,
            _ => Metric::Cosine,
        };
        let quantisation = Quantisation { scale: scale as f32, zero_point: zero_point as i8 };
        let (dataset, queries) = (self.shared(), queries.to_vec());
        let asks = Box::new(StopFlag::asks(stop));
        AsyncTask::new(Find { dataset, column, queries, k: k as usize, metric, quantisation, asks })
    }
}

/// One search.
pub struct Find {
    dataset: Arc<Dataset>,
    column: String,
    queries: Vec<f32>,
    k: usize,
    metric: Metric,
    quantisation: Quantisation,
    asks: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Task for Find {
    type Output = quiver_vectors::Result<Vec<Vec<Neighbour>>>;
    type JsValue = NativeNeighbours;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        let Self { dataset, column, queries, k, metric, quantisation, asks } = self;
        Ok(nearest_rows(dataset, column, queries, *k, *metric, *quantisation, asks))
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        let found = output.map_err(|error| rejection(env, vector_failure(error)))?.concat();
        Ok(NativeNeighbours {
            rows: found.iter().map(|neighbour| neighbour.row as f64).collect::<Vec<_>>().into(),
            scores: found.iter().map(|neighbour| neighbour.score).collect::<Vec<_>>().into(),
        })
    }
}

/// Removes unfinished folders in `root` that nobody is writing and that are older than a day; resolves to how many.
#[napi(ts_return_type = "Promise<number>")]
pub fn sweep_unfinished(root: String) -> AsyncTask<Job<f64>> {
    Job::start(move || Ok(quiver_vectors::sweep(Path::new(&root))? as f64))
}
