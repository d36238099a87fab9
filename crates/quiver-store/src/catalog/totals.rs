//! Sums over the entries of each namespace.
//!
//! They are rows of LMDB's main database, where it lists the named ones. A commit changes that list anyway, because the
//! roots of the databases lie there, so the sums share a page that is written in any case.

use std::ffi::CStr;

use super::keys::NamespaceId;
use super::lmdb::{Database, Read, Result, WriteTxn};

/// Sums over the entries of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Entries, expired ones that nobody swept yet included.
    pub entries: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Bytes they take on disk, kept versions included.
    pub allocated: u64,
}

impl Totals {
    fn encode(self) -> [u8; 24] {
        let mut out = [0; 24];
        out[..8].copy_from_slice(&self.entries.to_le_bytes());
        out[8..16].copy_from_slice(&self.bytes.to_le_bytes());
        out[16..].copy_from_slice(&self.allocated.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Self {
        let word =
            |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
        Self { entries: word(0), bytes: word(8), allocated: word(16) }
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            entries: self.entries.saturating_add(other.entries),
            bytes: self.bytes.saturating_add(other.bytes),
            allocated: self.allocated.saturating_add(other.allocated),
        }
    }
}

/// The database of their own in which the first caches had them.
const OLD: &CStr = c"totals";

/// What their keys begin with in the main database, and no name does.
const PREFIX: u8 = 0;

/// Where the sums lie.
#[derive(Debug, Clone, Copy)]
pub struct TotalsRows(Database);

impl TotalsRows {
    /// Looks where they lie.
    pub(super) fn open(txn: &impl Read) -> Result<Self> {
        Ok(Self(txn.main()?))
    }

    /// The same, after those that lie in a database of their own have been moved.
    pub(super) fn settle(txn: &mut WriteTxn<'_>) -> Result<Self> {
        let rows = Self::open(txn)?;
        if let Some(old) = txn.open(OLD)? {
            let mut found = Vec::new();
            let mut cursor = txn.cursor(old)?;
            while let Some((id, totals)) = cursor.next()? {
                found.push(([&[PREFIX], id].concat(), totals.to_vec()));
            }
            drop(cursor);
            txn.remove(old)?;
            for (key, totals) in found {
                txn.put(rows.0, &key, &totals)?;
            }
        }
        Ok(rows)
    }

    /// The database, for page counts.
    pub(super) fn database(self) -> Database {
        self.0
    }

    /// Sums over a namespace's entries; none where nothing was ever written.
    pub fn get(self, txn: &impl Read, id: NamespaceId) -> Result<Option<Totals>> {
        Ok(txn.get(self.0, &key_of(id))?.map(Totals::decode))
    }

    /// Records the sums of a namespace.
    pub fn put(self, txn: &mut WriteTxn<'_>, id: NamespaceId, totals: Totals) -> Result<()> {
        txn.put(self.0, &key_of(id), &totals.encode())
    }

    /// Forgets the sums of a namespace.
    pub fn delete(self, txn: &mut WriteTxn<'_>, id: NamespaceId) -> Result<()> {
        txn.delete(self.0, &key_of(id)).map(drop)
    }

    /// Goes through all namespaces, those that wait for deletion included: their bytes are on disk still.
    pub fn each(self, txn: &impl Read, mut row: impl FnMut(NamespaceId, Totals)) -> Result<()> {
        let mut cursor = txn.cursor(self.0)?;
        let mut pair = cursor.seek(&[PREFIX])?;
        while let Some(([PREFIX, id @ ..], bytes)) = pair {
            if let Ok(id) = id.try_into() {
                row(NamespaceId::from_be_bytes(id), Totals::decode(bytes));
            }
            pair = cursor.next()?;
        }
        Ok(())
    }

    /// Sums over all of them.
    pub fn sum(self, txn: &impl Read) -> Result<Totals> {
        let mut sum = Totals::default();
        self.each(txn, |_, totals| sum = sum.plus(totals))?;
        Ok(sum)
    }
}

fn key_of(id: NamespaceId) -> [u8; 5] {
    let [a, b, c, d] = id.to_be_bytes();
    [PREFIX, a, b, c, d]
}
