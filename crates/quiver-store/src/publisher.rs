//! Values on their way into files: pieces arrive from JavaScript's thread, are written and digested on threads of
//! ours, published as an object, and then committed by the writer.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use quiver_io::{Sealed, TempObject};

use crate::catalog::record::FileIdentity;
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::order::Preparing;
use crate::pool::Pool;
use crate::removals::Old;
use crate::writer::{Adoption, Completion, FileValue, NewFacts, NewValue, Op, Put, Writer};

/// Values of up to this many chunks (4 MiB) have their sums in the record, larger ones in a file.
pub const SUMS_IN_RECORD: usize = 64;
/// Bytes that may wait for the disk, a value, before its producer is told to wait.
const BACKLOG: usize = 16 << 20;
/// Names that are tried for a value.
const PUBLISH_TRIES: u32 = 8;

enum Step {
    Bytes(Vec<u8>),
    Commit(Box<Commit>, u64),
    Abort,
}

/// How a value ends.
pub struct Commit {
    /// Namespace name.
    pub namespace: String,
    /// The key.
    pub key: Vec<u8>,
    /// Its facts.
    pub facts: NewFacts,
    /// Lease under which it was computed.
    pub fence: Option<(u64, u64)>,
    /// Present when it is taken over from somebody else's file.
    pub adoption: Option<Adoption>,
    /// Called with the outcome.
    pub done: Completion,
}

struct State {
    steps: VecDeque<Step>,
    backlog: usize,
    running: bool,
    object: Option<TempObject>,
    failure: Option<Error>,
    ended: bool,
    /// Told once there is room again.
    waiting: Vec<Box<dyn FnOnce(Result<()>) + Send>>,
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !state.ended {
            self.engine.order.finish(self.preparing);
        }
    }
}

/// Whose threads write, digest and commit a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// Those of the cache: the caller goes on meanwhile.
    Ours,
    /// The caller's own, who waits anyway: each hop to another thread and back costs as much as making a small file.
    Callers,
}

/// One value being written. Dropped without a commit it leaves nothing behind.
pub struct ObjectWriter {
    engine: Arc<Engine>,
    writer: Arc<Writer>,
    pool: Arc<Pool>,
    threads: Threads,
    preparing: Preparing,
    state: Mutex<State>,
    drained: Condvar,
}

impl std::fmt::Debug for ObjectWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ObjectWriter {{ backlog: {} }}", self.lock().backlog)
    }
}

impl ObjectWriter {
    /// Begins a value for a key; its place in the order of calls is that of its commit.
    pub fn begin(
        engine: &Arc<Engine>,
        writer: &Arc<Writer>,
        pool: &Arc<Pool>,
        threads: Threads,
        (namespace, key): (&str, &[u8]),
    ) -> Arc<Self> {
        Arc::new(Self {
            preparing: engine.order.begin(namespace, key),
            engine: Arc::clone(engine),
            writer: Arc::clone(writer),
            pool: Arc::clone(pool),
            threads,
            state: Mutex::new(State {
                steps: VecDeque::new(),
                backlog: 0,
                running: false,
                object: None,
                failure: None,
                ended: false,
                waiting: Vec::new(),
            }),
            drained: Condvar::new(),
        })
    }

    /// Queues bytes; whether there is room for more before the disk has caught up.
    pub fn write(self: &Arc<Self>, bytes: Vec<u8>) -> Result<bool> {
        let mut state = self.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        if state.ended {
            return Err(Error::new(Code::BadOption, "the value is complete already"));
        }
        state.backlog += bytes.len();
        let room = state.backlog < BACKLOG;
        state.steps.push_back(Step::Bytes(bytes));
        self.run(state);
        Ok(room)
    }

    /// Calls `ready` once there is room again, or why there never will be.
    pub fn when_ready(&self, ready: Box<dyn FnOnce(Result<()>) + Send>) {
        let mut state = self.lock();
        if state.backlog >= BACKLOG / 2 && state.failure.is_none() {
            state.waiting.push(ready);
            return;
        }
        let answer = state.failure.clone().map_or(Ok(()), Err);
        drop(state);
        ready(answer);
    }

    /// Waits until there is room again. For threads that may wait.
    pub fn wait_for_room(&self) -> Result<()> {
        let mut state = self.lock();
        while state.backlog >= BACKLOG / 2 && state.failure.is_none() {
            state = self.drained.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.failure.clone().map_or(Ok(()), Err)
    }

    /// Completes the value: when all is on disk and committed, `commit.done` is called.
    pub fn commit(self: &Arc<Self>, commit: Commit) {
        self.end(Step::Commit(Box::new(commit), self.engine.order.draw()));
    }

    /// Gives the value up.
    pub fn abort(self: &Arc<Self>) {
        self.end(Step::Abort);
    }

    fn end(self: &Arc<Self>, step: Step) {
        let mut state = self.lock();
        if state.ended {
            drop(state);
            if let Step::Commit(commit, _) = step {
                (commit.done)(Err(Error::new(Code::BadOption, "the value is complete already")));
            }
            return;
        }
        state.ended = true;
        state.steps.push_back(step);
        self.run(state);
    }

    fn run(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        if !state.running {
            state.running = true;
            drop(state);
            match self.threads {
                Threads::Ours => {
                    let this = Arc::clone(self);
                    self.pool.spawn(move || this.drain());
                }
                Threads::Callers => self.drain(),
            }
        }
    }

    fn drain(&self) {
        let mut state = self.lock();
        while let Some(step) = state.steps.pop_front() {
            let mut object = state.object.take();
            let failed = state.failure.is_some();
            drop(state);
            let mut taken = 0;
            let mut failure = None;
            match step {
                Step::Bytes(bytes) => {
                    taken = bytes.len();
                    if !failed {
                        failure = self.write_out(&mut object, bytes).err();
                    }
                }
                Step::Commit(commit, ticket) => {
                    let failure = self.lock().failure.clone();
                    match failure {
                        Some(failure) => {
                            self.engine.order.finish(self.preparing);
                            (commit.done)(Err(failure));
                        }
                        None => self.complete(object.take(), *commit, ticket),
                    }
                }
                Step::Abort => {
                    object = None;
                    self.engine.order.finish(self.preparing);
                }
            }
            state = self.lock();
            state.object = object;
            state.backlog -= taken;
            if failure.is_some() {
                state.failure = failure;
                state.object = None;
            }
            if state.backlog < BACKLOG / 2 || state.failure.is_some() {
                self.drained.notify_all();
                let waiting = std::mem::take(&mut state.waiting);
                if !waiting.is_empty() {
                    let answer = state.failure.clone().map_or(Ok(()), Err);
                    drop(state);
                    for ready in waiting {
                        ready(answer.clone());
                    }
                    state = self.lock();
                }
            }
        }
        state.running = false;
    }

    fn write_out(&self, object: &mut Option<TempObject>, bytes: Vec<u8>) -> Result<()> {
        let object = match object {
            Some(object) => object,
            None => object.insert(self.create()?),
        };
        Ok(object.write(bytes)?)
    }

    fn create(&self) -> Result<TempObject> {
        let (storage, folder) = (&self.engine.storage, self.engine.root.tmp());
        let create = || TempObject::create(Arc::clone(storage), &folder, self.engine.modes.object);
        let created = match create() {
            // Somebody removed the folder; what was in it was unfinished.
            Err(error) if error.kind() == quiver_io::ErrorKind::NotFound => {
                storage.create_dir(&folder, self.engine.modes.folder)?;
                create()?
            }
            created => created?,
        };
        Ok(if self.engine.is_durable() { created.writing_ahead() } else { created })
    }

    fn complete(&self, object: Option<TempObject>, commit: Commit, ticket: u64) {
        let Commit { namespace, key, facts, fence, adoption, done } = commit;
        let published = object
            .map_or_else(|| self.create(), Ok)
            .and_then(|object| Ok(object.seal(self.engine.is_durable())?))
            .and_then(|sealed| publish(&self.engine, sealed, &facts.extension));
        let engine = Arc::clone(&self.engine);
        let preparing = self.preparing;
        match published {
            Err(error) => {
                engine.order.finish(preparing);
                done(Err(error.about(&key)));
            }
            Ok(file) => {
                let path = self.engine.root.object(file.content, &facts.extension);
                let object = Old { path, size: file.size };
                let sums = self.engine.root.sums(file.content);
                let put = Put {
                    namespace: namespace.into(),
                    key: key.into(),
                    facts: facts.into(),
                    value: NewValue::File(Box::new(file)),
                    ticket,
                    fence,
                    adoption: adoption.map(Box::new),
                };
                let op = Op::Put(Box::new(put));
                let done: Completion = Box::new(move |result| {
                    engine.order.finish(preparing);
                    if result.is_err() {
                        engine.removals.remove(object);
                        let _ = engine.storage.unlink(&sums);
                    }
                    done(result);
                });
                // On this thread, unless another one is at it: a hop to the writer's takes as long as the commit.
                self.writer.serve(op, done);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves a sealed file to a fresh content id, its chunk sums first.
fn publish(engine: &Engine, sealed: Sealed, extension: &str) -> Result<FileValue> {
    let mut sealed = sealed;
    let mut tries = 0;
    loop {
        let content = engine.ids.next(engine.now());
        let path = engine.root.object(content, extension);
        let digests = sealed.digests();
        let (size, sha256) = (digests.len, digests.sha256);
        let mut sums = Vec::new();
        if digests.sums.len() <= SUMS_IN_RECORD {
            sums.clone_from(&digests.sums);
        } else {
            write_sums(engine, content, &digests.sums)?;
        }
        let facts = sealed.facts();
        let identity = FileIdentity { ino: facts.ino, size: facts.size, mtime_ns: facts.mtime_ns as i64 };
        let allocated = facts.allocated + 512;
        match sealed.publish(&path) {
            Ok(published) => {
                return Ok(FileValue {
                    content,
                    size,
                    allocated,
                    sha256,
                    sums,
                    identity,
                    published: Some(published),
                });
            }
            Err((error, again)) => match (error.kind(), again) {
                // Ids meet once in four million times; a folder is missing every four minutes.
                (
                    kind @ (quiver_io::ErrorKind::AlreadyExists | quiver_io::ErrorKind::NotFound),
                    Some(again),
                ) if tries < PUBLISH_TRIES => {
                    tries += 1;
                    let _ = engine.storage.unlink(&engine.root.sums(content));
                    if let (quiver_io::ErrorKind::NotFound, Some(folder)) = (kind, path.parent()) {
                        engine.storage.create_dir(folder, engine.modes.folder)?;
                    }
                    sealed = again;
                }
                _ => {
                    let _ = engine.storage.unlink(&engine.root.sums(content));
                    return Err(error.into());
                }
            },
        }
    }
}

fn write_sums(engine: &Engine, content: u64, sums: &[u64]) -> Result<()> {
    let path = engine.root.sums(content);
    if let Some(folder) = path.parent() {
        engine.storage.create_dir(folder, engine.modes.folder)?;
    }
    let bytes: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    let mut file = engine.storage.create_new(&path, engine.modes.object)?;
    file.write_all(&bytes)?;
    // Sums that a power cut took are made again from the file and its SHA-256, so they need no sync.
    Ok(())
}
