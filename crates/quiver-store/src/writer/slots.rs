//! Words of the stamp table for entries that come, and from those that go.

use super::group::Group;
use crate::catalog::lmdb::Read;
use crate::error::Result;
use crate::stamps::{MAX_SLOTS, NO_SLOT};

/// The row of `meta` with the first slot that no entry ever had.
const NEXT: &str = "nextSlot";

/// What a group knows of slots without looking again for each entry.
#[derive(Debug, Default)]
pub struct Slots {
    /// The next one, once it has been asked for; recorded with the commit.
    next: Option<u64>,
    /// None is left that another entry had.
    no_freed: bool,
}

impl Group<'_> {
    /// A slot for a new entry: a freed one, else the next.
    pub(super) fn take_slot(&mut self) -> Result<u32> {
        if !self.slots.no_freed {
            if let Some(slot) = self.take_freed()? {
                self.after.reset_heat.push(slot);
                return Ok(slot);
            }
            self.slots.no_freed = true;
        }
        let next = match self.slots.next {
            Some(next) => next,
            None => self.catalog.number(&self.txn, NEXT)?.unwrap_or(0),
        };
        if next >= u64::from(MAX_SLOTS) {
            return Ok(NO_SLOT);
        }
        self.slots.next = Some(next + 1);
        self.engine.stamps.ensure(next as u32)?;
        Ok(next as u32)
    }

    fn take_freed(&mut self) -> Result<Option<u32>> {
        let freed = {
            let mut cursor = self.txn.cursor(self.catalog.db.slots)?;
            cursor.next()?.and_then(|(key, _)| key.try_into().ok()).map(u32::from_be_bytes)
        };
        if let Some(slot) = freed {
            self.txn.delete(self.catalog.db.slots, &slot.to_be_bytes())?;
        }
        Ok(freed)
    }

    pub(super) fn free_slot(&mut self, slot: u32) -> Result<()> {
        if slot < MAX_SLOTS {
            self.engine.stamps.store(slot, self.stamp)?;
            self.txn.put(self.catalog.db.slots, &slot.to_be_bytes(), &[])?;
            self.slots.no_freed = false;
        }
        Ok(())
    }

    /// Records which slot is next, where that has changed.
    pub(super) fn record_slots(&mut self) -> Result<()> {
        match self.slots.next {
            Some(next) => self.catalog.put_number(&mut self.txn, NEXT, next),
            None => Ok(()),
        }
    }
}
