//! Taking entries away, and what belongs to them: by request, by tag, chosen from a snapshot, expired, cleared.

use std::collections::BTreeSet;

use quiver_io::CHUNK;

use super::group::{Group, is_overtaken};
use super::ops::{Outcome, Reason, Removed, Victim};
use crate::catalog::keys::{self, NamespaceId};
use crate::catalog::lmdb::Read;
use crate::catalog::record::{Flags, NEVER, Record};
use crate::catalog::values;
use crate::error::Result;
use crate::names;
use crate::removals::Old;

/// Rows that one request removes at most, so that others get their turn at the lock.
const BATCH: usize = 2_000;

impl Group<'_> {
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
            if let (Some(namespace), Some(name)) = (namespace, &old.name) {
                self.after.unlink_folders.insert(self.engine.root.versions(namespace, name));
            }
        }
        if let (Some(namespace), Some(name)) = (namespace, &record.name) {
            self.drop_name(id, namespace, name)?;
        }
        self.free_slot(record.slot)?;
        let totals = self.totals(id)?;
        totals.entries = totals.entries.saturating_sub(1);
        totals.bytes = totals.bytes.saturating_sub(record.size);
        totals.allocated = totals.allocated.saturating_sub(allocated);
        if let Some(namespace) = namespace {
            self.after.mark_dirty(namespace);
        }
        Ok(())
    }

    /// Removes what a value has beside its record: at once from the catalog, after the commit from the disk.
    pub(super) fn drop_value(&mut self, record: &Record) -> Result<()> {
        if record.embedded {
            // Goes with the record.
            Ok(())
        } else if record.is_inline() {
            values::delete(&mut self.txn, &self.catalog.db, record.content, record.size)
        } else {
            self.drop_object(record.content, &record.extension, record.size, record.sums.is_empty());
            Ok(())
        }
    }

    /// Removes an object after the commit; its sums too where they may lie apart.
    pub(super) fn drop_object(&mut self, content: u64, extension: &str, size: u64, sums_apart: bool) {
        self.after.objects.push(Old { path: self.engine.root.object(content, extension), size });
        if sums_apart {
            let size = size.div_ceil(CHUNK as u64) * 8;
            self.after.objects.push(Old { path: self.engine.root.sums(content), size });
        }
    }

    pub(super) fn drop_name(&mut self, id: NamespaceId, namespace: &str, name: &str) -> Result<()> {
        self.txn.delete(self.catalog.db.names, &keys::name_key(id, &names::folded(name)))?;
        let folder = self.engine.root.namespace(namespace);
        let path = folder.join(name);
        // What this group wrote under the name is gone again.
        self.after.links.retain(|link| link.name != path);
        self.after.unlink.push(path);
        if names::is_readable(name) {
            self.drop_sidecar(folder.join(names::sidecar(name)));
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, namespace: &str, key: &[u8], ticket: u64) -> Result<Outcome> {
        let space = self.namespace(namespace)?;
        let entry = keys::entry_key(space.id, key);
        let newest = self.newest_call(namespace, key);
        if is_overtaken(newest, ticket) {
            return Ok(Outcome::Removed(Removed::default()));
        }
        let old = self.entry(&entry)?;
        self.note_call(newest, ticket);
        let Some(record) = old else { return Ok(Outcome::Removed(Removed::default())) };
        self.remove(space.id, Some(namespace), &entry, &record)?;
        // An entry that had run out was not there any more, as far as the caller can tell.
        let count = u64::from(!record.is_expired(self.now));
        Ok(Outcome::Removed(Removed { count, bytes: record.size, ..Removed::default() }))
    }

    pub(super) fn delete_tagged(&mut self, namespace: &str, tag: &str) -> Result<Outcome> {
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
                || evicting
                    && (record.flags.has(Flags::PINNED)
                        || record.file().is_some_and(|file| self.engine.holds.is_held(file)))
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

    pub(super) fn expire(&mut self, counted: bool) -> Result<Outcome> {
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
            let record = self.entry(&entry).unwrap_or(None).filter(|record| record.is_gone(self.now));
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
    pub(super) fn reclaim(&mut self) -> Result<Outcome> {
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
            self.forget_totals(id)?;
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
}
