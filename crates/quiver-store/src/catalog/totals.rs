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

/// The database of their own in which they lay in layout 1.
const OLD: &CStr = c"totals";

/// What their keys begin with in the main database, and no name does.
const PREFIX: &[u8] = &[0];

/// Where the sums lie.
#[derive(Debug, Clone, Copy)]
pub struct TotalsRows {
    main: Database,
    /// That of layout 1, in which they lie if it is there.
    old: Option<Database>,
}

impl TotalsRows {
    /// Looks where they lie.
    pub(super) fn open(txn: &impl Read) -> Result<Self> {
        Ok(Self { main: txn.main()?, old: txn.open(OLD)? })
    }

    /// The databases, for page counts.
    pub(super) fn databases(self) -> impl Iterator<Item = Database> {
        [self.main].into_iter().chain(self.old)
    }

    /// Whether they lie where layout 1 has them.
    pub(super) fn are_old(self) -> bool {
        self.old.is_some()
    }

    /// Brings them into the main database.
    pub(super) fn moved(self, txn: &mut WriteTxn<'_>) -> Result<Self> {
        let mut rows = Vec::new();
        self.each(txn, |id, totals| rows.push((id, totals)))?;
        txn.remove(OLD)?;
        let new = Self { old: None, ..self };
        for (id, totals) in rows {
            new.put(txn, id, totals)?;
        }
        Ok(new)
    }

    /// Sums over a namespace's entries; none where nothing was ever written.
    pub fn get(self, txn: &impl Read, id: NamespaceId) -> Result<Option<Totals>> {
        self.at(id, |database, key| Ok(txn.get(database, key)?.map(Totals::decode)))
    }

    /// Records the sums of a namespace.
    pub fn put(self, txn: &mut WriteTxn<'_>, id: NamespaceId, totals: Totals) -> Result<()> {
        self.at(id, |database, key| txn.put(database, key, &totals.encode()))
    }

    /// Forgets the sums of a namespace.
    pub fn delete(self, txn: &mut WriteTxn<'_>, id: NamespaceId) -> Result<()> {
        self.at(id, |database, key| txn.delete(database, key).map(drop))
    }

    /// Goes through all namespaces, those that wait for deletion included: their bytes are on disk still.
    pub fn each(self, txn: &impl Read, mut row: impl FnMut(NamespaceId, Totals)) -> Result<()> {
        let (database, prefix) = self.old.map_or((self.main, PREFIX), |old| (old, &[]));
        let mut cursor = txn.cursor(database)?;
        let mut pair = cursor.seek(prefix)?;
        while let Some((key, bytes)) = pair
            && let Some(id) = key.strip_prefix(prefix)
        {
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

    /// Calls with the database and key of a row.
    fn at<R>(self, id: NamespaceId, call: impl FnOnce(Database, &[u8]) -> R) -> R {
        let [a, b, c, d] = id.to_be_bytes();
        let key = [0, a, b, c, d];
        match self.old {
            None => call(self.main, &key),
            Some(old) => call(old, &key[PREFIX.len()..]),
        }
    }
}
