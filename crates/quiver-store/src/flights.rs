//! The right to compute a key, among all processes on this host.
//!
//! A flight is an OFD lock on one byte of `locks/flights`, at a hash of the key: the kernel drops it when its
//! process dies. One thread polls for all waiters, so that none of them holds a thread; who needn't wait may take it
//! on a thread of his own. What a lock can't show, a holder that is stopped or hung, a lease shows: the polling
//! thread renews those that are held every three to six seconds; one not renewed for ten is overtaken, and the
//! fencing number that the overtaker raises makes the late holder's write void (`is_overtaken`, checked at the commit).
//!
//! `locks/leases`: 65,536 records of 24 bytes, at the hash's low 16 bits: `u64 hash | u64 fence | u64 renewed ms`.
//! Two keys that share a record lose the overtaking of each other's hung holders, nothing else.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quiver_io::RangeLock;

use crate::error::{Code, Error, Result};

const RECORD: u64 = 24;
const RECORDS: u64 = 1 << 16;
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// A lease that nobody renewed for this long belongs to a hung holder.
pub const LEASE_MS: u64 = 10_000;
/// Ranges of overtakers lie above those of regular holders.
const OVERTAKERS: u64 = 1 << 61;

/// A flight that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// Hash of the key.
    pub hash: u64,
    /// Fencing number.
    pub fence: u64,
}

/// Called once: the flight, or none when the time ran out.
pub type Granted = Box<dyn FnOnce(Result<Option<Flight>>) + Send>;

struct Waiter {
    id: u64,
    hash: u64,
    deadline: Instant,
    granted: Granted,
}

struct Held {
    fence: u64,
    renewed: Instant,
    /// Start of the byte range that is locked.
    range: u64,
}

#[derive(Default)]
struct State {
    waiters: Vec<Waiter>,
    held: HashMap<u64, Held>,
    next: u64,
    closed: bool,
    /// A flight was taken since the poller last woke.
    taken: bool,
    /// The poller sleeps until somebody wakes it, as no flight is held and none was for a while.
    dozing: bool,
}

struct Shared {
    lock: RangeLock,
    leases: File,
    state: Mutex<State>,
    changed: Condvar,
    now: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// All flights of this process.
pub struct Flights {
    shared: Arc<Shared>,
    poller: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Flights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.shared.lock_state();
        write!(f, "Flights {{ held: {}, waiting: {} }}", state.held.len(), state.waiters.len())
    }
}

/// The byte that stands for a key.
pub fn hash(namespace: &str, key: &[u8]) -> u64 {
    let mut bytes = Vec::with_capacity(namespace.len() + 1 + key.len());
    bytes.extend_from_slice(namespace.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(key);
    quiver_io::sum64(&bytes) >> 4
}

impl Flights {
    /// Opens the lock files in `folder`.
    pub fn open(folder: &Path, mode: u32, now: impl Fn() -> u64 + Send + Sync + 'static) -> Result<Self> {
        let path = folder.join("leases");
        // On media that nobody can write nobody computes anything either.
        let leases =
            quiver_io::open_or_create(&path, mode).or_else(|error| File::open(&path).map_err(|_| error))?;
        let shared = Arc::new(Shared {
            lock: RangeLock::open(&folder.join("flights"), mode)?,
            leases,
            state: Mutex::default(),
            changed: Condvar::new(),
            now: Box::new(now),
        });
        Ok(Self { shared, poller: Mutex::new(None) })
    }

    /// Takes the flight of a key, on the caller's thread, where nobody has it and nobody in this process waits for it.
    /// Writes a few bytes to a file, without a sync.
    pub fn try_acquire(&self, hash: u64) -> Result<Option<Flight>> {
        let mut state = self.shared.lock_state();
        if state.closed {
            return Err(closed());
        }
        if state.waiters.iter().any(|waiter| waiter.hash == hash) {
            return Ok(None);
        }
        let flight = self.shared.attempt(hash, &mut state)?;
        if flight.is_some() {
            self.start_poller();
            if state.dozing {
                self.shared.changed.notify_all();
            }
        }
        Ok(flight)
    }

    /// Asks for the flight of a key; the number is for `cancel`.
    pub fn acquire(&self, hash: u64, timeout: Duration, granted: Granted) -> u64 {
        let mut state = self.shared.lock_state();
        state.next += 1;
        let id = state.next;
        if state.closed {
            drop(state);
            granted(Err(closed()));
            return id;
        }
        state.waiters.push(Waiter { id, hash, deadline: Instant::now() + timeout, granted });
        self.start_poller();
        drop(state);
        self.shared.changed.notify_all();
        id
    }

    /// Sees to it that the thread runs which grants and renews.
    fn start_poller(&self) {
        let mut poller = self.poller.lock().unwrap_or_else(PoisonError::into_inner);
        if poller.is_none() {
            let shared = Arc::clone(&self.shared);
            *poller =
                std::thread::Builder::new().name("quiver-flights".into()).spawn(move || shared.poll()).ok();
        }
    }

    /// Gives up waiting.
    pub fn cancel(&self, id: u64) {
        let waiter = {
            let mut state = self.shared.lock_state();
            state.waiters.iter().position(|w| w.id == id).map(|at| state.waiters.remove(at))
        };
        if let Some(waiter) = waiter {
            (waiter.granted)(Err(Error::new(
                Code::Aborted,
                "waiting for another's computation was given up",
            )));
        }
    }

    /// Ends a flight.
    pub fn release(&self, flight: Flight) {
        let mut state = self.shared.lock_state();
        if state.held.get(&flight.hash).is_some_and(|held| held.fence == flight.fence)
            && let Some(held) = state.held.remove(&flight.hash)
        {
            if held.range >= OVERTAKERS {
                // The hung holder still has the lock: the next one need not wait for this lease to run out too.
                let _ = self.shared.write_renewed(flight.hash, 0);
            }
            // The kernel drops the lock with the process if it can't be dropped here.
            let _ = self.shared.lock.unlock(held.range, 1);
        }
        let waited_for = !state.waiters.is_empty();
        drop(state);
        if waited_for {
            self.shared.changed.notify_all();
        }
    }

    /// Whether somebody took the key over from the holder with this number.
    pub fn is_overtaken(&self, hash: u64, fence: u64) -> bool {
        self.shared.lease(hash).is_some_and(|lease| lease.fence > fence)
    }

    /// Refuses all waiters, ends all flights and joins the thread.
    pub fn close(&self) {
        let waiters = {
            let mut state = self.shared.lock_state();
            state.closed = true;
            for (_, held) in state.held.drain() {
                let _ = self.shared.lock.unlock(held.range, 1);
            }
            std::mem::take(&mut state.waiters)
        };
        self.shared.changed.notify_all();
        for waiter in waiters {
            (waiter.granted)(Err(closed()));
        }
        if let Some(thread) = self.poller.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

fn closed() -> Error {
    Error::new(Code::Closed, "the cache is closed")
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    fence: u64,
    renewed: u64,
}

impl Shared {
    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease(&self, hash: u64) -> Option<Lease> {
        let mut bytes = [0; RECORD as usize];
        quiver_io::read_exact_at(&self.leases, &mut bytes, hash % RECORDS * RECORD).ok()?;
        let word = |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        (word(0)? == hash).then_some(Lease { fence: word(8)?, renewed: word(16)? })
    }

    fn write_lease(&self, hash: u64, fence: u64) -> Result<()> {
        let mut bytes = [0; RECORD as usize];
        bytes[..8].copy_from_slice(&hash.to_le_bytes());
        bytes[8..16].copy_from_slice(&fence.to_le_bytes());
        bytes[16..].copy_from_slice(&(self.now)().to_le_bytes());
        quiver_io::write_all_at(&self.leases, &bytes, hash % RECORDS * RECORD)
            .map_err(|error| Error::os("writing a lease", Path::new("leases"), &error))
    }

    /// Only the time: the number may have become an overtaker's meanwhile, and must not go back.
    fn write_renewed(&self, hash: u64, renewed: u64) -> Result<()> {
        quiver_io::write_all_at(&self.leases, &renewed.to_le_bytes(), hash % RECORDS * RECORD + 16)
            .map_err(|error| Error::os("renewing a lease", Path::new("leases"), &error))
    }

    /// Says that the holder with this number is alive, unless somebody has overtaken it.
    fn renew(&self, hash: u64, fence: u64) -> Result<()> {
        match self.lease(hash) {
            Some(lease) if lease.fence == fence => self.write_renewed(hash, (self.now)()),
            Some(_) => Ok(()),
            // Another key had the record in between.
            None => self.write_lease(hash, fence),
        }
    }

    /// Tries once; `Ok(None)` = somebody has it.
    fn attempt(&self, hash: u64, state: &mut State) -> Result<Option<Flight>> {
        if state.held.contains_key(&hash) {
            return Ok(None);
        }
        let lease = self.lease(hash);
        let mut range = hash;
        if !self.lock.try_lock(range, 1, true)? {
            let hung = lease.is_some_and(|l| (self.now)().saturating_sub(l.renewed) > LEASE_MS);
            if !hung {
                return Ok(None);
            }
            range = OVERTAKERS + hash % RECORDS;
            if !self.lock.try_lock(range, 1, true)? {
                return Ok(None);
            }
        }
        let fence = (self.now)().max(lease.map_or(0, |l| l.fence + 1));
        self.write_lease(hash, fence)?;
        state.held.insert(hash, Held { fence, renewed: Instant::now(), range });
        state.taken = true;
        Ok(Some(Flight { hash, fence }))
    }

    fn poll(&self) {
        let mut pause = Duration::from_millis(1);
        let mut state = self.lock_state();
        while !state.closed {
            let before = state.waiters.len();
            let waiters = std::mem::take(&mut state.waiters);
            let mut answers = Vec::new();
            for waiter in waiters {
                match self.attempt(waiter.hash, &mut state) {
                    Ok(None) if Instant::now() < waiter.deadline => state.waiters.push(waiter),
                    answer => answers.push((waiter.granted, answer)),
                }
            }
            for (hash, held) in &mut state.held {
                if held.renewed.elapsed() >= RENEW_EVERY {
                    held.renewed = Instant::now();
                    // A lease that can't be renewed only lets a waiter compute too.
                    let _ = self.renew(*hash, held.fence);
                }
            }
            let waiting = !state.waiters.is_empty();
            pause = if state.waiters.len() < before {
                Duration::from_millis(1)
            } else {
                (pause * 2).min(Duration::from_millis(20))
            };
            if !answers.is_empty() {
                drop(state);
                for (granted, answer) in answers {
                    granted(answer);
                }
                state = self.lock_state();
                continue;
            }
            // Flights come one after the other, and each would pay for waking this thread.
            state.dozing = !waiting && state.held.is_empty() && !state.taken;
            state.taken = false;
            let timeout = match (waiting, state.dozing) {
                (true, _) => pause,
                (false, false) => RENEW_EVERY,
                (false, true) => Duration::from_hours(1),
            };
            state = self.changed.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0;
            state.dozing = false;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    fn flights(folder: &Path, clock: &Arc<AtomicU64>) -> Flights {
        let clock = Arc::clone(clock);
        Flights::open(folder, 0o600, move || clock.load(Ordering::SeqCst)).unwrap()
    }

    fn ask(flights: &Flights, hash: u64, ms: u64) -> mpsc::Receiver<Result<Option<Flight>>> {
        let (sender, receiver) = mpsc::channel();
        flights.acquire(
            hash,
            Duration::from_millis(ms),
            Box::new(move |answer| sender.send(answer).unwrap()),
        );
        receiver
    }

    #[test]
    fn one_at_a_time_then_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(1_000));
        let (one, two) = (flights(folder.path(), &clock), flights(folder.path(), &clock));
        let first = ask(&one, 42, 1_000).recv().unwrap().unwrap().unwrap();
        assert!(ask(&two, 42, 60).recv().unwrap().unwrap().is_none());
        assert!(ask(&one, 42, 60).recv().unwrap().unwrap().is_none());
        let waiting = ask(&two, 42, 5_000);
        one.release(first);
        let second = waiting.recv().unwrap().unwrap().unwrap();
        assert!(second.fence > first.fence);
        assert!(two.is_overtaken(42, first.fence) && !two.is_overtaken(42, second.fence));
        one.close();
        two.close();
    }

    #[test]
    fn who_need_not_wait_has_it_at_once_and_it_is_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(1_000));
        let (one, two) = (flights(folder.path(), &clock), flights(folder.path(), &clock));
        let first = one.try_acquire(42).unwrap().unwrap();
        assert_eq!((one.try_acquire(42).unwrap(), two.try_acquire(42).unwrap()), (None, None));
        clock.store(5_000, Ordering::SeqCst);
        let renewed = || one.shared.lease(42).unwrap().renewed == 5_000;
        let begun = Instant::now();
        while !renewed() && begun.elapsed() < Duration::from_mins(1) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(renewed(), "by the poller, which it has started");
        let waiting = ask(&two, 42, 60_000);
        assert_eq!(two.try_acquire(42).unwrap(), None, "somebody waits for it");
        one.release(first);
        let second = waiting.recv().unwrap().unwrap().unwrap();
        two.release(second);
        let third = one.try_acquire(42).unwrap().unwrap();
        assert!(first.fence < second.fence && second.fence < third.fence);
        one.close();
        assert_eq!(one.try_acquire(43).unwrap_err().code, Code::Closed);
        two.close();
    }

    #[test]
    fn a_hung_holder_is_overtaken_and_its_write_is_void() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(1_000));
        let (hung, other) = (flights(folder.path(), &clock), flights(folder.path(), &clock));
        let first = ask(&hung, 7, 1_000).recv().unwrap().unwrap().unwrap();
        clock.fetch_add(LEASE_MS + 1, Ordering::SeqCst);
        let second = ask(&other, 7, 5_000).recv().unwrap().unwrap().unwrap();
        assert!(hung.is_overtaken(7, first.fence));
        assert!(!hung.is_overtaken(7, second.fence));
        // Going on again, the hung one must not pass for the rightful holder.
        hung.shared.renew(7, first.fence).unwrap();
        assert!(hung.is_overtaken(7, first.fence));
        hung.close();
        other.close();
    }

    #[test]
    fn who_waits_behind_a_hung_holder_waits_for_one_lease_only() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(1_000));
        let (hung, other) = (flights(folder.path(), &clock), flights(folder.path(), &clock));
        ask(&hung, 7, 1_000).recv().unwrap().unwrap().unwrap();
        clock.fetch_add(LEASE_MS + 1, Ordering::SeqCst);
        let second = ask(&other, 7, 5_000).recv().unwrap().unwrap().unwrap();
        other.release(second);
        let third = ask(&other, 7, 1_000).recv().unwrap().unwrap().unwrap();
        assert!(third.fence > second.fence);
        hung.close();
        other.close();
    }

    #[test]
    fn closing_answers_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(1_000));
        let flights = flights(folder.path(), &clock);
        ask(&flights, 1, 100).recv().unwrap().unwrap().unwrap();
        let waiting = ask(&flights, 1, 60_000);
        flights.close();
        assert_eq!(waiting.recv().unwrap().unwrap_err().code, Code::Closed);
    }
}
