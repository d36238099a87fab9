//! Embeddings: texts as hashed n-grams.

use std::ops::RangeInclusive;
use std::sync::Arc;

use napi::bindgen_prelude::{AsyncTask, Env, Float32Array, Task};
use napi_derive::napi;
use quiver_vectors::hashing::Hashing;

use crate::errors::{Result, rejection, vector_failure};

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
