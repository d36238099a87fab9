//! The power fails at every kind of moment: what was acknowledged as durable is there afterwards, and nothing is
//! returned that was never written.
//!
//! Files pass through a storage that remembers every effect and what of it was synced; LMDB's writes are recorded
//! beside them, on the same time line. A moment is chosen, and a tree is made that a power cut then may have left:
//! whatever was not synced is there, or not, or in part. The cache is opened on it.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use quiver_io::{Disk, Faulty};
use quiver_store::catalog::lmdb_hooks::{self, Effect};
use quiver_store::settings::{Durability, RootSettings};
use quiver_store::writer::{Op, Outcome};
use quiver_store::{OpenOptions, Result, Store, maintenance};
use support::Pending;

/// What a key may hold: a value, or nothing.
type Value = Option<Vec<u8>>;
type Key = (&'static str, String);

/// A change that a program asked for: when it began, when it was acknowledged, and what it sets.
struct Change {
    began: usize,
    acknowledged: usize,
    sets: Vec<(Key, Value)>,
}

/// LMDB's recorder is one for the whole process, and hears every environment in it.
static RECORDING: Mutex<()> = Mutex::new(());

/// A program run on a recording cache, with everything that reached the disk.
struct Recording {
    faulty: Faulty,
    catalog: Vec<(usize, Effect)>,
    changes: Vec<Change>,
}

struct Program<'p> {
    store: Arc<Store>,
    faulty: &'p Faulty,
    keys: BTreeSet<Key>,
    written: u64,
    changes: Vec<Change>,
}

impl Program<'_> {
    /// The present moment: effects on files and on the catalog.
    fn now(&self) -> usize {
        self.faulty.moment() + lmdb_hooks::recorded()
    }

    fn value(&mut self, len: usize) -> Vec<u8> {
        self.written += 1;
        support::pattern(self.written, len)
    }

    fn put(&mut self, namespace: &'static str, key: &str, len: usize) -> (Pending, (Key, Value)) {
        let value = self.value(len);
        let pending = if namespace == "packed" && len <= 16_384 {
            support::put_packed(&self.store, namespace, key, value.clone(), support::facts())
        } else {
            support::put_file(&self.store, namespace, key, &value, support::facts())
        };
        self.keys.insert((namespace, key.into()));
        (pending, ((namespace, key.into()), Some(value)))
    }

    /// Writes these at once and waits for all of them.
    fn put_all(&mut self, entries: &[(&'static str, &str, usize)]) {
        let began = self.now();
        let asked: Vec<_> = entries.iter().map(|(space, key, len)| self.put(space, key, *len)).collect();
        let mut sets = Vec::new();
        for (pending, set) in asked {
            pending.recv().unwrap().unwrap();
            sets.push(set);
        }
        self.done(began, sets);
    }

    fn delete(&mut self, namespace: &'static str, key: &str) {
        let began = self.now();
        support::delete(&self.store, namespace, key).recv().unwrap().unwrap();
        self.done(began, vec![((namespace, key.into()), None)]);
    }

    fn clear(&mut self, namespace: &'static str) {
        let began = self.now();
        let outcome = support::submit(&self.store, Op::Clear { namespace: namespace.into() });
        assert!(matches!(outcome.recv().unwrap().unwrap(), Outcome::Removed(_)));
        let sets = self.keys.iter().filter(|key| key.0 == namespace).map(|key| (key.clone(), None)).collect();
        self.done(began, sets);
        // Rows and files of what was cleared go later; the power may fail meanwhile too.
        support::submit(&self.store, Op::Reclaim).recv().unwrap().unwrap();
    }

    fn done(&mut self, began: usize, sets: Vec<(Key, Value)>) {
        self.changes.push(Change { began, acknowledged: self.now(), sets });
    }
}

fn record(root: &Path, durability: Durability) -> Recording {
    let faulty = Faulty::new(Arc::new(Disk), root).unwrap();
    let moments = faulty.clone();
    lmdb_hooks::start_recording(move || moments.moment());
    let open = || {
        let store = Store::open(root, &options(Arc::new(faulty.clone()), durability)).unwrap();
        store.namespace("packed", &support::packed(), false).unwrap();
        store.namespace("named", &support::named(), false).unwrap();
        store
    };
    let mut program =
        Program { store: open(), faulty: &faulty, keys: BTreeSet::new(), written: 0, changes: Vec::new() };
    program.put_all(&[("packed", "a", 100), ("named", "a", 5_000)]);
    program.put_all(&[("packed", "b", 4_000), ("packed", "c", 12_000), ("packed", "large", 300_000)]);
    program.put_all(&[("named", "b", 70_000)]);
    program.put_all(&[("named", "a", 6_000)]);
    program.put_all(&[("packed", "a", 90)]);
    program.delete("named", "b");
    program.delete("packed", "b");
    program.put_all(&[("named", "sums", 4_400_000)]);
    program.put_all(&[("packed", "large", 200_000), ("named", "c", 10), ("named", "d", 20_000)]);
    program.clear("packed");
    // Whoever comes next goes on from what this one has flushed.
    program.store.close();
    program.store = open();
    program.put_all(&[("packed", "c", 9_000), ("packed", "d", 0)]);
    program.put_all(&[("named", "a", 30), ("named", "b", 900)]);
    program.clear("named");
    program.put_all(&[("named", "a", 50_000), ("packed", "a", 16_000)]);
    program.delete("named", "a");
    program.put_all(&[("named", "a", 7_000)]);
    let changes = std::mem::take(&mut program.changes);
    program.store.close();
    Recording { catalog: lmdb_hooks::stop_recording(), faulty, changes }
}

fn options(storage: Arc<dyn quiver_io::Storage>, durability: Durability) -> OpenOptions {
    OpenOptions {
        storage,
        settings: RootSettings { durability, ..RootSettings::default() },
        ..OpenOptions::default()
    }
}

impl Recording {
    fn moments(&self) -> usize {
        self.faulty.moment() + self.catalog.len()
    }

    /// Makes a tree that a power cut after `moment` effects may have left.
    fn cut(&self, moment: usize, seed: u64, into: &Path) {
        let writes =
            self.catalog.iter().enumerate().take_while(|(index, (files, _))| files + index < moment).count();
        self.faulty.power_cut_at(moment - writes, seed, into).unwrap();
        let data = catalog_image(self.catalog.iter().take(writes).map(|(_, effect)| effect), seed);
        let engine = into.join(".quiver");
        if let (Some(data), true) = (data, engine.join("catalog").is_dir()) {
            std::fs::write(engine.join("catalog/data.mdb"), data).unwrap();
        }
        if engine.join("locks").is_dir() {
            // The process that died had marked the cache as open, under another boot of the machine.
            std::fs::write(engine.join("locks/p-1-1"), "another boot").unwrap();
            let words = [0_u32, 1, 7, 1 << 20][(seed % 4) as usize];
            let table: Vec<u8> = (0..16_384).flat_map(|_| words.to_le_bytes()).collect();
            std::fs::write(engine.join("stamps"), table).unwrap();
        }
    }

    /// What each key may hold after a power cut at `moment`: what the last acknowledged change made it, or what a
    /// change that had begun makes it.
    fn allowed(&self, moment: usize) -> BTreeMap<Key, Vec<Value>> {
        let mut allowed: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
        for change in &self.changes {
            for (key, value) in &change.sets {
                let values = allowed.entry(key.clone()).or_insert_with(|| vec![None]);
                if change.acknowledged <= moment {
                    *values = vec![value.clone()];
                } else if change.began < moment {
                    values.push(value.clone());
                }
            }
        }
        allowed
    }
}

/// `data.mdb` as a power cut may leave it: sectors written since the last sync are old or new, each for itself,
/// and the file is as long as it was then or as it was last. A synchronous write is whole and there.
fn catalog_image<'e>(effects: impl Iterator<Item = &'e Effect>, seed: u64) -> Option<Vec<u8>> {
    const SECTOR: usize = 512;
    const PAGE: usize = 4_096;
    let mut visible = Vec::new();
    let mut durable = Vec::new();
    let mut dirty: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
    let mut any = false;
    for effect in effects {
        any = true;
        match effect {
            Effect::Sync => {
                durable.clone_from(&visible);
                dirty.clear();
            }
            Effect::Write { offset, bytes, durable: synchronous } => {
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                grow(&mut visible, end);
                visible[start..end].copy_from_slice(bytes);
                for sector in start / SECTOR..end.div_ceil(SECTOR) {
                    let range = sector * SECTOR..((sector + 1) * SECTOR).min(visible.len());
                    dirty.entry(sector).or_default().push(visible[range].to_vec());
                }
                if *synchronous {
                    // The pages it lies in reach the disk with it.
                    let range = start / PAGE * PAGE..(end.div_ceil(PAGE) * PAGE).min(visible.len());
                    grow(&mut durable, range.end);
                    durable[range.clone()].copy_from_slice(&visible[range.clone()]);
                    dirty.retain(|sector, _| !range.contains(&(sector * SECTOR)));
                }
            }
        }
    }
    let mut choice = seed;
    let mut below = |end: usize| {
        choice = choice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (choice >> 33) as usize % end
    };
    let mut left = durable.clone();
    if !dirty.is_empty() && below(2) == 0 {
        grow(&mut left, visible.len());
    }
    // Nothing, everything, or a part: each is likely.
    let mode = below(4);
    for (sector, versions) in dirty {
        let start = sector * SECTOR;
        let pick = match mode {
            0 => 0,
            1 => versions.len(),
            _ => below(versions.len() + 1),
        };
        if let Some(bytes) = pick.checked_sub(1).and_then(|index| versions.get(index))
            && start < left.len()
        {
            let end = (start + bytes.len()).min(left.len());
            left[start..end].copy_from_slice(&bytes[..end - start]);
        }
    }
    any.then_some(left)
}

fn grow(bytes: &mut Vec<u8>, len: usize) {
    if bytes.len() < len {
        bytes.resize(len, 0);
    }
}

fn rounds(short: usize) -> usize {
    if std::env::var_os("QUIVER_TORTURE").is_some() { short * 20 } else { short }
}

/// Moments spread over the program, those right around acknowledgements among them.
fn moments(recording: &Recording, count: usize) -> Vec<usize> {
    let mut moments: Vec<usize> =
        recording.changes.iter().flat_map(|change| [change.acknowledged, change.acknowledged - 1]).collect();
    let spread = count.saturating_sub(moments.len()).max(1);
    let last = recording.moments();
    moments.extend((0..spread).map(|index| index * last / spread));
    moments
}

/// Opens what a power cut left and reads every key of the program.
fn read_all(path: &Path, durability: Durability, keys: &[Key]) -> Result<BTreeMap<Key, Value>> {
    let store = Store::open(path, &options(Arc::new(Disk), durability))?;
    let packed = store.namespace("packed", &support::packed(), false)?;
    let named = store.namespace("named", &support::named(), false)?;
    let read = |key: &Key| {
        let namespace = if key.0 == "packed" { &packed } else { &named };
        support::get(&store, namespace, &key.1).map(|value| (key.clone(), value))
    };
    let values = keys.iter().map(read).collect();
    // The cache is of use again.
    support::put_packed(&store, "packed", "after", vec![1; 100], support::facts()).recv().unwrap()?;
    support::put_file(&store, "named", "after", &[2; 100], support::facts()).recv().unwrap()?;
    store.close();
    values
}

/// Gives readable files back the order of their times, which a copied tree has lost, and an age at which adoption
/// takes them to be complete.
fn restore_times(recording: &Recording, path: &Path) {
    let written: Vec<&Vec<u8>> = recording
        .changes
        .iter()
        .flat_map(|change| &change.sets)
        .filter_map(|(_, value)| value.as_ref())
        .collect();
    let start = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    for folder in [path.join("named"), path.join(".quiver/objects")] {
        for file in files(&folder) {
            let bytes = std::fs::read(&file).unwrap();
            let number = written.iter().position(|value| **value == bytes).unwrap_or_default();
            let at = start + std::time::Duration::from_secs(number as u64);
            std::fs::File::open(&file).unwrap().set_modified(at).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .flat_map(
            |entry| {
                if entry.file_type().unwrap().is_dir() { files(&entry.path()) } else { vec![entry.path()] }
            },
        )
        .collect()
}

fn summary(value: &Value) -> String {
    value.as_ref().map_or("nothing".into(), |bytes| {
        format!("{} bytes {:?}…", bytes.len(), &bytes[..bytes.len().min(4)])
    })
}

#[test]
fn what_was_acknowledged_survives_and_nothing_else_appears() {
    let _alone = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(folder.path()).unwrap();
    let recording = record(&root, Durability::Full);
    for (seed, moment) in moments(&recording, rounds(150)).into_iter().enumerate() {
        let left = tempfile::tempdir().unwrap();
        recording.cut(moment, seed as u64, left.path());
        restore_times(&recording, left.path());
        let allowed = recording.allowed(moment);
        let keys: Vec<Key> = allowed.keys().cloned().collect();
        let values = read_all(left.path(), Durability::Full, &keys)
            .unwrap_or_else(|error| panic!("moment {moment}, seed {seed}: {error:?}"));
        for (key, value) in values {
            assert!(
                allowed[&key].contains(&value),
                "moment {moment}, seed {seed}: {key:?} is {}, may be {:?}",
                summary(&value),
                allowed[&key].iter().map(summary).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn a_cache_that_does_not_sync_returns_what_was_written_or_nothing() {
    let _alone = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(folder.path()).unwrap();
    let recording = record(&root, Durability::Process);
    // Any value that was ever written under a key.
    let ever = recording.allowed(recording.moments());
    let mut written: BTreeMap<Key, BTreeSet<Value>> = BTreeMap::new();
    for (key, value) in recording.changes.iter().flat_map(|change| &change.sets) {
        written.entry(key.clone()).or_insert_with(|| BTreeSet::from([None])).insert(value.clone());
    }
    let keys: Vec<Key> = ever.into_keys().collect();
    for (seed, moment) in moments(&recording, rounds(80)).into_iter().enumerate() {
        let left = tempfile::tempdir().unwrap();
        recording.cut(moment, seed as u64, left.path());
        restore_times(&recording, left.path());
        let values = read_all(left.path(), Durability::Process, &keys)
            .unwrap_or_else(|error| panic!("moment {moment}, seed {seed}: {error:?}"));
        for (key, value) in values {
            assert!(
                written[&key].contains(&value),
                "moment {moment}, seed {seed}: {key:?} is {}",
                summary(&value)
            );
        }
    }
}

/// What LMDB does meanwhile: how often it flushes, and how often it writes in a way that flushes.
fn flushes_of(work: impl FnOnce()) -> (usize, usize) {
    lmdb_hooks::start_recording(|| 0);
    work();
    let effects = lmdb_hooks::stop_recording();
    let count = |is: fn(&Effect) -> bool| effects.iter().filter(|(_, effect)| is(effect)).count();
    (
        count(|effect| matches!(effect, Effect::Sync)),
        count(|effect| matches!(effect, Effect::Write { durable: true, .. })),
    )
}

#[test]
fn sums_take_no_page_of_their_own() {
    let _alone = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let store = support::open(folder.path());
    store.namespace("packed", &support::packed(), false).unwrap();
    let set = || {
        support::done(support::put_packed(&store, "packed", "a", vec![1; 100], support::facts()));
    };
    set();
    let mut numbers = [0; 10];
    for pages in &mut numbers {
        lmdb_hooks::start_recording(|| 0);
        set();
        *pages = lmdb_hooks::stop_recording()
            .iter()
            .map(|(_, effect)| match effect {
                Effect::Write { offset: 8_192.., bytes, .. } => bytes.len() / 4_096,
                _ => 0,
            })
            .sum();
    }
    // Of entries, of the list of databases, of free pages.
    assert_eq!(numbers, [3; 10]);
    store.close();
}

#[test]
#[cfg(target_os = "linux")]
fn a_commit_after_one_that_anybody_has_flushed_is_flushed_once() {
    let _alone = RECORDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(folder.path()).unwrap();
    let open = || {
        let store = Store::open(&root, &options(Arc::new(Disk), Durability::Full)).unwrap();
        store.namespace("packed", &support::packed(), false).unwrap();
        store
    };
    let set = |store: &Store| {
        flushes_of(|| {
            let set = support::put_packed(store, "packed", "a", vec![1; 100], support::facts());
            set.recv().unwrap().unwrap();
        })
    };
    let (sealed, plain) = ((1, 0), (1, 1));
    let store = open();
    set(&store);
    assert_eq!(set(&store), sealed);
    store.close();
    let store = open();
    assert_eq!(set(&store), sealed, "what another one has flushed");
    let claim = |transaction: u32| {
        let word = std::fs::File::options().write(true).open(root.join(".quiver/catalog/flushed"));
        word.unwrap().write_all(&transaction.to_le_bytes()).unwrap();
    };
    claim(7);
    assert_eq!(set(&store), plain, "what nobody is known to have flushed");
    assert_eq!(set(&store), sealed);
    // Transactions of a compacted file are counted from one again, which is the copy; two says where stamps go on.
    claim(2);
    maintenance::compact(&store).unwrap();
    assert_eq!(set(&store), plain, "the number of another file");
    assert_eq!(set(&store), sealed);
    store.close();
    std::fs::remove_dir_all(&root).unwrap();
    let store = Store::open(&root, &options(Arc::new(Disk), Durability::Process)).unwrap();
    assert_eq!(
        flushes_of(|| _ = maintenance::compact(&store).unwrap()),
        (1, 0),
        "what takes the place of a file is on the disk, whatever is promised of values"
    );
    store.close();
}
