//! Listing: entries in the order of their keys, a page at a time.

use crate::catalog::keys;
use crate::catalog::lmdb::Read;
use crate::catalog::record::{Glance, Record};
use crate::catalog::values::PART;
use crate::engine::Engine;
use crate::error::Result;
use crate::reader::Namespace;

/// Which entries a page has.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    /// Keys begin so.
    pub prefix: &'q [u8],
    /// Keys come after this one, which need not be there.
    pub after: Option<&'q [u8]>,
    /// How many there are at most.
    pub limit: usize,
}

/// An entry as a snapshot shows it, before anything of its record is copied.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'t> {
    /// The whole key.
    pub key: &'t [u8],
    record: &'t [u8],
}

impl Listed<'_> {
    /// The whole record; none where it reads at a glance only, as one of a later version may.
    pub fn record(&self) -> Option<Record> {
        Record::decode(self.record)
    }
}

/// A page as a snapshot shows it, in byte order of the keys.
#[derive(Debug, Default)]
pub struct Listing<'t> {
    /// The entries.
    pub entries: Vec<Listed<'t>>,
    /// Others follow.
    pub more: bool,
}

impl<'t> Listing<'t> {
    /// The key after which the next page starts; none at the end.
    pub fn next(&self) -> Option<&'t [u8]> {
        self.entries.last().filter(|_| self.more).map(|last| last.key)
    }
}

/// Shows a page of entries that have not expired to `see`, within the snapshot. Copies nothing.
pub fn look<R>(
    engine: &Engine,
    namespace: &Namespace,
    query: Query<'_>,
    see: impl FnOnce(&Listing<'_>) -> R,
) -> Result<R> {
    look_at(engine, namespace, query, usize::MAX, see)
}

/// Shows the only page of a listing in the same way, if no more than `rows` rows have to be looked at for that, those of
/// entries that have expired too, and a long one for each page that it takes; nothing otherwise.
pub fn look_at_short<R>(
    engine: &Engine,
    namespace: &Namespace,
    query: Query<'_>,
    rows: usize,
    see: impl FnOnce(&Listing<'_>) -> R,
) -> Result<Option<R>> {
    look_at(engine, namespace, query, rows, |page| (!page.more).then(|| see(page)))
}

/// A page is cut short after so many rows.
///
/// Long keys are stored as a prefix and a digest, so those with one prefix lie in the order of their digests. A
/// run of them is read whole and sorted before the page is cut.
fn look_at<R>(
    engine: &Engine,
    namespace: &Namespace,
    Query { prefix, after, limit }: Query<'_>,
    mut rows: usize,
    see: impl FnOnce(&Listing<'_>) -> R,
) -> Result<R> {
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let (id, _) = namespace.current(engine, &catalog, &txn)?;
    let now = engine.now();
    let stored = |key: &[u8]| keys::entry_key(id, &key[..key.len().min(keys::PLAIN)]);
    let bound = stored(prefix);
    let start = after.map(stored).filter(|after| *after > bound);
    let mut page = Listing::default();
    let mut cursor = txn.cursor(catalog.db.entries)?;
    let mut pair = cursor.seek(start.as_ref().unwrap_or(&bound))?;
    while let Some((entry, record)) = pair {
        if !entry.starts_with(&bound) {
            break;
        }
        let looked_at = 1 + record.len() / PART;
        if rows < looked_at {
            page.more = true;
            break;
        }
        rows -= looked_at;
        if let Some(glance) = Glance::of(record)
            && !glance.term.is_expired(now)
        {
            let key = glance.long_key.unwrap_or_else(|| keys::user_key(entry));
            if key.starts_with(prefix) && after.is_none_or(|after| key > after) {
                if page.entries.len() >= limit
                    && !page.entries.last().is_some_and(|last| shares_stored_prefix(last.key, key))
                {
                    page.more = true;
                    break;
                }
                page.entries.push(Listed { key, record });
            }
        }
        pair = cursor.next()?;
    }
    page.entries.sort_by_key(|listed| listed.key);
    if page.entries.len() > limit {
        page.entries.truncate(limit);
        page.more = true;
    }
    Ok(see(&page))
}

/// Whether two keys are both so long that only the same prefix of them orders their records.
fn shares_stored_prefix(one: &[u8], other: &[u8]) -> bool {
    keys::is_long(one) && keys::is_long(other) && one[..keys::PLAIN] == other[..keys::PLAIN]
}

/// A page with all facts, which outlives its snapshot.
#[derive(Debug, Default)]
pub struct Page {
    /// Keys and facts, in byte order of the keys.
    pub entries: Vec<(Vec<u8>, Record)>,
    /// Where the next page starts.
    pub next: Option<Vec<u8>>,
}

/// The page that a query asks for.
pub fn list(engine: &Engine, namespace: &Namespace, query: Query<'_>) -> Result<Page> {
    look(engine, namespace, query, |page| Page {
        entries: page
            .entries
            .iter()
            .filter_map(|listed| Some((listed.key.to_vec(), listed.record()?)))
            .collect(),
        next: page.next().map(<[u8]>::to_vec),
    })
}
