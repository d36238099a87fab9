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
    answers: Arc<Mutex<Answers>>,
    wake: Arc<Wake>,
}

#[derive(Default)]
struct Answers {
    /// `[id, answer]` or `[id, null, failure]` of each request, with a comma and a line feed between them, which JSON
    /// has within no text.
    text: String,
    /// The isolate's thread is about to ask for them.
    fetched: bool,
}

impl Answers {
    fn take(&mut self) -> String {
        format!("[{}]", std::mem::take(&mut self.text))
    }
}

impl Completions {
    /// Answers go to `callback`, as a JSON array with a line for each. Doesn't keep the process alive.
    pub fn new(callback: &Function<'_, String, Unknown<'static>>) -> napi::Result<Self> {
        let answers = Arc::<Mutex<Answers>>::default();
        let for_callback = Arc::clone(&answers);
        let wake = callback
            .build_threadsafe_function::<()>()
            .weak::<true>()
            .build_callback(move |_| Ok(lock(&for_callback).take()))?;
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
        let first = answers.text.is_empty();
        if !first {
            answers.text.push_str(",\n");
        }
        answers.text.push_str(&answer);
        let wakes = first && !answers.fetched;
        drop(answers);
        if wakes {
            // An isolate that has ended takes no calls; its answers go with it.
            self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    /// Answers that are there when `work` is done, which the isolate's thread does: nobody has to wake it for those.
    pub fn fetch(&self, work: impl FnOnce()) -> Option<String> {
        lock(&self.answers).fetched = true;
        work();
        let mut answers = lock(&self.answers);
        answers.fetched = false;
        (!answers.text.is_empty()).then(|| answers.take())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
