//! Making, changing and emptying a namespace.

use super::group::Group;
use super::ops::{Outcome, Removed};
use crate::catalog::keys::NamespaceId;
use crate::catalog::{NamespaceRecord, Totals};
use crate::error::{Code, Error, Result};
use crate::settings::{Layout, NamespaceSettings};

impl Group<'_> {
    /// Gives the namespace a new number, which empties it at once; its rows go in small batches later.
    pub(super) fn clear(&mut self, namespace: &str) -> Result<Outcome> {
        let mut space = self.namespace(namespace)?.as_ref().clone();
        let totals = *self.totals(space.id)?;
        // What they take on disk counts until they are really gone.
        *self.totals(space.id)? = Totals { allocated: totals.allocated, ..Totals::default() };
        self.txn.put(self.catalog.db.dropped, &space.id.to_be_bytes(), namespace.as_bytes())?;
        space.id = self.next_namespace_id()?;
        space.epoch = self.stamp;
        self.engine.stamps.store(space.slot, self.stamp)?;
        self.put_namespace(namespace, space)?;
        self.after.mark_dirty(namespace);
        Ok(Outcome::Removed(Removed { count: totals.entries, bytes: totals.bytes, ..Removed::default() }))
    }

    pub(super) fn open_namespace(
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
                self.put_namespace(name, record.clone())?;
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
        self.put_namespace(name, record.clone())?;
        if record.settings.layout == Layout::Named {
            self.after.mark_dirty(name);
        }
        Ok(Outcome::Namespace(Box::new(record)))
    }

    fn next_namespace_id(&mut self) -> Result<NamespaceId> {
        let id = self.catalog.number(&self.txn, "nextNamespace")?.unwrap_or(1);
        self.catalog.put_number(&mut self.txn, "nextNamespace", id + 1)?;
        Ok(id as NamespaceId)
    }
}
