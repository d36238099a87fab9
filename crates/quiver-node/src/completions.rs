//! Answers to queued requests: collected natively and handed to JavaScript as one text a batch, because waking its
//! thread, and making an object of each answer here, cost more than the answers themselves.

use std::sync::{Arc, Mutex, PoisonError};

use napi::Status;
use napi::bindgen_prelude::{Function, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};

use crate::errors::failure_json;

type Wake = ThreadsafeFunction<(), Unknown<'static>, String, Status, false, true>;

/// The way to one isolate.
#[derive(Clone)]
pub struct Completions {
    /// `[id, answer]` or `[id, null, failure]` of each request, with commas between them.
    answers: Arc<Mutex<String>>,
    wake: Arc<Wake>,
}

impl Completions {
    /// Answers go to `callback`, as a JSON array. Doesn't keep the process alive.
    pub fn new(callback: &Function<'_, String, Unknown<'static>>) -> napi::Result<Self> {
        let answers = Arc::new(Mutex::new(String::new()));
        let for_callback = Arc::clone(&answers);
        let wake = callback
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build_callback(move |_| Ok(format!("[{}]", std::mem::take(&mut *lock(&for_callback)))))?;
        Ok(Self { answers, wake: Arc::new(wake) })
    }

    /// Answers a request with what `json` makes of its result; an empty text stands for nothing.
    pub fn answer<T>(&self, id: u32, result: quiver_store::Result<T>, json: impl FnOnce(T) -> String) {
        let answer = match result.map(json) {
            Ok(nothing) if nothing.is_empty() => format!("[{id},null]"),
            Ok(value) => format!("[{id},{value}]"),
            Err(error) => format!("[{id},null,{}]", failure_json(&error)),
        };
        let mut answers = lock(&self.answers);
        let first = answers.is_empty();
        if !first {
            answers.push(',');
        }
        answers.push_str(&answer);
        drop(answers);
        if first {
            // An isolate that has ended takes no calls; its answers go with it.
            self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
