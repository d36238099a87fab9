//! Threads that lend a hand with work of some hundred microseconds, for which to start one would take too long.
//!
//! Whoever has work offers it and begins at once. Idle threads join if they wake in time; when nothing is left to take,
//! the caller waits for those that have begun, not for those that haven't. So work is never slower for having been
//! offered than by the call that wakes the others, a few microseconds.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::os;

/// Threads beside the caller's, at most.
const HELPERS: usize = 3;

/// Outputs from this many bytes on are filled by several threads, this many at a time.
pub const SHARED_FROM: usize = 512 << 10;
const SHARE: usize = 64 << 10;

/// Turns of waiting for helpers before the caller sleeps: some 50 microseconds, in which most finish their part.
const SPINS: usize = 2_000;

/// A thread that has helped stays awake for as long as that took, but no longer than this: work often comes in a row, and
/// to wake up takes a thread of a virtual machine some 55 microseconds.
const LONGEST_WATCH: Duration = Duration::from_micros(200);

/// Calls `work` for each of `parts`, on this thread and on idle ones, until one fails; the error of the first that did.
/// Parts are begun in their order and taken one at a time, so each should be worth some ten microseconds. Nobody is woken
/// for one part alone.
///
/// Panics where `work` does, once nobody is at it any more.
pub fn try_for_each<P, E: Send>(
    parts: impl Iterator<Item = P> + Send,
    work: impl Fn(P) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let mut parts = parts;
    if parts.size_hint().1.is_some_and(|most| most < 2) {
        return parts.try_for_each(work);
    }
    let parts = Mutex::new(Some(parts));
    let failure = Mutex::new(None);
    Crew::of_this_process().share(&|| {
        loop {
            let Some(part) = lock(&parts).as_mut().and_then(Iterator::next) else { return };
            if let Err(error) = work(part) {
                *lock(&parts) = None;
                lock(&failure).get_or_insert(error);
            }
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Fills `out`, which has `bytes` for each index: calls `fill` for indices and the part of `out` that belongs to them,
/// once for all or, if `out` is long, for pieces of it on this thread and on idle ones. Fails and panics as `fill` does.
pub fn fill_rows<E: Send>(
    bytes: usize,
    indices: &[u32],
    out: &mut [u8],
    fill: impl Fn(&[u32], &mut [u8]) -> Result<(), E> + Sync,
) -> Result<(), E> {
    if out.len() < SHARED_FROM || indices.len().checked_mul(bytes) != Some(out.len()) {
        return fill(indices, out);
    }
    let rows = (SHARE / bytes).max(1);
    try_for_each(indices.chunks(rows).zip(out.chunks_mut(rows * bytes)), |(indices, out)| fill(indices, out))
}

/// Idle threads, and what they look for.
struct Crew {
    board: Mutex<Board>,
    offered: Condvar,
    finished: Condvar,
    /// How often work was offered, for those that watch without the lock.
    times_offered: AtomicUsize,
    helpers: usize,
}

#[derive(Default)]
struct Board {
    offers: Vec<Arc<Offer>>,
    threads: Vec<os::ThreadNumber>,
    /// Threads that have to be woken.
    asleep: usize,
    /// The processor that the threads are kept off.
    avoided: Option<usize>,
}

/// Work that may be joined, for as long as it is among the offers.
struct Offer {
    work: Work,
    /// Threads that have joined and are not done. Rises only under the lock of the board.
    joined: AtomicUsize,
    panicked: AtomicBool,
}

struct Work(&'static (dyn Fn() + Sync));

impl Crew {
    /// One for the process. Its threads sleep for as long as nothing is offered, and end with the process: they hold
    /// nothing that would have to be put in order.
    fn of_this_process() -> &'static Self {
        static CREW: OnceLock<Crew> = OnceLock::new();
        CREW.get_or_init(|| {
            let processors = thread::available_parallelism().map_or(1, NonZero::get);
            let wanted = (processors - 1).min(HELPERS);
            let helpers = (0..wanted)
                .take_while(|_| {
                    let help = || Self::of_this_process().help();
                    thread::Builder::new().name("quiver-crew".into()).spawn(help).is_ok()
                })
                .count();
            Self {
                board: Mutex::default(),
                offered: Condvar::new(),
                finished: Condvar::new(),
                times_offered: AtomicUsize::new(0),
                helpers,
            }
        })
    }

    /// Calls `work` here, and beside it on every thread that is idle. Returns when all of them have.
    fn share(&self, work: &(dyn Fn() + Sync)) {
        if self.helpers == 0 {
            return work();
        }
        let offer = Arc::new(Offer {
            work: Work::lent(work),
            joined: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
        });
        let mut board = lock(&self.board);
        board.keep_off(os::processor());
        board.offers.push(Arc::clone(&offer));
        self.times_offered.fetch_add(1, Ordering::Release);
        let asleep = board.asleep;
        drop(board);
        for _ in 0..asleep {
            self.offered.notify_one();
        }
        // Taken back also when `work` panics here: what it borrows must not be used after this frame.
        let lent = TakenBack { crew: self, offer: &offer };
        work();
        drop(lent);
        assert!(!offer.panicked.load(Ordering::Relaxed), "a helping thread panicked");
    }

    /// No thread joins from now on; waits for those that have.
    fn take_back(&self, offer: &Arc<Offer>) {
        lock(&self.board).withdraw(offer);
        for _ in 0..SPINS {
            if offer.joined.load(Ordering::Acquire) == 0 {
                return;
            }
            std::hint::spin_loop();
        }
        let mut board = lock(&self.board);
        while offer.joined.load(Ordering::Acquire) > 0 {
            board = self.finished.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn help(&self) {
        let mut board = lock(&self.board);
        board.enlist(os::this_thread());
        loop {
            let Some(offer) = board.offers.first().map(Arc::clone) else {
                board.asleep += 1;
                board = self.offered.wait(board).unwrap_or_else(PoisonError::into_inner);
                board.asleep -= 1;
                continue;
            };
            offer.joined.fetch_add(1, Ordering::Relaxed);
            drop(board);
            let begun = Instant::now();
            if catch_unwind(AssertUnwindSafe(offer.work.0)).is_err() {
                offer.panicked.store(true, Ordering::Relaxed);
            }
            board = lock(&self.board);
            // Nothing is left to take of it.
            board.withdraw(&offer);
            offer.joined.fetch_sub(1, Ordering::Release);
            self.finished.notify_all();
            if board.offers.is_empty() {
                let seen = self.times_offered.load(Ordering::Relaxed);
                drop(board);
                self.watch(seen, begun.elapsed().min(LONGEST_WATCH));
                board = lock(&self.board);
            }
        }
    }

    /// Returns when more has been offered than was `seen`, or after a while.
    fn watch(&self, seen: usize, longest: Duration) {
        let begun = Instant::now();
        while self.times_offered.load(Ordering::Acquire) == seen && begun.elapsed() < longest {
            std::hint::spin_loop();
        }
    }
}

impl Board {
    fn enlist(&mut self, thread: os::ThreadNumber) {
        if let Some(processor) = self.avoided {
            os::keep_off(thread, processor);
        }
        self.threads.push(thread);
    }

    /// Keeps the threads off the caller's processor. A virtual machine's idle processor often counts as taken, and then a
    /// thread that is woken gets the processor of who wakes it, who has to stop for it.
    fn keep_off(&mut self, processor: usize) {
        if self.avoided != Some(processor) {
            self.avoided = Some(processor);
            self.threads.iter().for_each(|thread| os::keep_off(*thread, processor));
        }
    }

    fn withdraw(&mut self, offer: &Arc<Offer>) {
        self.offers.retain(|one| !Arc::ptr_eq(one, offer));
    }
}

struct TakenBack<'a> {
    crew: &'a Crew,
    offer: &'a Arc<Offer>,
}

impl Drop for TakenBack<'_> {
    fn drop(&mut self) {
        self.crew.take_back(self.offer);
    }
}

impl Work {
    /// Forgets how long `work` lives.
    #[allow(unsafe_code)]
    fn lent(work: &(dyn Fn() + Sync)) -> Self {
        // SAFETY: only the lifetime changes. `Crew::share` takes the offer back before it returns or unwinds: from then on
        // nobody can join, and nobody who has joined is still at it. Nobody else calls `work`.
        Self(unsafe { std::mem::transmute::<&(dyn Fn() + Sync), &'static (dyn Fn() + Sync)>(work) })
    }
}

/// Nothing under these locks is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::time::Duration;

    #[test]
    fn every_part_is_worked_on_once_by_several_callers_at_a_time() {
        thread::scope(|scope| {
            for caller in 0..4 {
                scope.spawn(move || {
                    for round in 0..300 {
                        let mut out = vec![0_usize; 50 + caller + round % 7];
                        let parts = out.chunks_mut(3).enumerate();
                        try_for_each(parts, |(part, slots)| {
                            for slot in slots {
                                *slot += part + 1;
                            }
                            Ok::<_, ()>(())
                        })
                        .unwrap();
                        assert!(out.iter().enumerate().all(|(at, &got)| got == at / 3 + 1));
                    }
                });
            }
        });
    }

    #[test]
    fn rows_are_filled_whole_and_in_their_places() {
        for (bytes, rows) in [(1, 3), (1_536, 1_000), (700_000, 3), (7, 100_000)] {
            let indices: Vec<u32> = (0..rows).map(|index| index * 31 % 253).collect();
            let mut out = vec![0; bytes * rows as usize];
            fill_rows(bytes, &indices, &mut out, |indices, out| {
                assert_eq!(indices.len() * bytes, out.len());
                out.chunks_mut(bytes).zip(indices).for_each(|(row, index)| row.fill(*index as u8));
                Ok::<_, ()>(())
            })
            .unwrap();
            assert!(
                out.chunks(bytes).zip(indices).all(|(row, index)| row.iter().all(|&b| u32::from(b) == index))
            );
        }
        // Whoever fills is told of lengths that don't fit, whatever they are.
        let seen =
            fill_rows(3, &[1, 2], &mut vec![0; 1 << 20], |indices, out| Err((indices.len(), out.len())));
        assert_eq!(seen, Err((2, 1 << 20)));
    }

    #[test]
    fn idle_threads_join() {
        if Crew::of_this_process().helpers == 0 {
            return;
        }
        // Two parts that wait for each other can't be worked on by one thread.
        let (both, threads) = (Barrier::new(2), Mutex::new(HashSet::new()));
        try_for_each(0..2, |_| {
            both.wait();
            lock(&threads).insert(thread::current().id());
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(lock(&threads).len(), 2);
    }

    #[test]
    fn nothing_is_begun_after_a_failure() {
        let begun = AtomicUsize::new(0);
        let result = try_for_each(0..1_000, |part| {
            begun.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_micros(10));
            if part == 5 { Err("five") } else { Ok(()) }
        });
        assert_eq!(result, Err("five"));
        assert!(begun.load(Ordering::Relaxed) < 1_000);
    }

    #[test]
    fn a_panic_ends_the_call_and_not_the_crew() {
        for culprit in 0..40 {
            let outcome = catch_unwind(|| {
                try_for_each(0..40, |part| {
                    thread::sleep(Duration::from_micros(50));
                    assert_ne!(part, culprit, "as planned");
                    Ok::<_, ()>(())
                })
            });
            assert!(outcome.is_err());
        }
        try_for_each(0..40, |_| Ok::<_, ()>(())).unwrap();
    }
}
