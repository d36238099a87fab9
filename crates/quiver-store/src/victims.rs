//! Who leaves when a write finds the cache full. The evictor, which asks the policy, prepares victims ahead; a
//! write that needs room takes from those, and only when there are none falls back to the least recently used
//! of a sample. It prepares some more of these, since the next write will find the cache as full; those that are used
//! meanwhile stay. The next sample goes on where this one ended.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::catalog::Catalog;
use crate::catalog::keys::{self, NamespaceId};
use crate::catalog::lmdb::Read;
use crate::catalog::record::{Flags, Record};
use crate::engine::Engine;
use crate::error::Result;
use crate::writer::Victim;

/// Entries looked at when nothing is prepared, which takes milliseconds.
const SAMPLE: usize = 4_096;
/// The part of a sample that may leave: of few entries none but those that have to.
const LEAVING: usize = 16;

/// Victims chosen ahead.
#[derive(Debug, Default)]
pub struct Victims {
    ahead: Mutex<Ahead>,
}

#[derive(Debug, Default)]
struct Ahead {
    /// In order.
    prepared: VecDeque<Prepared>,
    /// Where the next sample begins; empty after one that saw all there are.
    hand: Vec<u8>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The entry as it was when chosen.
    pub victim: Victim,
    /// Bytes it takes on disk.
    pub allocated: u64,
    /// When it had been used last, if it is to leave for that.
    pub used: Option<u64>,
}

impl Victims {
    /// Replaces what is prepared.
    pub fn prepare(&self, victims: Vec<Prepared>) {
        self.lock().prepared = victims.into();
    }

    /// Victims that make the room that is wanted, as far as those that are prepared and a few thousand entries give it.
    pub fn take(
        &self,
        engine: &Engine,
        catalog: &Catalog,
        txn: &impl Read,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Victim>> {
        let mut choice = Choice { engine, wanted, victims: Vec::new() };
        let mut ahead = self.lock();
        let mut index = 0;
        while !choice.is_made() && index < ahead.prepared.len() {
            let next = if choice.wanted.may_be(&ahead.prepared[index].victim.entry) {
                ahead.prepared.remove(index)
            } else {
                None
            };
            let Some(Prepared { victim, allocated, used }) = next else {
                index += 1;
                continue;
            };
            if let Some(record) = still_there(catalog, txn, &victim)?
                && used.is_none_or(|used| last_use(engine, &record) <= used)
            {
                choice.take(victim, record.file(), allocated);
            }
        }
        if !choice.is_made() {
            choice.least_recent(catalog, txn, &mut ahead)?;
        }
        Ok(choice.victims)
    }

    fn lock(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room that a write wants.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Bytes to be given back.
    pub bytes: u64,
    /// Entries to leave.
    pub entries: u64,
    /// Of which namespace; none = of any.
    pub scope: Option<NamespaceId>,
    /// The entry that is written: what it took so far is no room for others.
    pub writing: &'a [u8],
}

impl Wanted<'_> {
    fn may_be(&self, entry: &[u8]) -> bool {
        self.is_in_scope(entry) && entry != self.writing
    }

    fn is_in_scope(&self, entry: &[u8]) -> bool {
        self.scope.is_none_or(|id| keys::namespace_of(entry) == Some(id))
    }
}

/// Victims on their way to the room that is wanted.
struct Choice<'a> {
    engine: &'a Engine,
    wanted: Wanted<'a>,
    victims: Vec<Victim>,
}

impl Choice<'_> {
    fn is_made(&self) -> bool {
        self.wanted.bytes == 0 && self.wanted.entries == 0
    }

    /// Takes one more, unless somebody holds its file.
    fn take(&mut self, victim: Victim, file: Option<u64>, allocated: u64) {
        if file.is_some_and(|content| self.engine.holds.is_held(content)) {
            return;
        }
        self.wanted.bytes = self.wanted.bytes.saturating_sub(allocated);
        self.wanted.entries = self.wanted.entries.saturating_sub(1);
        self.victims.push(victim);
    }

    /// Takes the least recently used of a sample, and prepares those that come next.
    fn least_recent(&mut self, catalog: &Catalog, txn: &impl Read, ahead: &mut Ahead) -> Result<()> {
        let mut candidates = self.sample(catalog, txn, &mut ahead.hand)?;
        let leaving = candidates.len() / LEAVING;
        candidates.sort_by_key(Candidate::rank);
        for (index, Candidate { used, file, allocated, victim, .. }) in candidates.into_iter().enumerate() {
            if !self.is_made() {
                self.take(victim, file, allocated);
            } else if index < leaving {
                ahead.prepared.push_back(Prepared { victim, allocated, used: Some(used) });
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Some thousand entries that may leave: those behind `hand`, and after the last one the first.
    fn sample(&self, catalog: &Catalog, txn: &impl Read, hand: &mut Vec<u8>) -> Result<Vec<Candidate>> {
        let first = self.wanted.scope.map_or_else(Vec::new, |id| id.to_be_bytes().to_vec());
        let begin = if self.wanted.is_in_scope(hand) { std::mem::take(hand) } else { first.clone() };
        let taken: HashSet<&[u8]> = self.victims.iter().map(|victim| victim.entry.as_slice()).collect();
        let mut candidates = Vec::new();
        let mut cursor = txn.cursor(catalog.db.entries)?;
        for (from, to) in [(&begin, None), (&first, Some(&begin))] {
            let mut pair = cursor.seek(from)?;
            while let Some((entry, bytes)) = pair
                && self.wanted.is_in_scope(entry)
                && to.is_none_or(|to| entry < to.as_slice())
            {
                if candidates.len() == SAMPLE {
                    *hand = entry.to_vec();
                    return Ok(candidates);
                }
                if self.wanted.may_be(entry) && !taken.contains(entry) {
                    candidates.extend(self.candidate(entry, bytes));
                }
                pair = cursor.next()?;
            }
        }
        Ok(candidates)
    }

    fn candidate(&self, entry: &[u8], bytes: &[u8]) -> Option<Candidate> {
        let record = Record::decode(bytes).filter(|record| !record.flags.has(Flags::PINNED))?;
        Some(Candidate {
            priority: record.priority,
            used: last_use(self.engine, &record),
            file: record.file(),
            allocated: record.allocated,
            victim: Victim { entry: entry.to_vec(), stamp: record.stamp },
        })
    }
}

/// An entry that may leave.
struct Candidate {
    priority: i32,
    /// When it was used last.
    used: u64,
    file: Option<u64>,
    allocated: u64,
    victim: Victim,
}

impl Candidate {
    fn rank(&self) -> (i32, u64) {
        (self.priority, self.used)
    }
}

/// When an entry was used last, in ms.
fn last_use(engine: &Engine, record: &Record) -> u64 {
    engine.heat.usage(record.slot, engine.now()).last_access.max(record.created)
}

fn still_there(catalog: &Catalog, txn: &impl Read, victim: &Victim) -> Result<Option<Record>> {
    Ok(txn
        .get(catalog.db.entries, &victim.entry)?
        .and_then(Record::decode)
        .filter(|record| record.stamp == victim.stamp && !record.flags.has(Flags::PINNED)))
}
