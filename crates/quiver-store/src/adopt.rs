//! Files that other programs put under a namespace's folder: taken over as entries.
//!
//! A foreign file may be written in place at any moment, so it is never mapped: its bytes are copied, or its blocks
//! shared where the file system can, into an object of our own. A file younger than two seconds, or one that
//! changes while it is read, is left for later.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use quiver_io::{FileFacts, Storage};

use crate::catalog::keys;
use crate::catalog::lmdb::Read;
use crate::catalog::record::{FileIdentity, Record};
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::index_json::{ForeignEntry, ForeignIndex};
use crate::listing::Query;
use crate::names;
use crate::publisher::{Commit, ObjectWriter, Threads};
use crate::reader::{self, Age, Namespace};
use crate::settings::Layout;
use crate::store::Store;
use crate::writer::{Adoption, NewFacts, Op, Reason};

/// Age below which a file may still be being written, nanoseconds.
const SETTLED_NS: i128 = 2_000_000_000;
/// Extensions of values, with their codecs.
const CODECS: [(&str, &str); 8] = [
    ("npz", "npz"),
    ("npy", "npy"),
    ("json", "json"),
    ("pt", "pt"),
    ("dat", "bin"),
    ("txt", "text"),
    ("safetensors", "safetensors"),
    ("arrow", "arrow"),
];

/// How the file under a readable name compares with the facts taken of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedFile {
    /// As it was, or not compared.
    Same,
    /// Another file, or changed.
    Changed,
    /// Gone.
    Gone,
}

/// What tells one file from another, and a file from itself after a change.
pub(crate) fn identity(facts: &FileFacts) -> FileIdentity {
    FileIdentity { ino: facts.ino, size: facts.size, mtime_ns: facts.mtime_ns as i64 }
}

/// Compares; one system call. Only named namespaces have files that other programs write.
///
/// A file that did not change since the record was made is no news, whatever its identity: it is what the name
/// held before, in the moment between a commit and the swap of the name, or for good if the writer died there.
pub fn named_file(engine: &Engine, namespace: &str, record: &Record) -> NamedFile {
    let (Some(name), Some(known)) = (&record.name, record.named_file) else { return NamedFile::Same };
    if !engine.hard_links {
        return NamedFile::Same;
    }
    match engine.storage.facts(&engine.root.namespace(namespace).join(name)) {
        Ok(facts) if identity(&facts) == known => NamedFile::Same,
        Ok(facts) if is_older(&facts, record) => NamedFile::Same,
        // In a copy of the cache every file has another identity, and the name is the object still.
        Ok(facts) if is_object(engine, record, &facts) => NamedFile::Same,
        Ok(_) => NamedFile::Changed,
        Err(error) if error.kind() == quiver_io::ErrorKind::NotFound => NamedFile::Gone,
        Err(_) => NamedFile::Same,
    }
}

/// Whether a file did not change since the record was made. The name may have got it in the very millisecond in which
/// that was, by the commit before.
pub(crate) fn is_older(file: &FileFacts, record: &Record) -> bool {
    file.mtime_ns.max(file.ctime_ns) / 1_000_000 <= i128::from(record.created)
}

/// Whether a file is the object of a record under another name.
fn is_object(engine: &Engine, record: &Record, file: &FileFacts) -> bool {
    let object = engine.root.object(record.content, &record.extension);
    engine.storage.facts(&object).is_ok_and(|object| (object.dev, object.ino) == (file.dev, file.ino))
}

/// The readable name of a value, where it shows that value: not where it couldn't be swapped. Under the lock of the writers,
/// who are about to swap it otherwise; where there are no hard links, nothing else tells.
pub(crate) fn name_shown(engine: &Engine, namespace: &Namespace, record: &Record) -> Option<PathBuf> {
    if !namespace.is_named() {
        return None;
    }
    let path = engine.root.namespace(&namespace.name).join(record.name.as_ref()?);
    let facts = engine.storage.facts(&path).ok()?;
    let shows = match record.named_file {
        Some(known) if engine.hard_links => known == identity(&facts) || is_object(engine, record, &facts),
        known => known.is_some(),
    };
    shows.then_some(path)
}

/// Takes over the file of one key, if there is one: whether there was. Fails where the file is not what its writer's
/// index.json says.
pub fn one(store: &Store, namespace: &Namespace, key: &[u8]) -> Result<bool> {
    if namespace.record().settings.layout != Layout::Named || store.engine.read_only {
        return Ok(false);
    }
    let Ok(text) = std::str::from_utf8(key) else { return Ok(false) };
    let folder = store.engine.root.namespace(&namespace.name);
    let recorded = reader::lookup_aged(&store.engine, namespace, key, Age::Any, &mut Vec::new())?
        .and_then(|found| found.record.name);
    for name in recorded.into_iter().chain(names_of(text)) {
        let Ok(facts) = store.engine.storage.facts(&folder.join(&name)) else { continue };
        if let Some(candidate) = Candidate::new(&name).filter(|_| facts.is_file) {
            let index = Index::read(store.engine.storage.as_ref(), &folder);
            return file(store, namespace, key, candidate, &index).map(|taken| taken == Taken::Yes);
        }
    }
    Ok(false)
}

/// Takes over every foreign file of a namespace, and notices those that are gone. How many were taken over. A file
/// that can't be, damaged ones included, keeps nothing else from it: who asks for its key is told why.
pub fn all(store: &Store, namespace: &Namespace) -> Result<u64> {
    if namespace.record().settings.layout != Layout::Named || store.engine.read_only {
        return Ok(0);
    }
    let folder = store.engine.root.namespace(&namespace.name);
    let index = Index::read(store.engine.storage.as_ref(), &folder);
    let mut adopted = 0;
    let Ok(listed) = store.engine.storage.list(&folder) else { return Ok(0) };
    for entry in listed {
        let Ok(name) = entry.name.into_string() else { continue };
        if entry.is_dir || name.starts_with('.') || name == "index.json" || name.ends_with(".meta.json") {
            continue;
        }
        let Some(candidate) = Candidate::new(&name) else { continue };
        let Some(key) = key_of(store, namespace, candidate, &index)? else { continue };
        if file(store, namespace, key.as_bytes(), candidate, &index).is_ok_and(|taken| taken == Taken::Yes) {
            adopted += 1;
        }
    }
    forget_gone(store, namespace)?;
    Ok(adopted)
}

/// A file whose extension says how to read it.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    name: &'a str,
    stem: &'a str,
    extension: &'a str,
    codec: &'static str,
}

impl<'a> Candidate<'a> {
    fn new(name: &'a str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let (_, codec) = CODECS.iter().find(|(known, _)| *known == extension)?;
        Some(Self { name, stem, extension, codec })
    }
}

/// What the index.json in a folder says of the files beside it.
pub(crate) struct Index {
    entries: ForeignIndex,
    written_ns: i128,
}

impl Index {
    pub(crate) fn read(storage: &dyn Storage, folder: &Path) -> Self {
        let path = folder.join("index.json");
        Self {
            entries: ForeignIndex::read(&path).unwrap_or_default(),
            written_ns: storage.facts(&path).map_or(0, |facts| facts.mtime_ns),
        }
    }

    /// When it was written, nanoseconds since 1970.
    pub(crate) fn written_ns(&self) -> i128 {
        self.written_ns
    }

    /// Names of the files that it lists.
    pub(crate) fn files(&self) -> HashSet<&OsStr> {
        self.entries.entries.values().filter_map(|entry| entry.file.as_deref()).map(OsStr::new).collect()
    }

    /// What it says of a file, unless it was written before the file was, or tells of the value that the catalog
    /// has and the file has replaced.
    fn of(&self, key: &[u8], file: &FileFacts, recorded: Option<&Record>) -> Option<&ForeignEntry> {
        let entry = self.entries.entries.get(std::str::from_utf8(key).ok()?)?;
        let outdated =
            entry.checksum.is_some() && recorded.is_some_and(|record| record.sha256 == entry.checksum);
        (file.mtime_ns <= self.written_ns && !outdated).then_some(entry)
    }
}

/// Which key a file belongs to: the one that holds the name, the one its writer's index gives, or its stem.
fn key_of(
    store: &Store,
    namespace: &Namespace,
    Candidate { name, stem, extension, .. }: Candidate<'_>,
    index: &Index,
) -> Result<Option<String>> {
    let catalog = store.engine.catalog()?;
    let txn = catalog.env.read()?;
    let (id, _) = namespace.current(&store.engine, &catalog, &txn)?;
    if let Some(entry) = txn.get(catalog.db.names, &keys::name_key(id, &names::folded(name)))? {
        let long =
            txn.get(catalog.db.entries, entry)?.and_then(Record::decode).and_then(|record| record.long_key);
        let key = long.unwrap_or_else(|| keys::user_key(entry).to_vec());
        return Ok(String::from_utf8(key).ok());
    }
    if index.entries.entries.contains_key(stem) {
        return Ok(Some(stem.to_owned()));
    }
    Ok(names::key_of_foreign(stem, extension))
}

#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    Known,
    NotYet,
}

fn file(
    store: &Store,
    namespace: &Namespace,
    key: &[u8],
    Candidate { name, extension, codec, .. }: Candidate<'_>,
    index: &Index,
) -> Result<Taken> {
    let engine = &store.engine;
    let path = engine.root.namespace(&namespace.name).join(name);
    let Ok(before) = engine.storage.facts(&path) else { return Ok(Taken::NotYet) };
    if !before.is_file {
        return Ok(Taken::NotYet);
    }
    // Expired ones too: the file of an entry that has run out is still our own.
    let recorded =
        reader::lookup_aged(engine, namespace, key, Age::Any, &mut Vec::new())?.map(|found| found.record);
    if let Some(record) = &recorded
        && record.name.as_deref() == Some(name)
        && named_file(engine, &namespace.name, record) == NamedFile::Same
    {
        return Ok(Taken::Known);
    }
    if is_cleared(engine, &namespace.name, name, &before)? {
        return Ok(Taken::NotYet);
    }
    let known = index.of(key, &before, recorded.as_ref());
    if i128::from(engine.now()) * 1_000_000 - before.mtime_ns < SETTLED_NS {
        return Ok(Taken::NotYet);
    }
    let writer = store.object_writer(&namespace.name, key, Threads::Ours)?;
    if let Err(error) = copy_into(&path, &writer) {
        writer.abort();
        return Err(error);
    }
    let after = engine.storage.facts(&path);
    if after.ok().map(|facts| identity(&facts)) != Some(identity(&before)) {
        writer.abort();
        return Ok(Taken::NotYet);
    }
    let metadata = std::fs::read_to_string(path.with_file_name(names::sidecar(name)))
        .ok()
        .filter(|text| serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_object()));
    let made = (before.mtime_ns / 1_000_000) as u64;
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    writer.commit(Commit {
        namespace: namespace.name.clone(),
        key: key.to_vec(),
        facts: NewFacts {
            codec: known.and_then(|entry| entry.codec.clone()).unwrap_or_else(|| codec.to_owned()),
            extension: extension.to_owned(),
            metadata,
            expires: known.and_then(|entry| entry.expires),
            stale_until: None,
            pinned: known.is_some_and(|entry| entry.pinned),
            priority: known.map_or(0, |entry| entry.priority),
            tags: known.map(|entry| entry.tags.clone()).unwrap_or_default(),
            tensor: None,
        },
        fence: None,
        adoption: Some(Adoption {
            name: name.to_owned(),
            named_file: identity(&before),
            created: known.and_then(|entry| entry.created).unwrap_or(made),
            usage: known.map(|entry| (entry.last_accessed.unwrap_or(made), entry.access_count)),
            checksum: known.and_then(|entry| entry.checksum),
        }),
        done: Box::new(move |result| drop(sender.send(result))),
    });
    receiver.recv().unwrap_or_else(|_| Err(Error::new(Code::Internal, "an adoption gave no answer")))?;
    Ok(Taken::Yes)
}

/// Whether there is a file for a key that the catalog does not have: `recorded`, or one of the key's own names.
pub(crate) fn has_foreign_file(
    engine: &Engine,
    namespace: &str,
    key: &str,
    recorded: Option<String>,
) -> Result<bool> {
    let folder = engine.root.namespace(namespace);
    let names = match recorded.filter(|name| Path::new(name).file_name() == Some(name.as_ref())) {
        Some(name) => vec![name],
        None => names_of(key).collect(),
    };
    for name in names {
        if let Ok(facts) = engine.storage.facts(&folder.join(&name)) {
            return Ok(facts.is_file && !is_cleared(engine, namespace, &name, &facts)?);
        }
    }
    Ok(false)
}

/// File names under which other programs store a key.
fn names_of(key: &str) -> impl Iterator<Item = String> {
    CODECS.iter().map(move |(extension, _)| format!("{}.{extension}", names::stem(key, extension, false)))
}

/// Whether a file belongs to what a clear has removed: it goes when its row does, and must not come back meanwhile.
pub(crate) fn is_cleared(engine: &Engine, namespace: &str, name: &str, file: &FileFacts) -> Result<bool> {
    let catalog = engine.catalog()?;
    let txn = catalog.env.read()?;
    let mut cursor = txn.cursor(catalog.db.dropped)?;
    while let Some((id, cleared)) = cursor.next()? {
        let Some(id) = keys::namespace_of(id).filter(|_| cleared == namespace.as_bytes()) else { continue };
        let holder = txn.get(catalog.db.names, &keys::name_key(id, &names::folded(name)))?;
        let Some(entry) = holder else { continue };
        let record = txn.get(catalog.db.entries, entry)?.and_then(Record::decode);
        if record.is_some_and(|record| {
            record.named_file == Some(identity(file)) || is_object(engine, &record, file)
        }) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn copy_into(path: &Path, writer: &std::sync::Arc<ObjectWriter>) -> Result<()> {
    let mut file = File::open(path).map_err(|error| Error::os("adopting", path, &error))?;
    loop {
        let mut piece = Vec::with_capacity(1 << 20);
        let read = file
            .by_ref()
            .take(1 << 20)
            .read_to_end(&mut piece)
            .map_err(|error| Error::os("adopting", path, &error))?;
        if read == 0 {
            return Ok(());
        }
        if !writer.write(piece)? {
            writer.wait_for_room()?;
        }
    }
}

/// Entries whose readable file somebody removed.
fn forget_gone(store: &Store, namespace: &Namespace) -> Result<()> {
    let mut victims = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.list(namespace, Query { prefix: b"", after: after.as_deref(), limit: 1_000 })?;
        for (key, record) in &page.entries {
            if store.named_file(namespace, record) == NamedFile::Gone {
                let catalog = store.engine.catalog()?;
                let txn = catalog.env.read()?;
                let (id, _) = namespace.current(&store.engine, &catalog, &txn)?;
                victims.push(crate::writer::Victim { entry: keys::entry_key(id, key), stamp: record.stamp });
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if !victims.is_empty() {
        store.writer()?.call(Op::Remove { victims, reason: Reason::Vanished })?;
    }
    Ok(())
}
