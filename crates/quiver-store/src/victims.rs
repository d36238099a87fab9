//! Who leaves when a write finds the cache full. The evictor, which asks the policy, prepares victims ahead; a
//! write that needs room takes from those, and only when there are none falls back to the least recently used
//! of a sample.

use std::collections::{HashSet, VecDeque};
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

    /// Victims that make the room that is wanted, as far as those that are prepared and the first few thousand entries
    /// give it.
    pub fn take(
        &self,
        engine: &Engine,
        catalog: &Catalog,
        txn: &impl Read,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Victim>> {
        let mut choice = Choice { engine, wanted, victims: Vec::new() };
        {
            let mut prepared = self.prepared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let mut index = 0;
            while !choice.is_made() && index < prepared.len() {
                let next = if choice.wanted.may_be(&prepared[index].victim.entry) {
                    prepared.remove(index)
                } else {
                    None
                };
                let Some(Prepared { victim, allocated }) = next else {
                    index += 1;
                    continue;
                };
                if let Some(record) = still_there(catalog, txn, &victim)? {
                    choice.take(victim, record.file(), allocated);
                }
            }
        }
        if !choice.is_made() {
            least_recent(catalog, txn, &mut choice)?;
        }
        Ok(choice.victims)
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
}

fn still_there(catalog: &Catalog, txn: &impl Read, victim: &Victim) -> Result<Option<Record>> {
    Ok(txn
        .get(catalog.db.entries, &victim.entry)?
        .and_then(Record::decode)
        .filter(|record| record.stamp == victim.stamp && !record.flags.has(Flags::PINNED)))
}

fn least_recent(catalog: &Catalog, txn: &impl Read, choice: &mut Choice<'_>) -> Result<()> {
    let engine = choice.engine;
    let start = choice.wanted.scope.map_or_else(Vec::new, |id| id.to_be_bytes().to_vec());
    let taken: HashSet<&[u8]> = choice.victims.iter().map(|victim| victim.entry.as_slice()).collect();
    let mut candidates = Vec::new();
    let mut cursor = txn.cursor(catalog.db.entries)?;
    let mut pair = cursor.seek(&start)?;
    while let Some((entry, bytes)) = pair
        && choice.wanted.is_in_scope(entry)
        && candidates.len() < SAMPLE
    {
        let is_free = choice.wanted.may_be(entry) && !taken.contains(entry);
        if let Some(record) =
            Record::decode(bytes).filter(|record| is_free && !record.flags.has(Flags::PINNED))
        {
            let used = engine.heat.usage(record.slot, engine.now()).last_access.max(record.created);
            candidates.push((
                record.priority,
                used,
                (record.file(), record.allocated),
                Victim { entry: entry.to_vec(), stamp: record.stamp },
            ));
        }
        pair = cursor.next()?;
    }
    candidates.sort_by_key(|candidate| (candidate.0, candidate.1));
    for (_, _, (file, allocated), victim) in candidates {
        if choice.is_made() {
            break;
        }
        choice.take(victim, file, allocated);
    }
    Ok(())
}
