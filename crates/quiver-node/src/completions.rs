//! Answers to queued requests: collected natively and handed to JavaScript in one call a batch, because waking its
//! thread costs more than the answers themselves.

use std::sync::{Arc, Mutex, PoisonError};

use napi::Status;
use napi::bindgen_prelude::{Function, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::errors::failure_json;

/// An answer: which request, whether it failed, and what it brings as JSON.
#[napi(object)]
pub struct Completion {
    /// Number that the request was made with.
    pub id: u32,
    /// `json` is a failure.
    pub failed: bool,
    /// What the request brings; empty for nothing.
    pub json: String,
}

type Wake = ThreadsafeFunction<(), Unknown<'static>, Vec<Completion>, Status, false, true>;

/// The way to one isolate.
#[derive(Clone)]
pub struct Completions {
    queue: Arc<Mutex<Vec<Completion>>>,
    wake: Arc<Wake>,
}

impl Completions {
    /// Answers go to `callback`. Doesn't keep the process alive.
    pub fn new(callback: &Function<'_, Vec<Completion>, Unknown<'static>>) -> napi::Result<Self> {
        let queue = Arc::new(Mutex::new(Vec::new()));
        let for_callback = Arc::clone(&queue);
        let wake = callback
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build_callback(move |_| Ok(std::mem::take(&mut *lock(&for_callback))))?;
        Ok(Self { queue, wake: Arc::new(wake) })
    }

    /// Answers a request with what `json` makes of its result.
    pub fn answer<T>(&self, id: u32, result: quiver_store::Result<T>, json: impl FnOnce(T) -> String) {
        let completion = match result {
            Ok(value) => Completion { id, failed: false, json: json(value) },
            Err(error) => Completion { id, failed: true, json: failure_json(&error) },
        };
        let mut queue = lock(&self.queue);
        queue.push(completion);
        if queue.len() == 1 {
            // An isolate that has ended takes no calls; its answers go with it.
            self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
