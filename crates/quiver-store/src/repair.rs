//! Rebuilding a damaged catalog from what can still be read of it, and of the values beside it.
//!
//! The old file is read without LMDB (`catalog::walk`), so damage in it can't harm this process. A row is taken
//! over when it can be read and its value is there and whole; everything that follows from the entries (queues,
//! indexes, sums, slots) is made anew. Named namespaces get the rest back by adoption when they are opened.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::Path;

use quiver_io::{Disk, Sha256, Storage as _};

use crate::adopt::Index;
use crate::catalog::keys::{self, NamespaceId};
use crate::catalog::lmdb::{EnvOptions, Read};
use crate::catalog::record::{NEVER, Record, Row};
use crate::catalog::walk;
use crate::catalog::{Catalog, NamespaceRecord, Totals, values};
use crate::engine::Modes;
use crate::error::{Error, Result};
use crate::root::Root;
use crate::stamps::{MAX_SLOTS, NO_SLOT, Stamps};

/// What a rebuild kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rebuilt {
    /// Entries kept.
    pub kept: u64,
    /// Entries whose value is gone or damaged.
    pub lost: u64,
}

#[derive(Default)]
struct Rows {
    namespaces: BTreeMap<String, NamespaceRecord>,
    entries: BTreeMap<Vec<u8>, Row>,
    versions: BTreeMap<Vec<u8>, Row>,
    parts: HashMap<u64, BTreeMap<u16, Vec<u8>>>,
    counters: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Rebuilds the catalog. Only with nobody else in the cache. `verify`: whole files are compared with their digest.
///
/// The damaged file stays where it is until the new one is complete: whoever is killed in between leaves a catalog
/// that the next opener finds damaged and rebuilds, never an empty one that makes every value an orphan.
pub fn rebuild(root: &Root, modes: Modes, options: EnvOptions, verify: bool) -> Result<Rebuilt> {
    let mut rows = Rows::default();
    if root.data().exists() {
        // Nothing readable at all is an empty catalog.
        let _ = walk::walk(&root.data(), &mut |database, key, value| rows.take(database, key, value));
    }
    let stamps = Stamps::open(&root.stamps(), modes.file)?;
    let stamp = stamps.greatest().wrapping_add(1);
    stamps.retire(stamp);
    let folder = root.engine().join("catalog-rebuild");
    Disk.remove_dir_all(&folder)?;
    Disk.create_dir(&folder, modes.folder)?;
    let catalog = Catalog::open(&folder, &options)?;
    let mut rebuilt = Rebuilt::default();
    write_rows(root, &catalog, &stamps, stamp, rows, verify, &mut rebuilt)?;
    set_aside_unknown(root, modes, &catalog, verify)?;
    catalog.env.sync()?;
    drop(catalog);
    replace(root, &folder)?;
    Ok(rebuilt)
}

/// Puts the new catalog in the place of the damaged one, which is kept in the trash until the next sweep, for
/// whoever wants to look.
fn replace(root: &Root, new: &Path) -> Result<()> {
    let mark = quiver_io::random_u64();
    let aside = |name: &str| root.trash().join(format!("{name}.damaged-{mark:016x}"));
    // Where there are no hard links the damaged file is not kept.
    let _ = Disk.link(&root.data(), &aside("data.mdb"));
    let lock = root.catalog().join("lock.mdb");
    if lock.exists() {
        Disk.rename(&lock, &aside("lock.mdb"))?;
    }
    Disk.unlink_if_there(&root.flushed())?;
    Disk.rename(&new.join("data.mdb"), &root.data())?;
    Disk.sync_dir(&root.catalog())?;
    Ok(Disk.remove_dir_all(new)?)
}

/// Takes readable names of values that have no record any more out of the namespaces' folders, where adoption would
/// take them for files of another program: with `torn`, those whose bytes may be lost, as there is no digest
/// to compare them with, known by the permission bits that only values have; else those of which the index does not
/// tell when they run out.
fn set_aside_unknown(root: &Root, modes: Modes, catalog: &Catalog, torn: bool) -> Result<()> {
    let kept = kept_objects(root, catalog)?;
    let objects = if torn { HashSet::new() } else { all_objects(root) };
    let folders =
        std::fs::read_dir(root.path()).map_err(|error| Error::os("listing", root.path(), &error))?;
    for folder in folders.flatten() {
        let hidden = folder.file_name().to_string_lossy().starts_with('.');
        if hidden || !folder.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let Ok(files) = std::fs::read_dir(folder.path()) else { continue };
        let index = Index::read(&Disk, &folder.path());
        let listed = index.files();
        for file in files.flatten() {
            let Ok(facts) = Disk.facts(&file.path()) else { continue };
            let ours = facts.is_file
                && !kept.contains(&facts.ino)
                && if torn {
                    facts.has_mode(modes.object)
                } else {
                    let told = facts.mtime_ns <= index.written_ns() && listed.contains(&*file.file_name());
                    objects.contains(&facts.ino) && !told
                };
            if ours {
                let to = root.trash().join(format!("unknown-{:016x}", quiver_io::random_u64()));
                std::fs::rename(file.path(), to)
                    .map_err(|error| Error::os("setting a value aside", &file.path(), &error))?;
            }
        }
    }
    Ok(())
}

/// Inodes of the objects that the catalog names.
fn kept_objects(root: &Root, catalog: &Catalog) -> Result<HashSet<u64>> {
    let txn = catalog.env.read()?;
    let mut kept = HashSet::new();
    let mut cursor = txn.cursor(catalog.db.entries)?;
    while let Some((_, bytes)) = cursor.next()? {
        let Some(record) = Record::decode(bytes).filter(|record| !record.is_inline()) else { continue };
        if let Ok(facts) = Disk.facts(&root.object(record.content, &record.extension)) {
            kept.insert(facts.ino);
        }
    }
    Ok(kept)
}

/// Inodes of the objects that are there.
fn all_objects(root: &Root) -> HashSet<u64> {
    let list = |folder: &Path| Disk.list(folder).unwrap_or_default();
    let folders = list(&root.objects()).into_iter().map(|folder| root.objects().join(folder.name));
    folders
        .flat_map(|folder| list(&folder).into_iter().map(move |file| folder.join(file.name)))
        .filter_map(|file| Disk.facts(&file).ok())
        .map(|facts| facts.ino)
        .collect()
}

impl Rows {
    fn take(&mut self, database: &str, key: &[u8], value: &[u8]) {
        match database {
            "namespaces" => {
                if let (Ok(name), Ok(record)) =
                    (String::from_utf8(key.to_vec()), serde_json::from_slice(value))
                {
                    self.namespaces.insert(name, record);
                }
            }
            "entries" => {
                if let Some(row) = Row::decode(value) {
                    self.entries.insert(key.to_vec(), row);
                }
            }
            "versions" => {
                if let Some(row) = Row::decode(value) {
                    self.versions.insert(key.to_vec(), row);
                }
            }
            "values" => {
                if let Ok(key) = <[u8; 10]>::try_from(key) {
                    let [content @ .., high, low] = key;
                    let part = u16::from_be_bytes([high, low]);
                    self.parts.entry(u64::from_be_bytes(content)).or_default().insert(part, value.to_vec());
                }
            }
            "counters" => {
                self.counters.insert(key.to_vec(), value.to_vec());
            }
            _ => {}
        }
    }

    /// The value of a packed record, when all of it is there and its sum agrees.
    fn packed<'r>(&self, row: &'r Row) -> Option<Cow<'r, [u8]>> {
        let record = &row.record;
        let value = match &row.value {
            Some(value) => Cow::from(value),
            None if record.size == 0 => Cow::default(),
            None => self.parts.get(&record.content)?.values().flatten().copied().collect(),
        };
        (value.len() as u64 == record.size
            && record.sum128.is_none_or(|sum| sum == quiver_io::sum128(&value)))
        .then_some(value)
    }
}

fn write_rows(
    root: &Root,
    catalog: &Catalog,
    stamps: &Stamps,
    stamp: u32,
    rows: Rows,
    verify: bool,
    rebuilt: &mut Rebuilt,
) -> Result<()> {
    let mut txn = catalog.env.write()?;
    let db = catalog.db;
    let mut next_slot = 0;
    let mut slot = || {
        let taken = if next_slot < MAX_SLOTS { next_slot } else { NO_SLOT };
        next_slot = next_slot.saturating_add(1);
        taken
    };
    let mut names = HashMap::new();
    let mut next_id: NamespaceId = 1;
    for (name, mut space) in rows.namespaces.clone() {
        next_id = next_id.max(space.id + 1);
        names.insert(space.id, name.clone());
        space.slot = slot();
        space.epoch = stamp;
        stamps.store(space.slot, stamp)?;
        catalog.put_namespace(&mut txn, &name, &space)?;
    }
    let mut totals: HashMap<NamespaceId, Totals> = HashMap::new();
    for (versions, entries) in [(false, &rows.entries), (true, &rows.versions)] {
        for (key, row) in entries {
            let record = &row.record;
            let Some(id) = keys::namespace_of(key).filter(|id| names.contains_key(id)) else { continue };
            let packed = record.is_inline().then(|| rows.packed(row));
            if matches!(packed, Some(None)) || (packed.is_none() && !file_is_whole(root, record, verify)) {
                rebuilt.lost += 1;
                continue;
            }
            rebuilt.kept += 1;
            if let Some(Some(value)) = packed
                && !record.embedded
            {
                values::put(&mut txn, &db, record.content, &value, values::LARGEST)?;
            }
            let sum = totals.entry(id).or_default();
            sum.allocated += record.allocated;
            if versions {
                txn.put(db.versions, key, &row.encode())?;
                continue;
            }
            sum.entries += 1;
            sum.bytes += record.size;
            let mut record = record.clone();
            record.stamp = stamp;
            record.slot = slot();
            stamps.store(record.slot, stamp)?;
            if record.expires != NEVER {
                txn.put(db.expiry, &keys::expiry_key(record.kept_until(), record.content), key)?;
            }
            for tag in &record.tags {
                txn.put(db.tags, &keys::tag_key(tag, id, record.content), key)?;
            }
            if let Some(name) = &record.name {
                txn.put(db.names, &keys::name_key(id, &crate::names::folded(name)), key)?;
            }
            txn.put(db.entries, key, &record.encode(row.value.as_deref()))?;
        }
    }
    for (id, sum) in totals {
        catalog.totals.put(&mut txn, id, sum)?;
    }
    for (name, counters) in rows.counters {
        txn.put(db.counters, &name, &counters)?;
    }
    catalog.put_number(&mut txn, "nextSlot", u64::from(next_slot.min(MAX_SLOTS)))?;
    catalog.put_number(&mut txn, "nextNamespace", u64::from(next_id))?;
    catalog.put_number(&mut txn, "stampBase", u64::from(stamp))?;
    txn.commit()?;
    Ok(())
}

fn file_is_whole(root: &Root, record: &Record, verify: bool) -> bool {
    let path = root.object(record.content, &record.extension);
    let Ok(facts) = std::fs::metadata(&path) else { return false };
    if facts.len() != record.size {
        return false;
    }
    !verify || record.sha256.is_none_or(|expected| digest(&path).is_some_and(|found| found == expected))
}

fn digest(path: &Path) -> Option<[u8; 32]> {
    use std::io::Read;
    let mut file = File::open(path).ok()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
