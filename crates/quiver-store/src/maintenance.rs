//! Work on a whole cache: verify, compact, back up, measure.

use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use quiver_io::{Disk, Sha256, Storage as _};
use serde::Serialize;

use crate::catalog::lmdb::Read;
use crate::catalog::record::{Glance, Record};
use crate::catalog::{keys, values, walk};
use crate::error::{Code, Error, Result};
use crate::listing::Query;
use crate::reader::{self, Age, Namespace};
use crate::store::{Format, Store};
use crate::writer::{Op, Reason, Victim};

/// One thing that `verify` found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Namespace of the entry; empty for the catalog itself.
    pub namespace: String,
    /// Its key.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// Stable code of the problem.
    pub code: &'static str,
    /// It was put right.
    pub repaired: bool,
}

/// What `verify` looked at and found.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Entries looked at.
    pub entries: u64,
    /// Bytes compared with their digest.
    pub bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Compares every value of a namespace with its digest. `repair` removes damaged entries, whose values are then
/// computed or fetched again. `progress` is told entries and bytes so far; `stop` ends the work early.
pub fn verify(
    store: &Store,
    namespace: &Namespace,
    repair: bool,
    stop: &AtomicBool,
    progress: &dyn Fn(u64, u64),
) -> Result<Verified> {
    let mut out = Verified::default();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.list(namespace, Query { prefix: b"", after: after.as_deref(), limit: 256 })?;
        for (key, record) in &page.entries {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::new(Code::Aborted, "verification was given up"));
            }
            out.entries += 1;
            match check(store, namespace, key, record) {
                Ok(bytes) => out.bytes += bytes,
                Err(error) => {
                    let repaired = repair && remove(store, namespace, key, record)?;
                    out.findings.push(Finding {
                        namespace: namespace.name.clone(),
                        key: String::from_utf8_lossy(key).into_owned(),
                        problem: error.message,
                        code: error.code.name(),
                        repaired,
                    });
                }
            }
            progress(out.entries, out.bytes);
        }
        after = page.next;
        if after.is_none() {
            return Ok(out);
        }
    }
}

fn check(store: &Store, namespace: &Namespace, key: &[u8], record: &Record) -> Result<u64> {
    if record.is_inline() {
        let mut value = Vec::new();
        reader::lookup_aged(&store.engine, namespace, key, Age::Any, &mut value)?;
    } else {
        let value = store
            .values
            .open(&store.engine.root, record)?
            .ok_or_else(|| Error::new(Code::Corrupt, "the value's file is gone"))?;
        let file = std::fs::File::open(store.engine.root.object(record.content, &record.extension)).ok();
        value.checked.verify_whole(file.as_ref(), &[])?;
    }
    Ok(record.size)
}

fn remove(store: &Store, namespace: &Namespace, key: &[u8], record: &Record) -> Result<bool> {
    let catalog = store.engine.catalog()?;
    let id = {
        let txn = catalog.env.read()?;
        namespace.current(&store.engine, &catalog, &txn)?.0
    };
    drop(catalog);
    let victim = Victim { entry: keys::entry_key(id, key), stamp: record.stamp };
    store.writer()?.call(Op::Remove { victims: vec![victim], reason: Reason::Delete })?;
    Ok(true)
}

/// Walks the catalog's pages; what is wrong with them.
pub fn check_catalog(store: &Store) -> Result<Vec<String>> {
    Ok(walk::walk(&store.engine.root.data(), &mut |_, _, _| {})?.problems)
}

/// SHA-256 of a value, made now for a packed one that has none yet.
pub fn digest(store: &Store, namespace: &Namespace, key: &[u8], record: &Record) -> Result<Option<[u8; 32]>> {
    if record.sha256.is_some() || !record.is_inline() {
        return Ok(record.sha256);
    }
    let catalog = store.engine.catalog()?;
    let mut value = Vec::new();
    let entry = {
        let txn = catalog.env.read()?;
        let entry = keys::entry_key(namespace.current(&store.engine, &catalog, &txn)?.0, key);
        let glance = txn.get(catalog.db.entries, &entry)?.and_then(Glance::of);
        let Some(glance) = glance.filter(|glance| glance.content == record.content) else {
            // Replaced since its facts were read.
            return Ok(None);
        };
        if values::read(&txn, &catalog.db, &glance, reader::room_in(&mut value)).is_err() {
            // Damaged, which who asks for the value is told.
            return Ok(None);
        }
        entry
    };
    drop(catalog);
    let sha256 = Sha256::of(&value);
    if let Some(writer) = &store.writer {
        writer.submit(Op::SetDigest { entry, content: record.content, sha256 }, Box::new(|_| {}));
    }
    Ok(Some(sha256))
}

/// What the cache takes on disk.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskUsage {
    /// All of it.
    pub total: u64,
    /// The catalog's file.
    pub catalog: u64,
    /// Of that, pages in use.
    pub catalog_used: u64,
    /// Values as files.
    pub objects: u64,
    /// Unfinished writes and what waits for deletion.
    pub waste: u64,
    /// Bytes that can still be written on the volume.
    pub free: u64,
}

/// Measures.
pub fn disk_usage(store: &Store) -> Result<DiskUsage> {
    let root = &store.engine.root;
    let catalog = store.engine.catalog()?;
    let catalog_used = catalog.used_bytes(&catalog.env.read()?)?;
    Ok(DiskUsage {
        total: allocated(root.path()),
        catalog: allocated(&root.data()),
        catalog_used,
        objects: allocated(&root.objects()),
        waste: allocated(&root.tmp()) + allocated(&root.trash()),
        free: quiver_io::free_bytes(root.path())?,
    })
}

/// Allocated bytes under a path; hard links count once.
fn allocated(path: &Path) -> u64 {
    fn add(path: &Path, seen: &mut std::collections::HashSet<u64>) -> u64 {
        let Ok(facts) = Disk.facts(path) else { return 0 };
        if facts.nlink > 1 && !facts.is_dir && !seen.insert(facts.ino) {
            return 0;
        }
        let mut sum = facts.allocated;
        if facts.is_dir {
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                sum += add(&entry.path(), seen);
            }
        }
        sum
    }
    add(path, &mut std::collections::HashSet::new())
}

/// Writes a copy that opens as a cache of its own while this one goes on: the catalog as of one moment, values as
/// hard links where the target is on the same file system, else copies.
pub fn backup(store: &Store, to: &Path) -> Result<u64> {
    let engine = &store.engine;
    let target = crate::root::Root::new(to);
    if target.engine().exists() {
        let message = format!("there is a cache in {} already", to.display());
        return Err(Error::new(Code::BadOption, message).at(to));
    }
    crate::store::open::refuse_nested(to)?;
    for folder in [target.catalog(), target.objects(), target.locks(), target.tmp(), target.trash()] {
        engine.storage.create_dir(&folder, engine.modes.folder)?;
    }
    let catalog = engine.catalog()?;
    catalog.env.copy(&target.catalog(), true)?;
    let copy = crate::catalog::Catalog::open(&target.catalog(), &engine.env)?;
    let txn = copy.env.read()?;
    let mut copied = 0;
    for database in [copy.db.entries, copy.db.versions] {
        let mut cursor = txn.cursor(database)?;
        while let Some((_, bytes)) = cursor.next()? {
            let Some(record) = Record::decode(bytes).filter(|record| !record.is_inline()) else { continue };
            for (from, into) in [
                (
                    engine.root.object(record.content, &record.extension),
                    target.object(record.content, &record.extension),
                ),
                (engine.root.sums(record.content), target.sums(record.content)),
            ] {
                if !from.exists() {
                    continue;
                }
                if let Some(folder) = into.parent() {
                    engine.storage.create_dir(folder, engine.modes.folder)?;
                }
                if engine.storage.link(&from, &into).is_err() {
                    engine.storage.copy_or_reflink(&from, &into, engine.modes.object)?;
                }
                copied += 1;
            }
        }
    }
    drop(txn);
    let facts = engine.storage.facts(to)?;
    let mut format = store.format.clone();
    format.place = [facts.dev, facts.ino];
    format.uuid = Format::new(format.place, format.settings.clone()).uuid;
    format.write(engine.storage.as_ref(), &target, engine.modes)?;
    Ok(copied)
}

/// Rewrites the catalog without its free pages; only with nobody else in the cache. Bytes saved.
pub fn compact(store: &Store) -> Result<u64> {
    let engine = &store.engine;
    let writer = store.writer()?;
    let busy = || Error::new(Code::Busy, "other processes have the cache open").at(engine.root.path());
    let session = || store.session.lock().unwrap_or_else(PoisonError::into_inner);
    // Before anybody is kept waiting.
    if !session().is_alone()? {
        return Err(busy());
    }
    let _pause = writer.pause()?;
    let session = session();
    if !session.try_exclusive()? {
        return Err(busy());
    }
    let result = engine.compact_catalog();
    session.share()?;
    result
}
