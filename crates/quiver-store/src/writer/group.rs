//! One write transaction: requests are applied to it one after the other, then committed together.
//!
//! Every word of the stamp table that a request concerns is stored while the transaction is open, before the
//! commit. Until the commit, or if the process dies first, word and record differ, which readers take as "look it
//! up", never as "still valid".

use std::collections::{BTreeSet, HashMap};

use super::after::After;
use super::ops::{FactChanges, Op, Outcome, Reason, Removed, Victim};
use crate::catalog::keys::{self, NamespaceId};
use crate::catalog::lmdb::{Read, WriteTxn};
use crate::catalog::record::{Flags, NEVER, Record};
use crate::catalog::{Catalog, Counters, NamespaceRecord, Totals, values};
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::settings::{Layout, NamespaceSettings};
use crate::stamps::{MAX_SLOTS, NO_SLOT};

/// Rows that one request removes at most, so that others get their turn at the lock.
const BATCH: usize = 2_000;

/// An open write transaction and what it has done so far.
pub struct Group<'g> {
    pub(super) engine: &'g Engine,
    pub(super) catalog: &'g Catalog,
    pub(super) txn: WriteTxn<'g>,
    pub(super) stamp: u32,
    pub(super) now: u64,
    namespaces: HashMap<String, NamespaceRecord>,
    totals: HashMap<NamespaceId, Totals>,
    counters: HashMap<String, Counters>,
    names: HashMap<NamespaceId, String>,
    pub(super) after: After,
}

impl<'g> Group<'g> {
    /// Begins the transaction.
    pub fn begin(engine: &'g Engine, catalog: &'g Catalog) -> Result<Self> {
        let txn = catalog.env.write()?;
        let base = catalog.number(&txn, "stampBase")?.unwrap_or(0);
        let stamp = base.wrapping_add(txn.id()) as u32;
        Ok(Self {
            engine,
            catalog,
            stamp,
            now: engine.now(),
            namespaces: HashMap::new(),
            totals: HashMap::new(),
            counters: HashMap::new(),
            names: HashMap::new(),
            after: After::default(),
            txn,
        })
    }

    /// Applies one request.
    pub fn apply(&mut self, op: &mut Op) -> Result<Outcome> {
        match op {
            Op::Put(put) => self.put(put),
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
                Ok(Outcome::Done)
            }
            Op::Mend { entry } => self.mend(entry),
            Op::SetDigest { entry, content, sha256 } => self.set_digest(entry, *content, *sha256),
        }
    }

    /// Commits, and hands over what follows.
    pub fn commit(mut self) -> Result<After> {
        for (id, totals) in &self.totals {
            self.catalog.put_totals(&mut self.txn, *id, *totals)?;
        }
        for (name, more) in &self.counters {
            self.catalog.add_counters(&mut self.txn, name, *more)?;
        }
        let sum = self.catalog.all_totals(&self.txn)?;
        self.txn.commit()?;
        self.engine.note_usage(sum);
        Ok(self.after)
    }

    pub(super) fn namespace(&mut self, name: &str) -> Result<NamespaceRecord> {
        if let Some(record) = self.namespaces.get(name) {
            return Ok(record.clone());
        }
        let record = self.catalog.namespace(&self.txn, name)?.ok_or_else(|| {
            Error::new(Code::BadNamespace, format!("there is no namespace {name:?} in this cache"))
        })?;
        self.names.insert(record.id, name.to_owned());
        self.namespaces.insert(name.to_owned(), record.clone());
        Ok(record)
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

    fn put_namespace(&mut self, name: &str, record: &NamespaceRecord) -> Result<()> {
        self.catalog.put_namespace(&mut self.txn, name, record)?;
        self.names.insert(record.id, name.to_owned());
        self.namespaces.insert(name.to_owned(), record.clone());
        Ok(())
    }

    pub(super) fn totals(&mut self, id: NamespaceId) -> Result<&mut Totals> {
        if let std::collections::hash_map::Entry::Vacant(place) = self.totals.entry(id) {
            place.insert(self.catalog.totals(&self.txn, id)?);
        }
        self.totals.get_mut(&id).ok_or_else(|| Error::new(Code::Internal, "totals vanished"))
    }

    /// Sums over the whole cache as of this moment of the transaction.
    pub(super) fn all_totals(&self) -> Result<Totals> {
        let mut sum = Totals::default();
        let mut cursor = self.txn.cursor(self.catalog.db.totals)?;
        while let Some((id, bytes)) = cursor.next()? {
            let id = keys::namespace_of(id).unwrap_or_default();
            sum = sum.plus(self.totals.get(&id).copied().unwrap_or_else(|| Totals::decode(bytes)));
        }
        for (id, totals) in &self.totals {
            if self.txn.get(self.catalog.db.totals, &id.to_be_bytes())?.is_none() {
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
        match self.txn.get(self.catalog.db.entries, entry)? {
            None => Ok(None),
            Some(bytes) => Record::decode(bytes).map(Some).ok_or_else(|| {
                Error::new(Code::FormatVersion, "this entry was written by a newer version")
                    .about(keys::user_key(entry))
            }),
        }
    }

    pub(super) fn store_entry(&mut self, entry: &[u8], record: &Record) -> Result<()> {
        self.engine.stamps.store(record.slot, self.stamp)?;
        Ok(self.txn.put(self.catalog.db.entries, entry, &record.encode())?)
    }

    /// A slot for a new entry: a freed one, else the next.
    pub(super) fn take_slot(&mut self) -> Result<u32> {
        let freed = {
            let mut cursor = self.txn.cursor(self.catalog.db.slots)?;
            cursor.next()?.and_then(|(key, _)| key.try_into().ok()).map(u32::from_be_bytes)
        };
        if let Some(slot) = freed {
            self.txn.delete(self.catalog.db.slots, &slot.to_be_bytes())?;
            self.after.reset_heat.push(slot);
            return Ok(slot);
        }
        let next = self.catalog.number(&self.txn, "nextSlot")?.unwrap_or(0);
        if next >= u64::from(MAX_SLOTS) {
            return Ok(NO_SLOT);
        }
        self.catalog.put_number(&mut self.txn, "nextSlot", next + 1)?;
        self.engine.stamps.ensure(next as u32)?;
        Ok(next as u32)
    }

    fn free_slot(&mut self, slot: u32) -> Result<()> {
        if slot < MAX_SLOTS {
            self.engine.stamps.store(slot, self.stamp)?;
            self.txn.put(self.catalog.db.slots, &slot.to_be_bytes(), &[])?;
        }
        Ok(())
    }

    pub(super) fn index(&mut self, id: NamespaceId, entry: &[u8], record: &Record) -> Result<()> {
        if record.expires != NEVER {
            self.txn.put(self.catalog.db.expiry, &keys::expiry_key(record.expires, record.content), entry)?;
        }
        for tag in &record.tags {
            self.txn.put(self.catalog.db.tags, &keys::tag_key(tag, id, record.content), entry)?;
        }
        Ok(())
    }

    pub(super) fn unindex(&mut self, id: NamespaceId, record: &Record) -> Result<()> {
        if record.expires != NEVER {
            self.txn.delete(self.catalog.db.expiry, &keys::expiry_key(record.expires, record.content))?;
        }
        for tag in &record.tags {
            self.txn.delete(self.catalog.db.tags, &keys::tag_key(tag, id, record.content))?;
        }
        Ok(())
    }

    /// Removes a value's bytes: at once from the catalog, after the commit from the disk.
    pub(super) fn drop_value(&mut self, record: &Record) -> Result<()> {
        if record.is_inline() {
            values::delete(&mut self.txn, &self.catalog.db, record.content, record.size)
        } else {
            self.after.objects.push(self.engine.root.object(record.content, &record.extension));
            self.after.objects.push(self.engine.root.sums(record.content));
            Ok(())
        }
    }

    pub(super) fn drop_name(&mut self, id: NamespaceId, namespace: &str, name: &str) -> Result<()> {
        self.txn.delete(self.catalog.db.names, &keys::name_key(id, &crate::names::folded(name)))?;
        let folder = self.engine.root.namespace(namespace);
        let path = folder.join(name);
        // What this group wrote under the name is gone again.
        self.after.links.retain(|link| link.name != path);
        self.after.unlink.push(path);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        self.after.unlink.push(folder.join(format!("{stem}.meta.json")));
        Ok(())
    }

    /// Removes an entry with all its versions. `record` is what lies under `entry` now.
    fn remove(
        &mut self,
        id: NamespaceId,
        namespace: Option<&str>,
        entry: &[u8],
        record: &Record,
    ) -> Result<()> {
        self.txn.delete(self.catalog.db.entries, entry)?;
        self.unindex(id, record)?;
        self.drop_value(record)?;
        let mut allocated = record.allocated;
        for (number, old) in self.versions(entry)? {
            allocated += old.allocated;
            self.txn.delete(self.catalog.db.versions, &keys::version_key(entry, number))?;
            self.drop_value(&old)?;
        }
        if let (Some(namespace), Some(name)) = (namespace, &record.name) {
            self.drop_name(id, namespace, name)?;
            let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
            self.after.unlink_folders.push(self.engine.root.versions(namespace, stem));
        }
        self.free_slot(record.slot)?;
        let totals = self.totals(id)?;
        totals.entries = totals.entries.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(record.size);
        totals.allocated = totals.allocated.saturating_sub(allocated);
        if let Some(namespace) = namespace {
            self.after.dirty.insert(namespace.to_owned());
        }
        Ok(())
    }

    /// Kept older values of an entry, oldest first.
    pub(super) fn versions(&self, entry: &[u8]) -> Result<Vec<(u32, Record)>> {
        versions_of(self.catalog, &self.txn, entry)
    }

    fn delete(&mut self, namespace: &str, key: &[u8], ticket: u64) -> Result<Outcome> {
        let space = self.namespace(namespace)?;
        let entry = keys::entry_key(space.id, key);
        if !self.engine.order.admit(namespace, key, ticket) {
            return Ok(Outcome::Removed(Removed::default()));
        }
        let Some(record) = self.entry(&entry)? else { return Ok(Outcome::Removed(Removed::default())) };
        self.remove(space.id, Some(namespace), &entry, &record)?;
        // An entry that had run out was not there any more, as far as the caller can tell.
        let count = u64::from(!record.is_expired(self.now));
        Ok(Outcome::Removed(Removed { count, bytes: record.size, ..Removed::default() }))
    }

    fn touch(&mut self, namespace: &str, key: &[u8], changes: &FactChanges, ticket: u64) -> Result<Outcome> {
        let space = self.namespace(namespace)?;
        let entry = keys::entry_key(space.id, key);
        let Some(mut record) = self.entry(&entry)?.filter(|record| !record.is_expired(self.now)) else {
            return Ok(Outcome::Touched(None));
        };
        if !self.engine.order.admit(namespace, key, ticket) {
            return Ok(Outcome::Touched(Some(Box::new(record))));
        }
        self.unindex(space.id, &record)?;
        if let Some(expires) = changes.expires {
            record.expires = expires.unwrap_or(NEVER);
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
        self.index(space.id, &entry, &record)?;
        self.store_entry(&entry, &record)?;
        self.after.dirty.insert(namespace.to_owned());
        Ok(Outcome::Touched(Some(Box::new(record))))
    }

    /// Writes or removes the metadata file beside a named value.
    pub(super) fn sidecar(&mut self, namespace: &str, record: &Record) {
        let Some(name) = &record.name else { return };
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let path = self.engine.root.namespace(namespace).join(format!("{stem}.meta.json"));
        match &record.metadata {
            Some(metadata) => self.after.sidecars.push((path, metadata.clone())),
            None => self.after.unlink.push(path),
        }
    }

    /// Gives the namespace a new number, which empties it at once; its rows go in small batches later.
    fn clear(&mut self, namespace: &str) -> Result<Outcome> {
        let mut space = self.namespace(namespace)?;
        let totals = *self.totals(space.id)?;
        // What they take on disk counts until they are really gone.
        *self.totals(space.id)? = Totals { allocated: totals.allocated, ..Totals::default() };
        self.txn.put(self.catalog.db.dropped, &space.id.to_be_bytes(), namespace.as_bytes())?;
        space.id = self.next_namespace_id()?;
        space.epoch = self.stamp;
        self.engine.stamps.store(space.slot, self.stamp)?;
        self.put_namespace(namespace, &space)?;
        self.after.dirty.insert(namespace.to_owned());
        Ok(Outcome::Removed(Removed { count: totals.entries, bytes: totals.bytes, ..Removed::default() }))
    }

    fn next_namespace_id(&mut self) -> Result<NamespaceId> {
        let id = self.catalog.number(&self.txn, "nextNamespace")?.unwrap_or(1);
        self.catalog.put_number(&mut self.txn, "nextNamespace", id + 1)?;
        Ok(id as NamespaceId)
    }

    fn delete_tagged(&mut self, namespace: &str, tag: &str) -> Result<Outcome> {
        let space = self.namespace(namespace)?;
        let prefix = keys::tag_prefix(tag, space.id);
        let mut entries = Vec::new();
        {
            let mut cursor = self.txn.cursor(self.catalog.db.tags)?;
            let mut pair = cursor.seek(&prefix)?;
            while let Some((key, entry)) = pair
                && key.starts_with(&prefix)
                && entries.len() < BATCH
            {
                entries.push(entry.to_vec());
                pair = cursor.next()?;
            }
        }
        let mut removed = Removed { more: entries.len() == BATCH, ..Removed::default() };
        for entry in entries {
            if let Some(record) = self.entry(&entry)?
                && record.tags.iter().any(|other| other == tag)
            {
                self.remove(space.id, Some(namespace), &entry, &record)?;
                removed.count += u64::from(!record.is_expired(self.now));
                removed.bytes += record.size;
            }
        }
        Ok(Outcome::Removed(removed))
    }

    /// Removes entries chosen from a snapshot, each only if it is what it was then.
    pub(super) fn remove_victims(&mut self, victims: &[Victim], reason: Reason) -> Result<Outcome> {
        let mut removed = Removed::default();
        for victim in victims {
            let Some(id) = keys::namespace_of(&victim.entry) else { continue };
            let Some(namespace) = self.name_of(id)? else { continue };
            let Some(record) = self.entry(&victim.entry)? else { continue };
            let evicting = reason == Reason::Evict;
            if record.stamp != victim.stamp
                || evicting && (record.flags.has(Flags::PINNED) || self.engine.holds.is_held(record.content))
                || reason == Reason::Vanished && self.has_named_file(&namespace, &record)
            {
                continue;
            }
            self.remove(id, Some(&namespace), &victim.entry, &record)?;
            removed.count += 1;
            removed.bytes += record.allocated;
            removed.entries.push(victim.entry.clone());
        }
        Ok(Outcome::Removed(removed))
    }

    fn has_named_file(&self, namespace: &str, record: &Record) -> bool {
        record.name.as_ref().is_some_and(|name| {
            self.engine.storage.facts(&self.engine.root.namespace(namespace).join(name)).is_ok()
        })
    }

    fn expire(&mut self, counted: bool) -> Result<Outcome> {
        const EXPIRE_BATCH: usize = 1_000;
        let mut due = Vec::new();
        {
            let mut cursor = self.txn.cursor(self.catalog.db.expiry)?;
            let mut pair = cursor.next()?;
            while let Some((key, entry)) = pair
                && key.get(..8).and_then(|b| b.try_into().ok()).map_or(NEVER, u64::from_be_bytes) <= self.now
                && due.len() < EXPIRE_BATCH
            {
                due.push((key.to_vec(), entry.to_vec()));
                pair = cursor.next()?;
            }
        }
        let mut removed = Removed { more: due.len() == EXPIRE_BATCH, ..Removed::default() };
        let kept = self.after.unlink.len();
        for (row, entry) in due {
            self.txn.delete(self.catalog.db.expiry, &row)?;
            let record = self.entry(&entry).unwrap_or(None).filter(|record| record.is_expired(self.now));
            let Some((record, id)) = record.zip(keys::namespace_of(&entry)) else { continue };
            // Rows of a cleared namespace are gone already, as far as anybody can tell; their names are known as
            // long as they are there, so reclaiming takes both.
            let Some(namespace) = self.name_of(id)? else { continue };
            self.remove(id, Some(&namespace), &entry, &record)?;
            removed.count += 1;
            removed.bytes += record.size;
            if counted {
                self.count(&namespace, |c| c.expired += 1);
            }
        }
        self.unlink_first(kept)?;
        Ok(Outcome::Removed(removed))
    }

    /// Removes the names that were planned after the first `kept` before the commit that forgets them. A power cut
    /// in between leaves a record without a name, which is a miss, instead of a name without a record, which
    /// would be adopted as another program's file: for ever, as nobody would know when it ran out or was cleared.
    fn unlink_first(&mut self, kept: usize) -> Result<()> {
        let storage = self.engine.storage.as_ref();
        let mut folders = BTreeSet::new();
        for path in self.after.unlink.drain(kept..) {
            if storage.unlink(&path).is_ok()
                && let Some(folder) = path.parent()
            {
                folders.insert(folder.to_owned());
            }
        }
        if self.engine.is_durable() {
            for folder in folders {
                storage.sync_dir(&folder)?;
            }
        }
        Ok(())
    }

    /// Deletes rows of cleared namespaces.
    fn reclaim(&mut self) -> Result<Outcome> {
        let dropped = {
            let mut cursor = self.txn.cursor(self.catalog.db.dropped)?;
            cursor.next()?.and_then(|(key, name)| {
                Some((keys::namespace_of(key)?, String::from_utf8_lossy(name).into_owned()))
            })
        };
        let Some((id, namespace)) = dropped else { return Ok(Outcome::Removed(Removed::default())) };
        let mut rows = Vec::new();
        {
            let mut cursor = self.txn.cursor(self.catalog.db.entries)?;
            let mut pair = cursor.seek(&id.to_be_bytes())?;
            while let Some((entry, bytes)) = pair
                && keys::namespace_of(entry) == Some(id)
                && rows.len() < BATCH
            {
                rows.push((entry.to_vec(), Record::decode(bytes)));
                pair = cursor.next()?;
            }
        }
        let more = !rows.is_empty();
        let mut removed = Removed { more: true, ..Removed::default() };
        let kept = self.after.unlink.len();
        for (entry, record) in rows {
            match record {
                Some(record) => {
                    // A new entry may have the readable name by now: its file must stay.
                    let taken = match &record.name {
                        None => true,
                        Some(name) => self.name_taken(&namespace, name)?,
                    };
                    self.remove(id, (!taken).then_some(namespace.as_str()), &entry, &record)?;
                }
                None => {
                    self.txn.delete(self.catalog.db.entries, &entry)?;
                }
            }
            removed.count += 1;
        }
        self.unlink_first(kept)?;
        if !more {
            self.txn.delete(self.catalog.db.dropped, &id.to_be_bytes())?;
            self.totals.remove(&id);
            self.txn.delete(self.catalog.db.totals, &id.to_be_bytes())?;
        }
        Ok(Outcome::Removed(removed))
    }

    fn name_taken(&mut self, namespace: &str, name: &str) -> Result<bool> {
        let Some(space) = self.catalog.namespace(&self.txn, namespace)? else { return Ok(false) };
        Ok(self
            .txn
            .get(self.catalog.db.names, &keys::name_key(space.id, &crate::names::folded(name)))?
            .is_some())
    }

    fn open_namespace(
        &mut self,
        name: &str,
        settings: &NamespaceSettings,
        reconfigure: bool,
    ) -> Result<Outcome> {
        if let Some(mut record) = self.catalog.namespace(&self.txn, name)? {
            if reconfigure && record.settings != *settings {
                if record.settings.layout != settings.layout && self.totals(record.id)?.entries > 0 {
                    return Err(Error::new(
                        Code::SettingsDiffer,
                        format!(
                            "namespace {name:?} holds entries in another layout; clear it to change that"
                        ),
                    ));
                }
                record.settings = settings.clone();
                record.epoch = self.stamp;
                self.engine.stamps.store(record.slot, self.stamp)?;
                self.put_namespace(name, &record)?;
            }
            return Ok(Outcome::Namespace(Box::new(record)));
        }
        let record = NamespaceRecord {
            id: self.next_namespace_id()?,
            slot: self.take_slot()?,
            epoch: self.stamp,
            created: self.now,
            settings: settings.clone(),
        };
        self.engine.stamps.store(record.slot, self.stamp)?;
        self.put_namespace(name, &record)?;
        if record.settings.layout == Layout::Named {
            self.after.dirty.insert(name.to_owned());
        }
        Ok(Outcome::Namespace(Box::new(record)))
    }

    fn mend(&mut self, entry: &[u8]) -> Result<Outcome> {
        if let Some(mut record) = self.entry(entry)? {
            record.stamp = self.stamp;
            self.store_entry(entry, &record)?;
        }
        Ok(Outcome::Done)
    }

    fn set_digest(&mut self, entry: &[u8], content: u64, sha256: [u8; 32]) -> Result<Outcome> {
        if let Some(mut record) = self.entry(entry)?
            && record.content == content
        {
            record.sha256 = Some(sha256);
            // The value is what it was, so whoever holds it may go on.
            self.txn.put(self.catalog.db.entries, entry, &record.encode())?;
        }
        Ok(Outcome::Done)
    }
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
