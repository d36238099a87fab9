//! Threads of our own for work that waits on the disk: libuv's four must not wait there, and a runtime's would be
//! detached at exit in the middle of a write. Joined when the store closes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads and a queue.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared {{ jobs: {} }}", self.lock().jobs.len())
    }
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// Starts `count` threads, or as many as the system has to give: with none jobs run on their callers.
    pub fn start(name: &str, count: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let threads: Vec<_> = (0..count)
            .filter_map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().name(format!("{name}-{index}")).spawn(move || run(&shared)).ok()
            })
            .collect();
        shared.lock().closed = threads.is_empty();
        Self { shared, threads: Mutex::new(threads) }
    }

    /// Queues a job; after `close` it runs at once, on the caller.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.shared.lock();
        if queue.closed {
            drop(queue);
            job();
            return;
        }
        queue.jobs.push_back(Box::new(job));
        drop(queue);
        self.shared.arrived.notify_one();
    }

    /// Runs what is queued to its end and joins the threads.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A job that panicked has reported nothing; there is nothing left to tell here either.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared) {
    loop {
        let job = {
            let mut queue = shared.lock();
            loop {
                if let Some(job) = queue.jobs.pop_front() {
                    break job;
                }
                if queue.closed {
                    return;
                }
                queue = shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        };
        // A panic is a defect, but one job's must not take the others' thread with it.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn every_job_runs_whatever_threads_there_are() {
        for threads in [0, 1, 3] {
            let pool = Pool::start("test", threads);
            let (done, told) = channel();
            for job in 0..50 {
                let done = done.clone();
                pool.spawn(move || done.send(job).unwrap());
            }
            pool.close();
            let mut jobs: Vec<_> = told.try_iter().collect();
            jobs.sort_unstable();
            assert_eq!(jobs, (0..50).collect::<Vec<_>>(), "{threads} threads");
        }
    }
}
