//! Who leaves when a write finds the cache full. The evictor, which asks the policy, prepares victims ahead; a
//! write that needs room takes from those, and only when there are none falls back to the least recently used
//! of a sample.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::catalog::Catalog;
use crate::catalog::keys::{self, NamespaceId};
use crate::catalog::lmdb::Read;
use crate::catalog::record::{Flags, Record};
use crate::engine::Engine;
use crate::error::Result;
use crate::writer::Victim;

/// Entries looked at when nothing is prepared.
const SAMPLE: usize = 4_096;

/// Victims chosen ahead, in order.
#[derive(Debug, Default)]
pub struct Victims {
    prepared: Mutex<VecDeque<Prepared>>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The entry as it was when chosen.
    pub victim: Victim,
    /// Bytes it takes on disk.
    pub allocated: u64,
}

impl Victims {
    /// Replaces what is prepared.
    pub fn prepare(&self, victims: Vec<Prepared>) {
        *self.prepared.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = victims.into();
    }

    /// Victims worth `bytes` and `entries`, of one namespace or of all.
    pub fn take(
        &self,
        engine: &Engine,
        catalog: &Catalog,
        txn: &impl Read,
        scope: Option<NamespaceId>,
        bytes: u64,
        entries: u64,
    ) -> Result<Vec<Victim>> {
        let mut goal = Goal { bytes, entries };
        let mut out = Vec::new();
        {
            let mut prepared = self.prepared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let mut index = 0;
            while !goal.is_met() && index < prepared.len() {
                let in_scope =
                    scope.is_none_or(|id| keys::namespace_of(&prepared[index].victim.entry) == Some(id));
                let next = if in_scope { prepared.remove(index) } else { None };
                let Some(next) = next else {
                    index += 1;
                    continue;
                };
                if still_there(catalog, txn, &next.victim)? {
                    goal.reached(next.allocated);
                    out.push(next.victim);
                }
            }
        }
        if !goal.is_met() {
            out.extend(least_recent(engine, catalog, txn, scope, &mut goal)?);
        }
        Ok(out)
    }
}

struct Goal {
    bytes: u64,
    entries: u64,
}

impl Goal {
    fn is_met(&self) -> bool {
        self.bytes == 0 && self.entries == 0
    }
    fn reached(&mut self, allocated: u64) {
        self.bytes = self.bytes.saturating_sub(allocated);
        self.entries = self.entries.saturating_sub(1);
    }
}

fn still_there(catalog: &Catalog, txn: &impl Read, victim: &Victim) -> Result<bool> {
    Ok(txn
        .get(catalog.db.entries, &victim.entry)?
        .and_then(Record::decode)
        .is_some_and(|record| record.stamp == victim.stamp && !record.flags.has(Flags::PINNED)))
}

fn least_recent(
    engine: &Engine,
    catalog: &Catalog,
    txn: &impl Read,
    scope: Option<NamespaceId>,
    goal: &mut Goal,
) -> Result<Vec<Victim>> {
    let start = scope.map_or_else(Vec::new, |id| id.to_be_bytes().to_vec());
    let mut candidates = Vec::new();
    let mut cursor = txn.cursor(catalog.db.entries)?;
    let mut pair = cursor.seek(&start)?;
    while let Some((entry, bytes)) = pair
        && scope.is_none_or(|id| keys::namespace_of(entry) == Some(id))
        && candidates.len() < SAMPLE
    {
        if let Some(record) = Record::decode(bytes).filter(|record| !record.flags.has(Flags::PINNED)) {
            let used = engine.heat.usage(record.slot, engine.now()).last_access.max(record.created);
            candidates.push((
                record.priority,
                used,
                record.allocated,
                Victim { entry: entry.to_vec(), stamp: record.stamp },
            ));
        }
        pair = cursor.next()?;
    }
    candidates.sort_by_key(|candidate| (candidate.0, candidate.1));
    let mut out = Vec::new();
    for (_, _, allocated, victim) in candidates {
        if goal.is_met() {
            break;
        }
        goal.reached(allocated);
        out.push(victim);
    }
    Ok(out)
}
