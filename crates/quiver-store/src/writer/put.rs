//! Writing one entry inside a group.

use super::after::Link;
use super::group::{Group, is_overtaken};
use super::ops::{Adoption, FileValue, NewValue, Outcome, Put, Reason};
use crate::catalog::keys::{self, NamespaceId};
use crate::catalog::lmdb::Read;
use crate::catalog::record::{Flags, NEVER, Record};
use crate::catalog::{NamespaceRecord, values};
use crate::error::{Code, Error, Result};
use crate::names;
use crate::settings::{Files, Layout};
use crate::victims::Wanted;

impl Group<'_> {
    pub(super) fn put_many(&mut self, puts: &[Put]) -> Result<Outcome> {
        let mut outcomes = Vec::with_capacity(puts.len());
        for put in puts {
            match self.put(put) {
                Err(error) if error.spoils_transaction() => return Err(error),
                outcome => outcomes.push(outcome),
            }
        }
        Ok(Outcome::Many(outcomes))
    }

    pub(super) fn put(&mut self, put: &Put) -> Result<Outcome> {
        let space = self.namespace(&put.namespace)?;
        let entry = keys::entry_key(space.id, &put.key);
        let old = self.entry(&entry)?;
        if let (Some(old), true) = (&old, keys::is_long(&put.key))
            && old.long_key.as_deref() != Some(&*put.key)
        {
            return Err(Error::new(Code::BadKey, "two long keys have one digest").about(&put.key));
        }
        let newest = self.newest_call(&put.namespace, &put.key);
        let superseded = is_overtaken(newest, put.ticket)
            || put.fence.is_some_and(|(hash, fence)| self.engine.flights.is_overtaken(hash, fence))
            || put.adoption.as_deref().is_some_and(|adoption| {
                !self.is_still_there(&put.namespace, adoption)
                    || old.as_ref().is_some_and(|old| old.named_file == Some(adoption.named_file))
            });
        if superseded {
            if let NewValue::File(file) = &put.value {
                self.drop_object(file.content, &put.facts.extension, file.size, file.sums.is_empty());
            }
            let record = old.map_or_else(|| self.record(put, &space), Ok)?;
            return Ok(Outcome::Overtaken(Box::new(record)));
        }

        let mut record = self.record(put, &space)?;
        record.slot = match &old {
            Some(old) if old.slot != crate::stamps::NO_SLOT => old.slot,
            _ => self.take_slot()?,
        };
        record.stamp = self.stamp;
        if keys::is_long(&put.key) {
            record.long_key = Some(put.key.to_vec());
        }
        if let Some(old) = &old {
            record.number = old.number + u32::from(space.settings.versions > 0);
        }
        self.make_room(&space, &entry, &record, old.as_ref())?;
        let mut embedded = None;
        match &put.value {
            NewValue::Inline(value) => {
                self.settle(space.id, &entry, &mut record, value)?;
                embedded = record.embedded.then_some(&**value);
            }
            NewValue::File(file) => self.place(&space, put, file, &entry, &mut record, old.as_ref())?,
        }
        if let Some(old) = &old {
            self.retire(&space, &put.namespace, &entry, old)?;
        }
        self.index(space.id, &entry, &record)?;
        self.store_entry(&entry, &record, embedded)?;
        let totals = self.totals(space.id)?;
        totals.entries += u64::from(old.is_none());
        totals.bytes = (totals.bytes + record.size).saturating_sub(old.map_or(0, |old| old.size));
        totals.allocated += record.allocated;
        self.after.mark_dirty(&put.namespace);
        self.note_call(newest, put.ticket);
        Ok(Outcome::Written(Box::new(record)))
    }

    /// Whether the name still holds the file that was read. Names are swapped under the lock that this
    /// transaction holds, so a value of our own can't be behind it unseen.
    fn is_still_there(&self, namespace: &str, adoption: &Adoption) -> bool {
        let path = self.engine.root.namespace(namespace).join(&adoption.name);
        self.engine
            .storage
            .facts(&path)
            .is_ok_and(|facts| crate::adopt::identity(&facts) == adoption.named_file)
    }

    fn record(&self, put: &Put, space: &NamespaceRecord) -> Result<Record> {
        let facts = &put.facts;
        let mut record = Record::new(&facts.codec, &facts.extension);
        record.flags.set(Flags::PINNED, facts.pinned);
        record.priority = facts.priority;
        record.created = self.now;
        record.expires = facts.expires.unwrap_or(NEVER);
        record.stale_until = facts.stale_until;
        record.tags.clone_from(&facts.tags);
        record.metadata.clone_from(&facts.metadata);
        record.tensor.clone_from(&facts.tensor);
        match &put.value {
            NewValue::Inline(bytes) => {
                record.flags.set(Flags::INLINE, true);
                record.content = self.engine.ids.next(self.now);
                record.size = bytes.len() as u64;
                record.allocated = values::allocated(record.size);
                record.sum128 = Some(quiver_io::sum128(bytes));
            }
            NewValue::File(file) => {
                record.content = file.content;
                record.size = file.size;
                record.allocated = file.allocated;
                record.sha256 = Some(file.sha256);
                record.sums.clone_from(&file.sums);
            }
        }
        if let Some(limit) = space.settings.max_size.or(self.root.max_size)
            && record.allocated > limit
        {
            return Err(Error::new(
                Code::TooLarge,
                format!("the value takes {} bytes, its limit is {limit}", record.allocated),
            )
            .about(&put.key));
        }
        if let Some(adoption) = put.adoption.as_deref() {
            if let (Some(noted), Some(found)) = (adoption.checksum, record.sha256)
                && noted != found
            {
                return Err(Error::new(
                    Code::ChecksumMismatch,
                    format!(
                        "the file differs from its index.json: expected sha256:{}, found sha256:{}",
                        quiver_io::hex(&noted),
                        quiver_io::hex(&found)
                    ),
                )
                .about(&put.key)
                .at(self.engine.root.namespace(&put.namespace).join(&adoption.name)));
            }
            record.flags.set(Flags::ADOPTED, true);
            record.created = adoption.created.min(self.now);
            record.seed_access = adoption.usage;
        }
        Ok(record)
    }

    /// Finds the readable name of a file and plans its link.
    fn place(
        &mut self,
        space: &NamespaceRecord,
        put: &Put,
        file: &FileValue,
        entry: &[u8],
        record: &mut Record,
        old: Option<&Record>,
    ) -> Result<()> {
        let object = self.engine.root.object(record.content, &record.extension);
        match space.settings.layout {
            Layout::Hashed => {
                if space.settings.files == Files::Always {
                    let name = names::by_content(record.content, &record.extension);
                    record.named_file = Some(file.identity);
                    self.after
                        .links
                        .push(Link { object, name: self.engine.root.namespace(&put.namespace).join(&name) });
                    record.name = Some(name);
                }
            }
            Layout::Named => {
                let name = match &put.adoption {
                    Some(adoption) => adoption.name.clone(),
                    None => self.choose_name(space.id, &put.key, &record.extension, entry)?,
                };
                self.txn.put(
                    self.catalog.db.names,
                    &keys::name_key(space.id, &names::folded(&name)),
                    entry,
                )?;
                let path = self.engine.root.namespace(&put.namespace).join(&name);
                if let Some(adoption) = &put.adoption {
                    record.named_file = Some(adoption.named_file);
                    self.after.adopted.insert(path);
                } else {
                    record.named_file = Some(file.identity);
                    self.after.links.push(Link { object, name: path });
                }
                record.name = Some(name);
                if put.adoption.is_none()
                    && (record.metadata.is_some() || old.is_some_and(|old| old.metadata.is_some()))
                {
                    self.sidecar(&put.namespace, record);
                }
            }
        }
        Ok(())
    }

    fn choose_name(&self, id: NamespaceId, key: &[u8], extension: &str, entry: &[u8]) -> Result<String> {
        let text = String::from_utf8_lossy(key);
        for crowded in [false, true] {
            let name = format!("{}.{extension}", names::stem(&text, extension, crowded));
            let holder = self.txn.get(self.catalog.db.names, &keys::name_key(id, &names::folded(&name)))?;
            if holder.is_none_or(|holder| holder == entry) {
                return Ok(name);
            }
        }
        let digest = quiver_io::sum128(key);
        Ok(format!("{digest:032x}.{extension}"))
    }

    /// Keeps or removes the value that is being replaced.
    fn retire(&mut self, space: &NamespaceRecord, namespace: &str, entry: &[u8], old: &Record) -> Result<()> {
        self.unindex(space.id, old)?;
        if let Some(name) = &old.name {
            self.release_name(space, namespace, entry, name)?;
        }
        let keep = space.settings.versions;
        if keep == 0 {
            self.drop_value(old)?;
            let totals = self.totals(space.id)?;
            totals.allocated = totals.allocated.saturating_sub(old.allocated);
            return Ok(());
        }
        // As it lies there, with an embedded value.
        if let Some(row) = self.txn.get(self.catalog.db.entries, entry)?.map(<[u8]>::to_vec) {
            self.txn.put(self.catalog.db.versions, &keys::version_key(entry, old.number), &row)?;
        }
        if let (Some(name), false) = (&old.name, old.is_inline()) {
            self.after.links.push(Link {
                object: self.engine.root.object(old.content, &old.extension),
                name: self
                    .engine
                    .root
                    .versions(namespace, name)
                    .join(format!("{}.{}", old.number, old.extension)),
            });
        }
        let kept = self.versions(entry)?;
        for (number, record) in kept.iter().take(kept.len().saturating_sub(keep as usize)) {
            self.txn.delete(self.catalog.db.versions, &keys::version_key(entry, *number))?;
            self.drop_value(record)?;
            let totals = self.totals(space.id)?;
            totals.allocated = totals.allocated.saturating_sub(record.allocated);
            if let Some(name) = &record.name {
                self.after.unlink.push(
                    self.engine.root.versions(namespace, name).join(format!("{number}.{}", record.extension)),
                );
            }
        }
        Ok(())
    }

    /// Gives up a readable name unless the new value has taken it.
    fn release_name(
        &mut self,
        space: &NamespaceRecord,
        namespace: &str,
        entry: &[u8],
        name: &str,
    ) -> Result<()> {
        let path = self.engine.root.namespace(namespace).join(name);
        if self.after.links.iter().any(|link| link.name == path) {
            return Ok(());
        }
        let key = keys::name_key(space.id, &names::folded(name));
        if self.txn.get(self.catalog.db.names, &key)?.is_some_and(|holder| holder == entry) {
            // Adopting a changed file keeps its name without a link of ours.
            if self.after.adopted.contains(&path) {
                return Ok(());
            }
            self.txn.delete(self.catalog.db.names, &key)?;
        }
        self.after.unlink.push(path);
        Ok(())
    }

    /// Evicts as much as the write adds beyond a limit, in the transaction that adds it.
    fn make_room(
        &mut self,
        space: &NamespaceRecord,
        entry: &[u8],
        record: &Record,
        old: Option<&Record>,
    ) -> Result<()> {
        let settings = &space.settings;
        let (most_bytes, most_entries) = (self.root.max_size, self.root.max_entries);
        let is_limited = settings.max_size.or(most_bytes).is_some();
        let given_back = if is_limited { self.given_back(space, entry, old)? } else { 0 };
        let added = record.allocated.saturating_sub(given_back);
        let more = u64::from(old.is_none());
        let own = *self.totals(space.id)?;
        self.evict(Wanted {
            bytes: over(own.allocated + added, settings.max_size),
            entries: over(own.entries + more, settings.max_entries),
            scope: Some(space.id),
            writing: entry,
        })?;
        if most_bytes.is_none() && most_entries.is_none() {
            return Ok(());
        }
        let all = self.all_totals()?;
        self.evict(Wanted {
            bytes: over(all.allocated + added, most_bytes),
            entries: over(all.entries + more, most_entries),
            scope: None,
            writing: entry,
        })
    }

    /// Bytes that go when an entry's value is replaced: the old one, or the oldest of those that are kept beside it.
    fn given_back(&self, space: &NamespaceRecord, entry: &[u8], old: Option<&Record>) -> Result<u64> {
        let Some(old) = old else { return Ok(0) };
        let keep = space.settings.versions as usize;
        if keep == 0 {
            return Ok(old.allocated);
        }
        let kept = self.versions(entry)?;
        let leaving = (kept.len() + 1).saturating_sub(keep);
        Ok(kept.iter().take(leaving).map(|(_, record)| record.allocated).sum())
    }

    fn evict(&mut self, wanted: Wanted<'_>) -> Result<()> {
        if wanted.bytes == 0 && wanted.entries == 0 {
            return Ok(());
        }
        let victims = self.engine.victims.take(self.engine, self.catalog, &self.txn, wanted)?;
        if let Outcome::Removed(removed) = self.remove_victims(&victims, Reason::Evict)? {
            for entry in &removed.entries {
                if let Some(name) =
                    keys::namespace_of(entry).map(|id| self.name_of(id)).transpose()?.flatten()
                {
                    self.count(&name, |c| c.evictions += 1);
                }
            }
            self.evicted.push(removed);
        }
        Ok(())
    }
}

fn over(value: u64, limit: Option<u64>) -> u64 {
    limit.map_or(0, |limit| value.saturating_sub(limit))
}
