//! Reading: one entry, sums.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::catalog::keys::{self, NamespaceId};
use crate::catalog::lmdb::{self, Env, Read, ReadTxn};
use crate::catalog::record::{Glance, NEVER, Record, Term};
use crate::catalog::{Catalog, NamespaceRecord, Totals, values};
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::settings::Layout;
use crate::writer::versions_of;

/// A namespace as a process has it open.
#[derive(Debug)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Word of the stamp table that holds its epoch.
    pub slot: u32,
    /// Epoch and number as last read: `epoch << 32 | id`.
    current: AtomicU64,
    /// Whether its layout is `Named`: asked for at every miss, where the lock below would show.
    named: AtomicBool,
    settings: Mutex<NamespaceRecord>,
}

impl Namespace {
    /// From what is recorded.
    pub fn new(name: &str, record: NamespaceRecord) -> Self {
        Self {
            name: name.to_owned(),
            slot: record.slot,
            current: AtomicU64::new(u64::from(record.epoch) << 32 | u64::from(record.id)),
            named: AtomicBool::new(record.settings.layout == Layout::Named),
            settings: Mutex::new(record),
        }
    }

    /// As recorded when this process last looked.
    pub fn record(&self) -> NamespaceRecord {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether its values have readable names.
    pub fn is_named(&self) -> bool {
        self.named.load(Ordering::Relaxed)
    }

    /// Whether values that were replaced are kept.
    pub fn keeps_versions(&self) -> bool {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).settings.versions > 0
    }

    /// Takes over what was just recorded.
    pub fn update(&self, record: NamespaceRecord) {
        self.current.store(u64::from(record.epoch) << 32 | u64::from(record.id), Ordering::Release);
        self.named.store(record.settings.layout == Layout::Named, Ordering::Relaxed);
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = record;
    }

    /// Number and epoch of the present content. While the epoch's word is what it was, nothing was cleared: the
    /// word moves before the commit that clears.
    pub fn current(&self, engine: &Engine, catalog: &Catalog, txn: &impl Read) -> Result<(NamespaceId, u32)> {
        let known = self.current.load(Ordering::Acquire);
        let epoch = (known >> 32) as u32;
        if engine.stamps.load(self.slot) == Some(epoch) {
            return Ok((known as NamespaceId, epoch));
        }
        let record = catalog
            .namespace(txn, &self.name)?
            .ok_or_else(|| Error::new(Code::BadNamespace, format!("namespace {:?} is gone", self.name)))?;
        let now = (record.id, record.epoch);
        self.update(record);
        Ok(now)
    }
}

/// An entry as found.
#[derive(Debug)]
pub struct Found {
    /// Its facts.
    pub record: Record,
    /// Epoch of the namespace in the same snapshot.
    pub epoch: u32,
    /// The word of its slot was the record's stamp: memory may hold on to it.
    pub coherent: bool,
}

/// How old an entry may be that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// Not expired.
    Fresh,
    /// Expired or not, as long as it is kept.
    Stale,
    /// Whatever is recorded.
    Any,
}

impl Age {
    /// The clock is asked for what can run out only.
    fn allows(self, term: Term, engine: &Engine) -> bool {
        match self {
            _ if term.expires == NEVER => true,
            Self::Fresh => !term.is_expired(engine.now()),
            Self::Stale => !term.is_gone(engine.now()),
            Self::Any => true,
        }
    }
}

/// An entry as a snapshot shows it, before anything of its record is copied.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'t> {
    /// What the record says.
    pub glance: Glance<'t>,
    /// Epoch of the namespace in the same snapshot.
    pub epoch: u32,
    /// The word of its slot was the record's stamp: memory may hold on to it.
    pub coherent: bool,
    bytes: &'t [u8],
}

/// The whole record of what was seen; none where it reads at a glance only, as one of a later version may.
pub fn found(seen: &Seen<'_>) -> Option<Found> {
    let record = Record::decode(seen.bytes)?;
    Some(Found { record, epoch: seen.epoch, coherent: seen.coherent })
}

/// Looks an entry up and shows it to `see`, within the snapshot. A packed value is read into what `room` has for so
/// many bytes, and checked against its sum. `begin` gives the snapshot.
pub fn look<'v, R>(
    engine: &Engine,
    begin: impl FnOnce(&Env) -> lmdb::Result<ReadTxn<'_>>,
    namespace: &Namespace,
    key: &[u8],
    age: Age,
    room: impl FnOnce(usize) -> &'v mut [u8],
    see: impl FnOnce(&Seen<'_>) -> R,
) -> Result<Option<R>> {
    let place = engine.catalog_in_place();
    let catalog = place.as_ref().ok_or_else(|| engine.closed())?;
    let txn = begin(&catalog.env)?;
    let (id, epoch) = namespace.current(engine, catalog, &txn)?;
    let entry = keys::with_entry_key(id, key, |entry| txn.get(catalog.db.entries, entry))?;
    let Some(bytes) = entry else { return Ok(None) };
    // Unreadable = of a later version: a miss, and never deleted.
    let Some(glance) = Glance::of(bytes) else { return Ok(None) };
    if !age.allows(glance.term, engine) || glance.long_key.is_some_and(|whole| whole != key) {
        return Ok(None);
    }
    if glance.is_inline()
        && let Err(error) = values::read(&txn, &catalog.db, &glance, room)
    {
        txn.end();
        return Err(error.about(key));
    }
    let _ = engine.stamps.ensure(glance.slot);
    // While a clear is between its stamp and its commit, this snapshot shows what is about to be gone.
    let coherent = engine.stamps.load(glance.slot) == Some(glance.stamp)
        && engine.stamps.load(namespace.slot) == Some(epoch);
    let answer = see(&Seen { glance, epoch, coherent, bytes });
    // Absences come in a row. What is found is read next, perhaps from a slow disk.
    txn.end();
    Ok(Some(answer))
}

/// Looks up an entry that has not expired, with its whole record. `value` gets a packed value.
pub fn lookup(
    engine: &Engine,
    namespace: &Namespace,
    key: &[u8],
    value: &mut Vec<u8>,
) -> Result<Option<Found>> {
    lookup_aged(engine, namespace, key, Age::Fresh, value)
}

/// The same for entries of other ages.
pub fn lookup_aged(
    engine: &Engine,
    namespace: &Namespace,
    key: &[u8],
    age: Age,
    value: &mut Vec<u8>,
) -> Result<Option<Found>> {
    Ok(look(engine, Env::read, namespace, key, age, room_in(value), found)?.flatten())
}

/// Room for a packed value in a vector, which is left with nothing else.
pub(crate) fn room_in<'v>(value: &'v mut Vec<u8>) -> impl FnOnce(usize) -> &'v mut [u8] {
    value.clear();
    move |size| {
        value.resize(size, 0);
        value
    }
}

/// A kept older value.
pub fn lookup_version(
    engine: &Engine,
    namespace: &Namespace,
    key: &[u8],
    number: u32,
    value: &mut Vec<u8>,
) -> Result<Option<Record>> {
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let (id, _) = namespace.current(engine, &catalog, &txn)?;
    let entry = keys::entry_key(id, key);
    let numbered = |bytes: &&[u8]| Record::decode(bytes).is_some_and(|record| record.number == number);
    let bytes = match txn.get(catalog.db.entries, &entry)?.filter(numbered) {
        Some(present) => Some(present),
        None => txn.get(catalog.db.versions, &keys::version_key(&entry, number))?,
    };
    let Some((record, glance)) = bytes.and_then(|bytes| Record::decode(bytes).zip(Glance::of(bytes))) else {
        return Ok(None);
    };
    if glance.is_inline() {
        values::read(&txn, &catalog.db, &glance, room_in(value)).map_err(|error| error.about(key))?;
    }
    Ok(Some(record))
}

/// Kept older values, newest first.
pub fn versions(engine: &Engine, namespace: &Namespace, key: &[u8]) -> Result<Vec<Record>> {
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let (id, _) = namespace.current(engine, &catalog, &txn)?;
    let mut out: Vec<Record> = versions_of(&catalog, &txn, &keys::entry_key(id, key))?
        .into_iter()
        .map(|(_, record)| record)
        .collect();
    out.reverse();
    Ok(out)
}

/// Sums over a namespace.
pub fn totals(engine: &Engine, namespace: &Namespace) -> Result<Totals> {
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let (id, _) = namespace.current(engine, &catalog, &txn)?;
    Ok(catalog.totals.get(&txn, id)?.unwrap_or_default())
}

/// Words that differ from their record for longer than a commit takes were left by a killed writer.
#[derive(Debug, Default)]
pub struct Incoherent {
    seen: Mutex<HashMap<u32, (u32, u64)>>,
}

impl Incoherent {
    /// Notes one; true when it has been so for a second, and a mend is due.
    pub fn note(&self, slot: u32, word: u32, now: u64) -> bool {
        const KEPT: usize = 4_096;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(&slot) {
            Some(&(before, since)) if before == word => {
                let due = now.saturating_sub(since) >= 1_000;
                if due {
                    seen.remove(&slot);
                }
                due
            }
            _ => {
                if seen.len() >= KEPT {
                    seen.clear();
                }
                seen.insert(slot, (word, now));
                false
            }
        }
    }
}
