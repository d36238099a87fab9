//! Work on libuv's thread pool that ends in a promise.

use napi::bindgen_prelude::{AsyncTask, Env, Task, ToNapiValue, TypeName};

use crate::errors::{Failure, rejection};

type Work<T> = Box<dyn FnOnce() -> Result<T, Failure> + Send>;

/// A piece of work and the type its promise resolves to.
pub struct Job<T>(Option<Work<T>>);

impl<T: Send + 'static> Job<T>
where
    Self: Task,
{
    /// Runs `work` on the thread pool.
    pub fn start(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> AsyncTask<Self> {
        AsyncTask::new(Self(Some(Box::new(work))))
    }
}

impl<T: Send + ToNapiValue + TypeName + 'static> Task for Job<T> {
    type Output = Result<T, Failure>;
    type JsValue = T;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        Ok(match self.0.take() {
            Some(work) => work(),
            None => Err(quiver_store::Error::new(quiver_store::Code::Internal, "a task ran twice").into()),
        })
    }

    fn resolve(&mut self, env: Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        output.map_err(|error| rejection(env, error.into()))
    }
}
