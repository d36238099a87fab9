//! Choosing who leaves. The policy itself is the caller's: it sees candidates as columns and gives scores; here
//! the lowest are kept in a bounded heap, so that a million candidates are ranked without being sorted.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::catalog::keys::{self, NamespaceId};
use crate::catalog::lmdb::Read;
use crate::catalog::record::{Flags, NEVER, Record};
use crate::engine::Engine;
use crate::error::Result;
use crate::heat::Usage;
use crate::housekeeper::slots_in_use;
use crate::victims::Prepared;
use crate::writer::{Op, Outcome, Reason, Removed, Victim, Writer};

/// Candidates as columns.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "each is what its name says; times in ms, sizes in allocated bytes")]
pub struct Columns {
    pub created: Vec<f64>,
    pub last_access: Vec<f64>,
    pub count: Vec<u32>,
    pub size: Vec<f64>,
    pub priority: Vec<i32>,
    pub expires: Vec<f64>,
    pub visited: Vec<u8>,
}

/// What is to be freed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Goal {
    /// Allocated bytes.
    pub allocated: u64,
    /// Entries.
    pub entries: u64,
}

struct Candidate {
    priority: i32,
    score: f64,
    order: u64,
    allocated: u64,
    slot: u32,
    victim: Victim,
}

impl Candidate {
    fn rank(&self) -> (i32, f64, u64) {
        (self.priority, self.score, self.order)
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Candidate {}
impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.rank(), other.rank());
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
    }
}

/// One pass over the candidates.
pub struct Scan {
    namespaces: Option<Vec<NamespaceId>>,
    goal: Goal,
    /// By slot; taken with the first candidates, since it takes milliseconds where there are many.
    usage: Option<Vec<Usage>>,
    at: Option<Vec<u8>>,
    ended: bool,
    order: u64,
    offered: Vec<Candidate>,
    /// The worst of the kept on top.
    kept: BinaryHeap<Candidate>,
    kept_bytes: u64,
    visited: Vec<u32>,
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scan {{ kept: {}, ended: {} }}", self.kept.len(), self.ended)
    }
}

impl Scan {
    /// Begins a pass over some namespaces, or all. Quick enough for JavaScript's thread.
    pub fn begin(engine: &Engine, names: Option<&[String]>, goal: Goal) -> Result<Self> {
        let catalog = engine.catalog()?;
        let txn = catalog.env.read()?;
        let namespaces = match names {
            None => None,
            Some(names) => {
                let mut ids = Vec::new();
                for name in names {
                    ids.extend(catalog.namespace(&txn, name)?.map(|space| space.id));
                }
                ids.sort_unstable();
                Some(ids)
            }
        };
        drop(txn);
        drop(catalog);
        Ok(Self {
            namespaces,
            goal,
            usage: None,
            at: None,
            ended: false,
            order: 0,
            offered: Vec::new(),
            kept: BinaryHeap::new(),
            kept_bytes: 0,
            visited: Vec::new(),
        })
    }

    /// The next candidates, up to `limit`; none at the end. Pinned and expired entries are none.
    pub fn next(&mut self, engine: &Engine, limit: usize) -> Result<Option<Columns>> {
        self.offered.clear();
        if self.ended {
            return Ok(None);
        }
        if self.usage.is_none() {
            self.usage = Some(engine.heat.snapshot(slots_in_use(engine)?, engine.now())?);
        }
        let catalog = engine.catalog()?;
        let txn = catalog.env.read()?;
        let live: std::collections::HashSet<NamespaceId> =
            catalog.namespaces(&txn)?.into_iter().map(|(_, space)| space.id).collect();
        let now = engine.now();
        let mut columns = Columns::default();
        let mut cursor = txn.cursor(catalog.db.entries)?;
        let start = self.at.take().unwrap_or_default();
        let mut pair = cursor.seek(&start)?;
        if pair.is_some_and(|(entry, _)| entry == start.as_slice()) {
            pair = cursor.next()?;
        }
        while let Some((entry, bytes)) = pair {
            if self.offered.len() >= limit {
                self.at = self.offered.last().map(|last| last.victim.entry.clone());
                return Ok(Some(columns));
            }
            let id = keys::namespace_of(entry).unwrap_or_default();
            let wanted = live.contains(&id)
                && self.namespaces.as_ref().is_none_or(|ids| ids.binary_search(&id).is_ok());
            if wanted
                && let Some(record) = Record::decode(bytes)
                && !record.flags.has(Flags::PINNED)
                && !record.is_gone(now)
            {
                self.add(&mut columns, entry, &record, now);
            }
            pair = cursor.next()?;
        }
        self.ended = true;
        Ok((!self.offered.is_empty()).then_some(columns))
    }

    fn add(&mut self, columns: &mut Columns, entry: &[u8], record: &Record, now: u64) {
        let mut usage = self
            .usage
            .as_ref()
            .and_then(|usage| usage.get(record.slot as usize))
            .copied()
            .unwrap_or_default();
        if usage.is_from_before(record.created) {
            // The slot's former entry was used, not this one.
            usage = Usage::default();
        }
        let seed = record.seed_access.unwrap_or((0, 0));
        let last = usage.last_access.max(seed.0).max(record.created).min(now);
        columns.created.push(record.created.min(now) as f64);
        columns.last_access.push(last as f64);
        columns.count.push(usage.count.saturating_add(seed.1 as u32));
        columns.size.push(record.allocated as f64);
        columns.priority.push(record.priority);
        columns.expires.push(if record.expires == NEVER { f64::INFINITY } else { record.expires as f64 });
        columns.visited.push(u8::from(usage.visited));
        self.order += 1;
        self.offered.push(Candidate {
            priority: record.priority,
            score: 0.0,
            order: record.content,
            allocated: record.allocated,
            slot: if usage.visited { record.slot } else { u32::MAX },
            victim: Victim { entry: entry.to_vec(), stamp: record.stamp },
        });
    }

    /// Scores for the last candidates, lowest leaves first. Twice the goal is kept: the surplus is prepared for
    /// writes that find the cache full.
    pub fn offer(&mut self, scores: &[f64]) {
        for (mut candidate, score) in std::mem::take(&mut self.offered).into_iter().zip(scores) {
            candidate.score = if score.is_nan() { 0.0 } else { *score };
            if candidate.slot != u32::MAX {
                self.visited.push(candidate.slot);
            }
            self.kept_bytes += candidate.allocated;
            self.kept.push(candidate);
            while let Some(worst) = self.kept.peek()
                && self.kept.len() as u64 > self.goal.entries.saturating_mul(2).max(64)
                && self.kept_bytes - worst.allocated >= self.goal.allocated.saturating_mul(2)
            {
                self.kept_bytes -= worst.allocated;
                self.kept.pop();
            }
        }
    }

    /// Removes the lowest-scored until the goal is met, each only if unchanged.
    pub fn evict(&mut self, engine: &Engine, writer: &Writer, goal: Goal) -> Result<Removed> {
        const BATCH: usize = 1_000;
        let ranked = std::mem::take(&mut self.kept).into_sorted_vec();
        self.kept_bytes = 0;
        let mut sum = Removed::default();
        let mut freed = 0;
        let mut rest = ranked.into_iter().peekable();
        while rest.peek().is_some() && (freed < goal.allocated || sum.count < goal.entries) {
            let mut batch = Vec::new();
            let mut expected = 0;
            while batch.len() < BATCH
                && (freed + expected < goal.allocated || sum.count + (batch.len() as u64) < goal.entries)
            {
                let Some(next) = rest.next() else { break };
                expected += next.allocated;
                batch.push(next);
            }
            let victims = batch.iter().map(|candidate| candidate.victim.clone()).collect();
            if let Outcome::Removed(removed) = writer.call(Op::Remove { victims, reason: Reason::Evict })? {
                let gone: std::collections::HashSet<&[u8]> =
                    removed.entries.iter().map(Vec::as_slice).collect();
                freed += batch
                    .iter()
                    .filter(|candidate| gone.contains(candidate.victim.entry.as_slice()))
                    .map(|candidate| candidate.allocated)
                    .sum::<u64>();
                sum.count += removed.count;
                sum.bytes += removed.bytes;
                let room = 1_000_usize.saturating_sub(sum.entries.len());
                sum.entries.extend(removed.entries.into_iter().take(room));
            }
        }
        engine.victims.prepare(
            rest.map(|Candidate { allocated, victim, .. }| Prepared { victim, allocated, used: None })
                .collect(),
        );
        engine.heat.unvisit(&std::mem::take(&mut self.visited))?;
        Ok(sum)
    }
}
