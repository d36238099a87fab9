//! The writer's thread, and threads that commit in its place.

use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use quiver_io::RangeLock;

use super::ops::{Completion, Op, Outcome};
use super::queue::{Queue, Request};
use super::serve::{self, Batch};
use crate::engine::Engine;
use crate::error::{Code, Error, Result};

/// The thread, and the queue that it serves.
///
/// A hop to another thread and back costs more than a commit that isn't synced, so who waits for an answer anyway, or
/// has little to commit that takes no disk, serves the queue himself where nobody does at the moment.
pub struct Writer {
    desk: Arc<Desk>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Desk {
    queue: Queue,
    engine: Arc<Engine>,
    /// Keeps writers of other processes out.
    lock: RangeLock,
    /// Groups are taken from the queue and committed by one thread at a time.
    serving: Mutex<()>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Writer {{ queued: {} }}", self.desk.queue.len())
    }
}

impl Writer {
    /// Starts the thread. `lock` keeps writers of other processes out.
    pub fn start(engine: Arc<Engine>, lock: RangeLock) -> Result<Self> {
        let queue = Queue::new(engine.is_durable());
        let desk = Arc::new(Desk { queue, engine, lock, serving: Mutex::default() });
        let for_thread = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("quiver-writer".into())
            .spawn(move || for_thread.run())
            .map_err(|error| Error::new(Code::Io, format!("no thread for the writer: {error}")))?;
        Ok(Self { desk, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a request; `done` is called once, on a thread that serves the queue.
    pub fn submit(&self, op: Op, done: Completion) {
        if self.push(op, done) {
            self.desk.queue.wake();
        }
    }

    /// The same for one of several requests: it waits up to two milliseconds for the others, or until `flush`.
    pub fn gather(&self, op: Op, done: Completion) {
        if let Err(refused) = self.desk.queue.gather(Request { op, done }) {
            refuse(*refused);
        }
    }

    /// Has what was gathered committed: at once on this thread where that is short work, so that the answers are there
    /// on return, else by the writer's thread.
    pub fn flush(&self) {
        if !self.desk.serve_short() {
            self.desk.queue.flush();
        }
    }

    /// Queues a request and serves the queue up to it on this thread, unless another one does. Never while answers are
    /// given.
    pub fn serve(&self, op: Op, done: Completion) {
        if self.push(op, done) {
            self.desk.serve_queued();
        }
    }

    /// The same, and waits for the answer.
    pub fn call(&self, op: Op) -> Result<Outcome> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.serve(op, Box::new(move |result| drop(sender.send(result))));
        receiver
            .recv()
            .unwrap_or_else(|_| Err(Error::new(Code::Internal, "the writer gave no answer to a request")))
    }

    /// Keeps this process and all others from committing until it is dropped. What is asked of this one meanwhile waits,
    /// however long that is.
    pub fn pause(&self) -> Result<Pause<'_>> {
        let turn = self.desk.turn();
        serve::lock_out_others(&self.desk.engine, &self.desk.lock)?;
        Ok(Pause { lock: &self.desk.lock, _turn: turn })
    }

    /// Commits what is queued and joins the thread.
    pub fn close(&self) {
        self.desk.queue.close();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
        // Another thread may be at it still.
        drop(self.desk.turn());
    }

    /// Queues a request that nobody is woken for; whether it was taken.
    fn push(&self, op: Op, done: Completion) -> bool {
        self.desk.queue.push(Request { op, done }).map_err(|refused| refuse(*refused)).is_ok()
    }
}

fn refuse(request: Request) {
    (request.done)(Err(Error::new(Code::Closed, "the cache is closed")));
}

/// Nothing is committed as long as it is kept.
#[derive(Debug)]
pub struct Pause<'w> {
    lock: &'w RangeLock,
    _turn: MutexGuard<'w, ()>,
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let _ = self.lock.unlock(0, 1);
    }
}

impl Desk {
    fn run(&self) {
        while self.queue.wait() {
            let _turn = self.turn();
            for after in self.queue.take_left() {
                serve::follow(&self.engine, after);
            }
            // Somebody else may have been quicker.
            if let Some((requests, mut following)) = self.queue.begin_group() {
                serve::serve(&self.engine, &self.lock, Batch::new(&self.engine, requests, &mut following));
            }
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_turn(&self) -> Option<MutexGuard<'_, ()>> {
        self.serving.try_lock().ok()
    }

    /// Serves what is queued by now, or has it served. What comes meanwhile is left to the thread: else who wants one
    /// thing done would serve others for as long as these have something.
    fn serve_queued(&self) {
        let Some(turn) = self.try_turn() else { return self.queue.wake() };
        let mut left = self.queue.len();
        while left > 0
            && let Some(requests) = self.queue.take_group()
        {
            left = left.saturating_sub(requests.len());
            serve::serve(&self.engine, &self.lock, Batch::new(&self.engine, requests, &mut iter::empty()));
        }
        drop(turn);
        if self.queue.len() > 0 {
            self.queue.wake();
        }
    }

    /// Serves what is queued if that is short work and nobody is in the way; whether it did.
    fn serve_short(&self) -> bool {
        if self.engine.is_durable() {
            return false;
        }
        let Some(_turn) = self.try_turn() else { return false };
        if !self.queue.is_short() || !self.lock.try_lock(0, 1, true).unwrap_or(false) {
            return false;
        }
        let requests = self.queue.take_group().unwrap_or_default();
        let mut none = iter::empty();
        let batch = Batch::new(&self.engine, requests, &mut none);
        let (after, answered) = serve::serve_locked(&self.engine, &self.lock, batch);
        // Removing files may take long.
        if after.has_files() {
            self.queue.push_after(after);
        } else {
            serve::follow(&self.engine, after);
        }
        answered.tell();
        true
    }
}
