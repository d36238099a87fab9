//! Cleaning up after processes that died: readable names that point elsewhere, values that no record names,
//! unfinished writes. Never touches what a live process is writing: such files are locked.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use quiver_io::RangeLock;

use crate::adopt;
use crate::catalog::Catalog;
use crate::catalog::keys::{self, NamespaceId};
use crate::catalog::lmdb::Read;
use crate::catalog::record::{Flags, Record};
use crate::engine::Engine;
use crate::error::Result;
use crate::names;
use crate::path_leases;
use crate::settings::{Files, Layout};
use crate::writer::{Link, lock_out_others, swap_link};

/// Files held open while they are compared with the catalog.
const LOCKED_AT_ONCE: usize = 256;
/// Age beyond which what its writer can't have locked, sums and folders, is nobody's, nanoseconds.
const ABANDONED_NS: i128 = 3_600_000_000_000;

/// What a sweep removed or put right.
#[derive(Debug, Clone, Copy, Default)]
pub struct Swept {
    /// Unfinished writes removed, and names of files that nobody uses by path any more.
    pub temporary: u64,
    /// Values without a record removed.
    pub orphans: u64,
    /// Readable names put right.
    pub names: u64,
}

/// Points every readable name at the value its record names. A process killed after a commit may have left the
/// name of an older value, or none.
pub fn names(engine: &Engine) -> Result<u64> {
    let namespaces = {
        let catalog = engine.catalog()?;
        let txn = catalog.env.read()?;
        catalog.namespaces(&txn)?
    };
    let mut mended = 0;
    for (name, space) in namespaces {
        if space.settings.layout == Layout::Named || space.settings.files == Files::Always {
            mended += names_of(engine, &name)?;
            engine.mark_dirty(std::iter::once(name).collect());
        }
    }
    Ok(mended + orphaned_names(engine)?)
}

/// The same in one namespace. Under the lock of the writers: a name that one of them is about to swap, and the
/// half-made link beside it, look like those of a process that died.
fn names_of(engine: &Engine, namespace: &str) -> Result<u64> {
    let _lock = lock_writers(engine)?;
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let Some(space) = catalog.namespace(&txn, namespace)? else { return Ok(0) };
    let folder = engine.root.namespace(namespace);
    let mut mended = 0;
    let mut cursor = txn.cursor(catalog.db.entries)?;
    let mut pair = cursor.seek(&space.id.to_be_bytes())?;
    while let Some((entry, bytes)) = pair
        && keys::namespace_of(entry) == Some(space.id)
    {
        pair = cursor.next()?;
        let Some(record) = Record::decode(bytes) else { continue };
        let Some(name) = record.name.as_ref().filter(|_| !record.flags.has(Flags::ADOPTED)) else {
            continue;
        };
        let object = engine.root.object(record.content, &record.extension);
        let path = folder.join(name);
        let (Ok(theirs), Ok(ours)) = (engine.storage.facts(&path), engine.storage.facts(&object)) else {
            if object.exists() && !path.exists() {
                swap_link(engine, engine.storage.as_ref(), &Link { object, name: path })?;
                mended += 1;
            }
            continue;
        };
        // A file that is newer than the entry was put there by another program: adoption's business. An older one
        // is what a killed process did not get to replace; in a copy of the cache only the bytes tell their age.
        if theirs.ino != ours.ino && (theirs.mtime_ns <= ours.mtime_ns || adopt::is_older(&theirs, &record)) {
            swap_link(engine, engine.storage.as_ref(), &Link { object, name: path })?;
            mended += 1;
        }
    }
    mended += stray_links(engine, &folder);
    mended += cleared_names(engine, &catalog, &txn, namespace, space.id)?;
    Ok(mended)
}

/// Keeps all writers waiting until it is dropped.
pub(crate) fn lock_writers(engine: &Engine) -> Result<RangeLock> {
    let lock = RangeLock::open(&engine.root.locks().join("write"), engine.modes.file)?;
    lock_out_others(engine, &lock)?;
    Ok(lock)
}

/// Settles the names of values that no record names: a process was killed after the commit that removed or replaced
/// the value. Nothing but the value itself tells them from another program's files, so they go before it does.
fn orphaned_names(engine: &Engine) -> Result<u64> {
    let mut found = Found::new();
    for (folder, _) in content_folders(engine).into_iter().filter(|(_, is_object)| *is_object) {
        found.extend(contents(engine, &folder)?);
    }
    let mut orphans = HashSet::new();
    each_orphan(engine, found, &mut |_, object| orphans.extend(inode_of_linked(engine, object)))?;
    settle_names(engine, &orphans)
}

/// The inode of a file that has another name.
fn inode_of_linked(engine: &Engine, path: &Path) -> Option<u64> {
    engine.storage.facts(path).ok().filter(|facts| facts.nlink > 1).map(|facts| facts.ino)
}

/// Points the names of these files at the values that their records name, and removes those that have none. Under the
/// lock of the writers: a name that holds an orphan now is not about to hold another value.
fn settle_names(engine: &Engine, orphans: &HashSet<u64>) -> Result<u64> {
    if orphans.is_empty() {
        return Ok(0);
    }
    let _lock = lock_writers(engine)?;
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let mut settled = 0;
    for (namespace, space) in catalog.namespaces(&txn)? {
        let folder = engine.root.namespace(&namespace);
        for name in names_in(engine, &folder, orphans) {
            let value = match name.strip_prefix(&folder).ok().and_then(Path::to_str) {
                Some(text) => value_of_name(engine, &catalog, &txn, space.id, text)?,
                None => None,
            };
            if let Some(object) = value {
                swap_link(engine, engine.storage.as_ref(), &Link { object, name })?;
                settled += 1;
            } else {
                settled += u64::from(engine.storage.unlink(&name).is_ok());
            }
        }
    }
    Ok(settled)
}

/// The object of the entry that has a readable name.
fn value_of_name(
    engine: &Engine,
    catalog: &Catalog,
    txn: &impl Read,
    id: NamespaceId,
    name: &str,
) -> Result<Option<PathBuf>> {
    let Some(entry) = txn.get(catalog.db.names, &keys::name_key(id, &names::folded(name)))? else {
        return Ok(None);
    };
    let record = txn.get(catalog.db.entries, entry)?.and_then(Record::decode);
    Ok(record
        .filter(|record| record.name.as_deref() == Some(name))
        .map(|record| engine.root.object(record.content, &record.extension))
        .filter(|object| object.exists()))
}

/// The names that these files have in a folder and those inside it.
fn names_in(engine: &Engine, folder: &Path, inodes: &HashSet<u64>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in engine.storage.list(folder).unwrap_or_default() {
        let path = folder.join(entry.name);
        if entry.is_dir {
            found.extend(names_in(engine, &path, inodes));
        } else if engine.storage.facts(&path).is_ok_and(|facts| inodes.contains(&facts.ino)) {
            found.push(path);
        }
    }
    found
}

/// Names of what a clear removed, whose rows wait for deletion: after a power cut such a name may hold a value that
/// the cleared one had replaced, which nothing would tell from another program's file.
fn cleared_names(
    engine: &Engine,
    catalog: &Catalog,
    txn: &impl Read,
    namespace: &str,
    present: NamespaceId,
) -> Result<u64> {
    let mut removed = 0;
    let mut dropped = txn.cursor(catalog.db.dropped)?;
    while let Some((id, name)) = dropped.next()? {
        let Some(id) = keys::namespace_of(id).filter(|_| name == namespace.as_bytes()) else { continue };
        let mut entries = txn.cursor(catalog.db.entries)?;
        let mut pair = entries.seek(&id.to_be_bytes())?;
        while let Some((entry, bytes)) = pair
            && keys::namespace_of(entry) == Some(id)
        {
            pair = entries.next()?;
            let Some(name) = Record::decode(bytes).and_then(|record| record.name) else { continue };
            if txn.get(catalog.db.names, &keys::name_key(present, &names::folded(&name)))?.is_some() {
                continue;
            }
            let path = engine.root.namespace(namespace).join(name);
            let is_value = engine
                .storage
                .facts(&path)
                .is_ok_and(|facts| facts.is_file && facts.has_mode(engine.modes.object));
            removed += u64::from(is_value && engine.storage.unlink(&path).is_ok());
        }
    }
    Ok(removed)
}

/// Half-made links and derived files have a name of ours that nothing else has.
fn stray_links(engine: &Engine, folder: &Path) -> u64 {
    let mut removed = 0;
    if let Ok(entries) = engine.storage.list(folder) {
        for entry in entries {
            if entry.name.to_string_lossy().starts_with(".quiver-")
                && engine.storage.unlink(&folder.join(entry.name)).is_ok()
            {
                removed += 1;
            }
        }
    }
    removed
}

/// Removes unfinished writes, names of files that were leased, and values that no record names.
pub fn files(engine: &Engine) -> Result<Swept> {
    let mut swept = Swept::default();
    for entry in engine.storage.list(&engine.root.tmp())? {
        swept.temporary += u64::from(remove_if_idle(engine, &engine.root.tmp().join(entry.name)));
    }
    swept.temporary += leased(engine);
    for entry in engine.storage.list(&engine.root.trash())? {
        let path = engine.root.trash().join(entry.name);
        let _ =
            if entry.is_dir { engine.storage.remove_dir_all(&path) } else { engine.storage.unlink(&path) };
    }
    let mut linked = Vec::new();
    for (content_folder, is_object) in content_folders(engine) {
        let found = contents(engine, &content_folder)?;
        if found.is_empty() {
            // An empty folder is a folder's worth of blocks. A new one was made for a file that is about to come.
            if age_ns(engine, &content_folder) > ABANDONED_NS {
                let _ = std::fs::remove_dir(&content_folder);
            }
            continue;
        }
        swept.orphans +=
            if is_object { sweep_objects(engine, found, &mut linked)? } else { sweep_sums(engine, &found)? };
    }
    swept.orphans += sweep_linked(engine, &linked)?;
    Ok(swept)
}

/// Removes names of leased files whose values nobody holds; how many.
pub(crate) fn leased(engine: &Engine) -> u64 {
    let mut removed = 0;
    for entry in engine.storage.list(&engine.root.leased()).unwrap_or_default() {
        let name = engine.root.leased().join(entry.name);
        let is_held = path_leases::content_of(&name).is_some_and(|content| engine.holds.is_held(content));
        removed += u64::from(!is_held && engine.storage.unlink(&name).is_ok());
    }
    removed
}

type Found = Vec<(u64, PathBuf)>;

/// Folders of objects, then those of chunk sums.
fn content_folders(engine: &Engine) -> Vec<(PathBuf, bool)> {
    let mut folders = Vec::new();
    for (parent, is_object) in [(engine.root.objects(), true), (engine.root.engine().join("sums"), false)] {
        if let Ok(listed) = engine.storage.list(&parent) {
            folders.extend(
                listed
                    .into_iter()
                    .filter(|entry| entry.is_dir)
                    .map(|entry| (parent.join(entry.name), is_object)),
            );
        }
    }
    folders
}

/// Files named by content id.
fn contents(engine: &Engine, folder: &Path) -> Result<Found> {
    Ok(engine
        .storage
        .list(folder)?
        .into_iter()
        .filter_map(|entry| {
            let name = entry.name.to_string_lossy().into_owned();
            Some((u64::from_str_radix(name.get(..16)?, 16).ok()?, folder.join(entry.name)))
        })
        .collect())
}

/// A value that no record names, and that has another name.
struct Linked {
    inode: u64,
    content: u64,
    path: PathBuf,
}

/// Removes values that no record names; those that have another name are left to `sweep_linked`.
fn sweep_objects(engine: &Engine, found: Found, linked: &mut Vec<Linked>) -> Result<u64> {
    let mut removed = 0;
    each_orphan(engine, found, &mut |content, path| match inode_of_linked(engine, path) {
        Some(inode) => linked.push(Linked { inode, content, path: path.to_path_buf() }),
        None => removed += u64::from(remove_object(engine, content, path)),
    })?;
    Ok(removed)
}

/// Removes values that no record names, but their readable names first: a process may have died since names were put
/// right, and a name without its object would pass for another program's file.
fn sweep_linked(engine: &Engine, linked: &[Linked]) -> Result<u64> {
    settle_names(engine, &linked.iter().map(|value| value.inode).collect())?;
    Ok(linked.iter().map(|value| u64::from(remove_object(engine, value.content, &value.path))).sum())
}

fn remove_object(engine: &Engine, content: u64, path: &Path) -> bool {
    let _ = engine.storage.unlink(&engine.root.sums(content));
    engine.storage.unlink(path).is_ok()
}

/// Tells of the values that no record names, nor ever will. What is being committed is locked until its record is
/// there, so each is locked first, and a snapshot taken after that tells whether it has one.
fn each_orphan(engine: &Engine, found: Found, tell: &mut dyn FnMut(u64, &Path)) -> Result<()> {
    let named = named_contents(engine, &found.iter().map(|(content, _)| *content).collect())?;
    let suspects: Found = found.into_iter().filter(|(content, _)| !named.contains(content)).collect();
    for batch in suspects.chunks(LOCKED_AT_ONCE) {
        let locked: Vec<(u64, &PathBuf, File)> = batch
            .iter()
            .filter_map(|(content, path)| Some((*content, path, lock_idle(engine, path)?)))
            .collect();
        let named = named_contents(engine, &locked.iter().map(|(content, ..)| *content).collect())?;
        for (content, path, _file) in locked.iter().filter(|(content, ..)| !named.contains(content)) {
            tell(*content, path);
        }
    }
    Ok(())
}

/// Removes chunk sums of values that are gone. They are written just before their value, unlocked, so only old
/// ones can be told from those.
fn sweep_sums(engine: &Engine, found: &[(u64, PathBuf)]) -> Result<u64> {
    let named = named_contents(engine, &found.iter().map(|(content, _)| *content).collect())?;
    let mut removed = 0;
    for (_, path) in found.iter().filter(|(content, _)| !named.contains(content)) {
        removed += u64::from(age_ns(engine, path) > ABANDONED_NS && engine.storage.unlink(path).is_ok());
    }
    Ok(removed)
}

/// Since a file or a folder last changed; one that is gone is as old as can be.
fn age_ns(engine: &Engine, path: &Path) -> i128 {
    i128::from(engine.now()) * 1_000_000 - engine.storage.facts(path).map_or(0, |facts| facts.mtime_ns)
}

fn lock_idle(engine: &Engine, path: &Path) -> Option<File> {
    let file = engine.storage.open_read(path).ok()?;
    quiver_io::try_lock_file(&file).is_ok_and(|locked| locked).then_some(file)
}

fn remove_if_idle(engine: &Engine, path: &Path) -> bool {
    lock_idle(engine, path).is_some() && engine.storage.unlink(path).is_ok()
}

/// Which of these contents are named by an entry or a kept version.
fn named_contents(engine: &Engine, wanted: &HashSet<u64>) -> Result<HashSet<u64>> {
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let mut named = HashSet::new();
    for database in [catalog.db.entries, catalog.db.versions] {
        let mut cursor = txn.cursor(database)?;
        while let Some((_, bytes)) = cursor.next()? {
            match Record::decode(bytes) {
                Some(record) if wanted.contains(&record.content) => {
                    named.insert(record.content);
                }
                // A record of a later version may name anything: then nothing is an orphan.
                None => return Ok(wanted.clone()),
                _ => {}
            }
        }
    }
    Ok(named)
}
