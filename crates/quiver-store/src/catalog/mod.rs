//! The catalog: facts, small values, queues and totals in one LMDB environment, shared by all processes.

mod databases;
pub mod flushed;
pub mod keys;
pub mod lmdb;
pub mod lmdb_hooks;
pub mod precheck;
pub mod record;
pub mod seal;
pub mod totals;
pub mod values;
pub mod walk;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::settings::NamespaceSettings;
pub use databases::Databases;
use keys::NamespaceId;
use lmdb::{Env, EnvOptions, Read, WriteTxn};
pub use totals::Totals;
use totals::TotalsRows;

/// A namespace as recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceRecord {
    /// Number of the present content.
    pub id: NamespaceId,
    /// Word of the stamp table that holds the epoch.
    pub slot: u32,
    /// Stamp of the write that last cleared or reconfigured the namespace.
    pub epoch: u32,
    /// When it was made, ms.
    pub created: u64,
    /// Its settings.
    pub settings: NamespaceSettings,
}

/// How often what happened in a namespace, over all processes since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Values served.
    pub hits: u64,
    /// Lookups that found nothing.
    pub misses: u64,
    /// Values written.
    pub sets: u64,
    /// Values deleted by request.
    pub deletes: u64,
    /// Values evicted.
    pub evictions: u64,
    /// Values that ran out.
    pub expired: u64,
    /// Failures that counted as misses.
    pub errors: u64,
}

impl Counters {
    const WORDS: usize = 7;

    fn words(self) -> [u64; Self::WORDS] {
        [self.hits, self.misses, self.sets, self.deletes, self.evictions, self.expired, self.errors]
    }

    fn from_words(words: [u64; Self::WORDS]) -> Self {
        let [hits, misses, sets, deletes, evictions, expired, errors] = words;
        Self { hits, misses, sets, deletes, evictions, expired, errors }
    }

    fn encode(self) -> Vec<u8> {
        self.words().iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(8).map(|b| b.try_into().map_or(0, u64::from_le_bytes));
        Self::from_words(std::array::from_fn(|_| words.next().unwrap_or(0)))
    }

    fn with(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let (left, right) = (self.words(), other.words());
        let mut pairs = left.into_iter().zip(right);
        Self::from_words(std::array::from_fn(|_| {
            pairs.next().map_or(0, |(left, right)| combine(left, right))
        }))
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// What is left without the other's.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }

    /// Whether nothing was counted.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// What belongs to no namespace in particular is counted under no name, which LMDB doesn't take as a key.
fn counters_key(name: &str) -> &[u8] {
    if name.is_empty() { &[0] } else { name.as_bytes() }
}

/// The open catalog.
#[derive(Debug)]
pub struct Catalog {
    /// The environment.
    pub env: Env,
    /// Its databases.
    pub db: Databases,
    /// Sums over the entries of each namespace.
    pub totals: TotalsRows,
}

impl Catalog {
    /// Opens or makes the catalog in `folder`. The caller holds the write lock of the root while databases may
    /// have to be made.
    pub fn open(folder: &Path, options: &EnvOptions) -> Result<Self> {
        let env = Env::open(folder, options)?;
        let (db, totals) = if options.read_only {
            let txn = env.read()?;
            let db = Databases::open(|name| {
                txn.open(name)?
                    .ok_or_else(|| Error::new(Code::Corrupt, "the catalog lacks a database").at(folder))
            })?;
            let totals = TotalsRows::open(&txn)?;
            txn.commit()?;
            (db, totals)
        } else {
            let mut txn = env.write()?;
            let db = Databases::open(|name| txn.create(name))?;
            let totals = TotalsRows::settle(&mut txn)?;
            txn.commit()?;
            (db, totals)
        };
        Ok(Self { env, db, totals })
    }

    /// A namespace as recorded.
    pub fn namespace(&self, txn: &impl Read, name: &str) -> Result<Option<NamespaceRecord>> {
        let Some(bytes) = txn.get(self.db.namespaces, name.as_bytes())? else { return Ok(None) };
        serde_json::from_slice(bytes).map(Some).map_err(|error| {
            Error::new(Code::Corrupt, format!("the record of namespace {name:?} is unreadable: {error}"))
        })
    }

    /// Every namespace, in order of their names.
    pub fn namespaces(&self, txn: &impl Read) -> Result<Vec<(String, NamespaceRecord)>> {
        let mut out = Vec::new();
        let mut cursor = txn.cursor(self.db.namespaces)?;
        while let Some((name, bytes)) = cursor.next()? {
            let name = String::from_utf8_lossy(name).into_owned();
            if let Ok(record) = serde_json::from_slice(bytes) {
                out.push((name, record));
            }
        }
        Ok(out)
    }

    /// Records a namespace.
    pub fn put_namespace(&self, txn: &mut WriteTxn<'_>, name: &str, record: &NamespaceRecord) -> Result<()> {
        let bytes = serde_json::to_vec(record)
            .map_err(|error| Error::new(Code::Internal, format!("settings don't encode: {error}")))?;
        Ok(txn.put(self.db.namespaces, name.as_bytes(), &bytes)?)
    }

    /// Counters of a namespace.
    pub fn counters(&self, txn: &impl Read, name: &str) -> Result<Counters> {
        Ok(txn.get(self.db.counters, counters_key(name))?.map(Counters::decode).unwrap_or_default())
    }

    /// Adds to the counters of a namespace.
    pub fn add_counters(&self, txn: &mut WriteTxn<'_>, name: &str, more: Counters) -> Result<()> {
        let sum = self.counters(txn, name)?.plus(more);
        Ok(txn.put(self.db.counters, counters_key(name), &sum.encode())?)
    }

    /// A number in `meta`.
    pub fn number(&self, txn: &impl Read, name: &str) -> Result<Option<u64>> {
        Ok(txn.get(self.db.meta, name.as_bytes())?.and_then(|b| b.try_into().ok()).map(u64::from_le_bytes))
    }

    /// Sets a number in `meta`.
    pub fn put_number(&self, txn: &mut WriteTxn<'_>, name: &str, value: u64) -> Result<()> {
        Ok(txn.put(self.db.meta, name.as_bytes(), &value.to_le_bytes())?)
    }

    /// Bytes of the pages in use, free ones left out.
    pub fn used_bytes(&self, txn: &impl Read) -> Result<u64> {
        // The meta pages.
        let mut pages = 2;
        for database in self.db.all().chain([self.totals.database()]) {
            pages += txn.stat(database)?.pages;
        }
        Ok(pages * self.env.page_size())
    }
}
