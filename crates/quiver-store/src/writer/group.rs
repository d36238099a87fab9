//! One write transaction: requests are applied to it one after the other, then committed together.
//!
//! Every word of the stamp table that a request concerns is stored while the transaction is open, before the
//! commit. Until the commit, or if the process dies first, word and record differ, which readers take as "look it
//! up", never as "still valid".

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use super::after::After;
use super::ops::{FactChanges, Op, Outcome, Removed};
use super::slots::Slots;
use crate::catalog::keys::{self, NamespaceId};
use crate::catalog::lmdb::{Read, WriteTxn};
use crate::catalog::record::{Flags, NEVER, Record, Row};
use crate::catalog::{Catalog, Counters, NamespaceRecord, Totals, values};
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::names;
use crate::settings::RootSettings;

/// An open write transaction and what it has done so far.
pub struct Group<'g> {
    pub(super) engine: &'g Engine,
    pub(super) catalog: &'g Catalog,
    pub(super) txn: WriteTxn<'g>,
    pub(super) stamp: u32,
    pub(super) now: u64,
    pub(super) root: RootSettings,
    pub(super) slots: Slots,
    namespaces: HashMap<String, Rc<NamespaceRecord>>,
    totals: HashMap<NamespaceId, Totals>,
    counters: HashMap<String, Counters>,
    /// What of them is still pending in the engine.
    counted: Vec<(String, Counters)>,
    names: HashMap<NamespaceId, String>,
    /// The newest calls of this group on keys of which a write is under way.
    tickets: HashMap<u64, u64>,
    /// Bytes of a part of a value.
    part: usize,
    /// What was evicted to make room.
    pub(super) evicted: Vec<Removed>,
    pub(super) after: After,
}

impl<'g> Group<'g> {
    /// Begins the transaction. Values that lie apart are written in parts of so many bytes.
    pub fn begin(engine: &'g Engine, catalog: &'g Catalog, part: usize) -> Result<Self> {
        let txn = catalog.env.write()?;
        let base = catalog.number(&txn, "stampBase")?.unwrap_or(0);
        let stamp = base.wrapping_add(txn.id()) as u32;
        Ok(Self {
            engine,
            catalog,
            stamp,
            now: engine.now(),
            root: engine.settings(),
            slots: Slots::default(),
            namespaces: HashMap::new(),
            totals: HashMap::new(),
            counters: HashMap::new(),
            counted: Vec::new(),
            names: HashMap::new(),
            tickets: HashMap::new(),
            part,
            evicted: Vec::new(),
            after: After::default(),
            txn,
        })
    }

    /// Applies one request, at the time that it is now.
    pub fn apply(&mut self, op: &mut Op) -> Result<Outcome> {
        self.now = self.engine.now();
        match op {
            Op::Put(put) => self.put(put),
            Op::PutMany(puts) => self.put_many(puts),
            Op::Delete { namespace, key, ticket } => self.delete(namespace, key, *ticket),
            Op::Touch { namespace, key, changes, ticket } => self.touch(namespace, key, changes, *ticket),
            Op::Clear { namespace } => self.clear(namespace),
            Op::DeleteTagged { namespace, tag } => self.delete_tagged(namespace, tag),
            Op::Remove { victims, reason } => self.remove_victims(victims, *reason),
            Op::Expire { counted } => self.expire(*counted),
            Op::Reclaim => self.reclaim(),
            Op::OpenNamespace { namespace, settings, reconfigure } => {
                self.open_namespace(namespace, settings, *reconfigure)
            }
            Op::Count(counts) => {
                for (name, more) in counts.iter() {
                    let sum = self.counters.entry(name.clone()).or_default();
                    *sum = sum.plus(*more);
                }
                self.counted.extend_from_slice(counts);
                Ok(Outcome::Done)
            }
            Op::Mend { entry } => self.mend(entry),
            Op::SetDigest { entry, content, sha256 } => self.set_digest(entry, *content, *sha256),
        }
    }

    /// Commits, and hands over what follows.
    pub fn commit(mut self) -> Result<After> {
        for (id, totals) in &self.totals {
            self.catalog.totals.put(&mut self.txn, *id, *totals)?;
        }
        for (name, more) in &self.counters {
            self.catalog.add_counters(&mut self.txn, name, *more)?;
        }
        self.record_slots()?;
        let sum = self.catalog.totals.sum(&self.txn)?;
        self.txn.commit()?;
        self.engine.order.note(self.tickets);
        for removed in self.evicted {
            self.engine.note_evicted(removed);
        }
        self.engine.note_counted(&self.counted);
        self.engine.note_usage(sum);
        Ok(self.after)
    }

    /// What `Order::newest` says, this group's own calls included.
    pub(super) fn newest_call(&self, namespace: &str, key: &[u8]) -> Option<(u64, u64)> {
        let (hash, newest) = self.engine.order.newest(namespace, key)?;
        Some((hash, self.tickets.get(&hash).map_or(newest, |own| newest.max(*own))))
    }

    /// The call takes effect with this group. `newest` is the one before it.
    pub(super) fn note_call(&mut self, newest: Option<(u64, u64)>, ticket: u64) {
        if let Some((hash, _)) = newest {
            self.tickets.insert(hash, ticket);
        }
    }

    pub(super) fn namespace(&mut self, name: &str) -> Result<Rc<NamespaceRecord>> {
        if let Some(record) = self.namespaces.get(name) {
            return Ok(Rc::clone(record));
        }
        let record = self.catalog.namespace(&self.txn, name)?.ok_or_else(|| {
            Error::new(Code::BadNamespace, format!("there is no namespace {name:?} in this cache"))
        })?;
        Ok(self.remember(name, record))
    }

    fn remember(&mut self, name: &str, record: NamespaceRecord) -> Rc<NamespaceRecord> {
        let record = Rc::new(record);
        self.names.insert(record.id, name.to_owned());
        self.namespaces.insert(name.to_owned(), Rc::clone(&record));
        record
    }

    /// The name of the namespace whose present content has this number.
    pub(super) fn name_of(&mut self, id: NamespaceId) -> Result<Option<String>> {
        if !self.names.contains_key(&id) {
            for (name, record) in self.catalog.namespaces(&self.txn)? {
                self.names.insert(record.id, name);
            }
        }
        Ok(self.names.get(&id).cloned())
    }

    pub(super) fn put_namespace(&mut self, name: &str, record: NamespaceRecord) -> Result<()> {
        self.catalog.put_namespace(&mut self.txn, name, &record)?;
        self.remember(name, record);
        Ok(())
    }

    pub(super) fn totals(&mut self, id: NamespaceId) -> Result<&mut Totals> {
        if let std::collections::hash_map::Entry::Vacant(place) = self.totals.entry(id) {
            place.insert(self.catalog.totals.get(&self.txn, id)?.unwrap_or_default());
        }
        self.totals.get_mut(&id).ok_or_else(|| Error::new(Code::Internal, "totals vanished"))
    }

    pub(super) fn forget_totals(&mut self, id: NamespaceId) -> Result<()> {
        self.totals.remove(&id);
        Ok(self.catalog.totals.delete(&mut self.txn, id)?)
    }

    /// Sums over the whole cache as of this moment of the transaction.
    pub(super) fn all_totals(&self) -> Result<Totals> {
        let mut sum = Totals::default();
        self.catalog.totals.each(&self.txn, |id, recorded| {
            sum = sum.plus(self.totals.get(&id).copied().unwrap_or(recorded));
        })?;
        for (id, totals) in &self.totals {
            if self.catalog.totals.get(&self.txn, *id)?.is_none() {
                sum = sum.plus(*totals);
            }
        }
        Ok(sum)
    }

    pub(super) fn count(&mut self, namespace: &str, change: impl FnOnce(&mut Counters)) {
        change(self.counters.entry(namespace.to_owned()).or_default());
    }

    /// The record under an entry key. A record of a later version reads as an error, so that nothing replaces it.
    pub(super) fn entry(&self, entry: &[u8]) -> Result<Option<Record>> {
        self.read_entry(entry, Record::decode)
    }

    /// The same with the value of an embedded one, for who writes it again.
    fn row(&self, entry: &[u8]) -> Result<Option<Row>> {
        self.read_entry(entry, Row::decode)
    }

    fn read_entry<T>(&self, entry: &[u8], decode: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>> {
        match self.txn.get(self.catalog.db.entries, entry)? {
            None => Ok(None),
            Some(bytes) => decode(bytes).map(Some).ok_or_else(|| {
                Error::new(Code::FormatVersion, "this entry was written by a newer version")
                    .about(keys::user_key(entry))
            }),
        }
    }

    /// Writes an entry, with the value of an embedded one.
    pub(super) fn store_entry(&mut self, entry: &[u8], record: &Record, value: Option<&[u8]>) -> Result<()> {
        self.engine.stamps.store(record.slot, self.stamp)?;
        Ok(self.txn.put(self.catalog.db.entries, entry, &record.encode(value))?)
    }

    /// Decides where the value of a packed entry lies, and writes it there unless that is its record. The entry is not
    /// in the indexes: it gets another content id where another one has its own. Ids of two processes can meet in
    /// one millisecond, once in four million times.
    pub(super) fn settle(
        &mut self,
        id: NamespaceId,
        entry: &[u8],
        record: &mut Record,
        value: &[u8],
    ) -> Result<()> {
        record.embedded = values::fits(entry.len(), record, value.len());
        loop {
            let is_free = if record.embedded {
                !self.is_indexed(id, record)?
            } else {
                values::put(&mut self.txn, &self.catalog.db, record.content, value, self.part)?
            };
            if is_free {
                return Ok(());
            }
            record.content = self.engine.ids.next(self.now);
        }
    }

    /// Whether an entry of the same content id is in a place of the indexes that this one needs.
    fn is_indexed(&self, id: NamespaceId, record: &Record) -> Result<bool> {
        let db = &self.catalog.db;
        let expiry = keys::expiry_key(record.kept_until(), record.content);
        if record.expires != NEVER && self.txn.get(db.expiry, &expiry)?.is_some() {
            return Ok(true);
        }
        for tag in &record.tags {
            if self.txn.get(db.tags, &keys::tag_key(tag, id, record.content))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn index(&mut self, id: NamespaceId, entry: &[u8], record: &Record) -> Result<()> {
        if record.expires != NEVER {
            self.txn.put(
                self.catalog.db.expiry,
                &keys::expiry_key(record.kept_until(), record.content),
                entry,
            )?;
        }
        for tag in &record.tags {
            self.txn.put(self.catalog.db.tags, &keys::tag_key(tag, id, record.content), entry)?;
        }
        Ok(())
    }

    pub(super) fn unindex(&mut self, id: NamespaceId, record: &Record) -> Result<()> {
        if record.expires != NEVER {
            self.txn
                .delete(self.catalog.db.expiry, &keys::expiry_key(record.kept_until(), record.content))?;
        }
        for tag in &record.tags {
            self.txn.delete(self.catalog.db.tags, &keys::tag_key(tag, id, record.content))?;
        }
        Ok(())
    }

    /// Kept older values of an entry, oldest first.
    pub(super) fn versions(&self, entry: &[u8]) -> Result<Vec<(u32, Record)>> {
        versions_of(self.catalog, &self.txn, entry)
    }

    fn touch(&mut self, namespace: &str, key: &[u8], changes: &FactChanges, ticket: u64) -> Result<Outcome> {
        let space = self.namespace(namespace)?;
        let entry = keys::entry_key(space.id, key);
        let row = self.row(&entry)?.filter(|row| !row.record.is_expired(self.now));
        let Some(Row { mut record, value }) = row else { return Ok(Outcome::Touched(None)) };
        if is_overtaken(self.newest_call(namespace, key), ticket) {
            return Ok(Outcome::Touched(Some(Box::new(record))));
        }
        self.unindex(space.id, &record)?;
        if let Some(expires) = changes.expires {
            // What is kept after its expiry is kept as long after the new one.
            let after = record.stale_until.map(|until| until.saturating_sub(record.expires));
            record.expires = expires.unwrap_or(NEVER);
            record.stale_until = after.map(|after| record.expires.saturating_add(after));
        }
        if let Some(pinned) = changes.pinned {
            record.flags.set(Flags::PINNED, pinned);
        }
        if let Some(priority) = changes.priority {
            record.priority = priority;
        }
        if let Some(tags) = &changes.tags {
            record.tags.clone_from(tags);
        }
        if let Some(metadata) = &changes.metadata {
            record.metadata.clone_from(metadata);
            self.sidecar(namespace, &record);
        }
        record.stamp = self.stamp;
        if let Some(value) = &value {
            self.settle(space.id, &entry, &mut record, value)?;
        }
        self.index(space.id, &entry, &record)?;
        self.store_entry(&entry, &record, value.as_deref().filter(|_| record.embedded))?;
        self.after.mark_dirty(namespace);
        Ok(Outcome::Touched(Some(Box::new(record))))
    }

    /// Writes or removes the metadata file beside a value with a readable name.
    pub(super) fn sidecar(&mut self, namespace: &str, record: &Record) {
        let Some(name) = record.name.as_ref().filter(|name| names::is_readable(name)) else { return };
        let path = self.engine.root.namespace(namespace).join(names::sidecar(name));
        match &record.metadata {
            Some(metadata) => self.after.sidecars.push((path, metadata.clone())),
            None => self.drop_sidecar(path),
        }
    }

    /// Removes a metadata file, and what this group would write into it.
    pub(super) fn drop_sidecar(&mut self, path: PathBuf) {
        self.after.sidecars.retain(|(written, _)| *written != path);
        self.after.unlink.push(path);
    }

    fn mend(&mut self, entry: &[u8]) -> Result<Outcome> {
        if let Some(Row { mut record, value }) = self.row(entry)? {
            record.stamp = self.stamp;
            self.store_entry(entry, &record, value.as_deref())?;
        }
        Ok(Outcome::Done)
    }

    fn set_digest(&mut self, entry: &[u8], content: u64, sha256: [u8; 32]) -> Result<Outcome> {
        if let Some(mut row) = self.row(entry)?
            && row.record.content == content
        {
            row.record.sha256 = Some(sha256);
            // The value is what it was, so whoever holds it may go on.
            self.txn.put(self.catalog.db.entries, entry, &row.encode())?;
        }
        Ok(Outcome::Done)
    }
}

/// Whether a later call on a key than this one has taken effect already.
pub(super) fn is_overtaken(newest: Option<(u64, u64)>, ticket: u64) -> bool {
    newest.is_some_and(|(_, newest)| ticket <= newest)
}

/// Kept older values of an entry, oldest first.
pub fn versions_of(catalog: &Catalog, txn: &impl Read, entry: &[u8]) -> Result<Vec<(u32, Record)>> {
    let prefix = keys::version_prefix(entry);
    let mut out = Vec::new();
    let mut cursor = txn.cursor(catalog.db.versions)?;
    let mut pair = cursor.seek(&prefix)?;
    while let Some((key, bytes)) = pair
        && key.starts_with(&prefix)
    {
        let number = key.get(prefix.len()..).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
        if let Some((number, record)) = number.zip(Record::decode(bytes)) {
            out.push((number, record));
        }
        pair = cursor.next()?;
    }
    Ok(out)
}
