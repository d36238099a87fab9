//! What happens once a second beside the work: usage and counters are merged, expired entries leave, rows of
//! cleared namespaces go, index.json follows the catalog.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::catalog::lmdb::Read;
use crate::engine::Engine;
use crate::error::Result;
use crate::index_json;
use crate::writer::{Op, Outcome, Writer};

const EVERY: Duration = Duration::from_secs(1);
/// Counters go to disk this often.
const COUNTERS_EVERY: Duration = Duration::from_secs(5);
/// Above this many entries index.json is written once a minute only: its cost grows with the count.
const LARGE_INDEX: u64 = 10_000;
const LARGE_INDEX_EVERY: Duration = Duration::from_mins(1);

/// The thread.
#[derive(Debug)]
pub struct Housekeeper {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: Mutex<bool>,
    stop: Condvar,
}

impl Shared {
    /// Until the next round is due; whether it is to be the last.
    fn wait(&self) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.stop.wait_timeout_while(stopped, EVERY, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Housekeeper {
    /// Starts it.
    pub fn start(engine: Arc<Engine>, writer: Arc<Writer>) -> Self {
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut rounds = Rounds { counters: Instant::now(), indexes: HashMap::new() };
            loop {
                // Whenever the end is asked for, before the first round or amid one, a last round follows.
                let last = for_thread.wait();
                rounds.round(&engine, &writer, last);
                if last {
                    return;
                }
            }
        });
        Self { shared, thread }
    }

    /// A last round, then the end.
    pub fn stop(self) {
        *self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.stop.notify_all();
        let _ = self.thread.join();
    }
}

struct Rounds {
    counters: Instant,
    indexes: HashMap<String, Instant>,
}

impl Rounds {
    /// What fails now, on a full disk say, keeps nothing else from being done and is tried again in a second.
    fn round(&mut self, engine: &Engine, writer: &Writer, last: bool) {
        engine.let_go_of_snapshot();
        let _ = merge_heat(engine);
        if last || self.counters.elapsed() >= COUNTERS_EVERY {
            self.counters = Instant::now();
            let _ = flush_counters(engine, writer);
        }
        let _ = expire(engine, writer);
        let _ = reclaim(engine, writer, last);
        let _ = engine.refresh_usage();
        self.write_indexes(engine, last);
        engine.restore_reserve();
    }

    fn write_indexes(&mut self, engine: &Engine, last: bool) {
        let dirty = std::mem::take(&mut *engine.dirty.lock().unwrap_or_else(PoisonError::into_inner));
        let mut later = std::collections::BTreeSet::new();
        for namespace in dirty {
            let written = self.indexes.get(&namespace);
            let large = engine.usage().entries > LARGE_INDEX;
            if !last && large && written.is_some_and(|at| at.elapsed() < LARGE_INDEX_EVERY) {
                later.insert(namespace);
                continue;
            }
            if index_json::write(engine, &namespace).is_err() {
                later.insert(namespace.clone());
            }
            self.indexes.insert(namespace, Instant::now());
        }
        engine.mark_dirty(later);
    }
}

fn merge_heat(engine: &Engine) -> Result<()> {
    engine.heat.merge(slots_in_use(engine)?, engine.now())
}

fn expire(engine: &Engine, writer: &Writer) -> Result<()> {
    while has_expired(engine)? && drained(&writer.call(Op::Expire { counted: true })?) {}
    Ok(())
}

fn reclaim(engine: &Engine, writer: &Writer, last: bool) -> Result<()> {
    if has_dropped(engine)? {
        while drained(&writer.call(Op::Reclaim)?) && !last {}
    }
    Ok(())
}

fn drained(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Removed(removed) if removed.more)
}

/// Slots that were ever given out.
pub(crate) fn slots_in_use(engine: &Engine) -> Result<u32> {
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    Ok(catalog.number(&txn, "nextSlot")?.unwrap_or(0) as u32)
}

fn has_expired(engine: &Engine) -> Result<bool> {
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let mut cursor = txn.cursor(catalog.db.expiry)?;
    let due = cursor.next()?.and_then(|(key, _)| key.get(..8)?.try_into().ok()).map(u64::from_be_bytes);
    Ok(due.is_some_and(|due| due <= engine.now()))
}

fn has_dropped(engine: &Engine) -> Result<bool> {
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let mut cursor = txn.cursor(catalog.db.dropped)?;
    Ok(cursor.next()?.is_some())
}

/// Adds what this process counted to the catalog's counters; the commit takes it from what is pending.
pub(crate) fn flush_counters(engine: &Engine, writer: &Writer) -> Result<()> {
    let counts: Vec<_> = engine.all_pending_counts();
    if !counts.is_empty() {
        writer.call(Op::Count(counts))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalog::Counters;
    use crate::{OpenOptions, Store};

    #[test]
    fn one_that_is_stopped_before_its_first_round_still_has_a_last_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
        let (engine, writer) = (&store.engine, store.writer().unwrap());
        for times in 1..=50 {
            engine.count("n", Counters { hits: 1, ..Counters::default() });
            Housekeeper::start(Arc::clone(engine), Arc::clone(writer)).stop();
            assert!(engine.pending_counts("n").is_zero(), "closing number {times}");
        }
        assert_eq!(store.counters("n").unwrap().hits, 50);
    }
}
