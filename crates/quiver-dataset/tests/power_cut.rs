//! The power fails while a folder is made, replaced or extended: the target is what it was or complete, and the same
//! call goes on to the bytes of an undisturbed one.
//!
//! Files pass through a storage that remembers every effect and what of it was synced. A moment is chosen, and a tree is
//! made that a power cut then may have left: whatever was not synced is there, or not, or in part.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quiver_dataset::{Dataset, FolderWriter, Shard, Sharding, WriteOptions, sweep};
use quiver_io::{Disk, Faulty, Storage};
use support::{append, append_beside, begin_beside, check_rows, contents, names, options, schema, write};

const TOTAL: usize = 40;
const STEP: usize = 3;
/// Name of the folder that is made.
const TARGET: &str = "data";
const METADATA: &str = "metadata.json";

/// How moments are spread: every one with `QUIVER_TORTURE`, with more seeds.
fn cuts(moments: usize) -> impl Iterator<Item = (usize, u64)> {
    let torture = std::env::var_os("QUIVER_TORTURE").is_some();
    let (every, seeds) = if torture { (1, 8) } else { (moments.div_ceil(60), 1) };
    let end = (moments, 1_000);
    (0..=moments)
        .step_by(every)
        .chain([moments])
        .flat_map(move |moment| (0..seeds).map(move |seed| (moment, moment as u64 * 31 + seed)))
        .chain([end])
}

fn durable() -> WriteOptions {
    WriteOptions { sync: true, ..options(Sharding::Size(500), Some("texts")) }
}

/// Makes the target, or goes on with it. How many rows an earlier run had left.
fn create(storage: Arc<dyn Storage>, folder: &Path) -> u64 {
    let mut writer = FolderWriter::begin(storage, &folder.join(TARGET), schema(), durable()).unwrap();
    let left = writer.rows();
    while (writer.rows() as usize) < TOTAL {
        let first = writer.rows() as usize;
        append(&mut writer, first, STEP.min(TOTAL - first)).unwrap();
    }
    writer.finish(&[(METADATA.into(), b"{}".to_vec())], true, &|| false).unwrap();
    left
}

/// Puts the target with one more column in its place, beside its rows. How many an earlier run had left.
fn extend(storage: Arc<dyn Storage>, folder: &Path) -> u64 {
    let source = Arc::new(Dataset::open(&folder.join(TARGET)).unwrap());
    let mut writer = begin_beside(storage, &folder.join(TARGET), &source, durable());
    let left = writer.rows();
    append_beside(&mut writer, TOTAL, STEP);
    writer.finish(&[(METADATA.into(), b"{}".to_vec())], true, &|| false).unwrap();
    left
}

/// A folder whose effects are remembered from now on.
fn recorded(folder: &Path) -> Faulty {
    Faulty::new(Arc::new(Disk), folder).unwrap()
}

fn cut(faulty: &Faulty, moment: usize, seed: u64) -> tempfile::TempDir {
    let left = tempfile::tempdir().unwrap();
    faulty.power_cut_at(moment, seed, left.path()).unwrap();
    left
}

/// The target's files, once it was opened and every byte compared; none where there is no target.
fn found(folder: &Path) -> Option<Vec<(String, usize, u64)>> {
    let target = folder.join(TARGET);
    if !target.exists() {
        return None;
    }
    let dataset = Dataset::open(&target).unwrap();
    assert_eq!(dataset.verify(|| false).unwrap(), dataset.shards().len());
    check_rows(&dataset, dataset.rows() as usize);
    Some(contents(&target))
}

fn folder() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(folder.path()).unwrap();
    (folder, path)
}

#[test]
fn a_new_folder_is_absent_or_complete_and_is_taken_up() {
    let (_kept, root) = folder();
    let faulty = recorded(&root);
    create(Arc::new(faulty.clone()), &root);
    let whole = found(&root).unwrap();
    let (mut complete, mut resumed) = (0, 0);
    for (moment, seed) in cuts(faulty.moment()) {
        let left = cut(&faulty, moment, seed);
        match found(left.path()) {
            Some(files) => {
                assert_eq!(files, whole, "moment {moment}, seed {seed}");
                complete += 1;
            }
            None => assert!(moment < faulty.moment(), "what was acknowledged is gone, seed {seed}"),
        }
        // Once more, while it is taken up.
        let again = recorded(left.path());
        resumed += usize::from(create(Arc::new(again.clone()), left.path()) > 0);
        assert_eq!(found(left.path()).unwrap(), whole, "moment {moment}, seed {seed}, taken up");
        let twice = cut(&again, again.moment() * (seed as usize % 7) / 7, seed);
        if let Some(files) = found(twice.path()) {
            assert_eq!(files, whole, "moment {moment}, seed {seed}, cut twice");
        }
        create(Arc::new(Disk), twice.path());
        assert_eq!(found(twice.path()).unwrap(), whole, "moment {moment}, seed {seed}, taken up twice");
        sweep(&Disk, twice.path(), Duration::ZERO, |_| false).unwrap();
        assert_eq!(names(twice.path()), [TARGET]);
    }
    assert!(complete > 0 && resumed > 0, "{complete} were complete, {resumed} taken up");
}

#[test]
fn complete_files_are_not_made_again() {
    let (_kept, root) = folder();
    let faulty = recorded(&root);
    let mut writer =
        FolderWriter::begin(Arc::new(faulty.clone()), &root.join(TARGET), schema(), durable()).unwrap();
    for first in (0..TOTAL).step_by(STEP) {
        append(&mut writer, first, STEP.min(TOTAL - first)).unwrap();
    }
    let whole = write(&root.join("other"), TOTAL, STEP, options(Sharding::Size(500), None));
    let rows: Vec<u64> = whole.shards().iter().map(Shard::rows).collect();
    // The last file is growing, the one before may not be synced.
    let kept: u64 = rows[..rows.len() - 2].iter().sum();
    assert!(kept > 0, "{rows:?}");
    let again = |folder: &Path| {
        let storage = recorded(folder);
        let target = folder.join(TARGET);
        let begun = FolderWriter::begin(Arc::new(storage.clone()), &target, schema(), durable()).unwrap();
        (storage, begun.rows())
    };
    for seed in 0..30 {
        let left = cut(&faulty, faulty.moment(), seed);
        let (storage, rows) = again(left.path());
        assert!(rows >= kept, "seed {seed}: {rows} rows of {kept} are left");
        let twice = cut(&storage, storage.moment() * seed as usize / 30, seed);
        let (_, rows) = again(twice.path());
        assert!(rows >= kept, "seed {seed}: {rows} rows of {kept} are left after another cut");
    }
}

#[test]
fn a_folder_that_is_extended_is_the_old_or_the_new_one() {
    let (_kept, root) = folder();
    write(&root.join(TARGET), TOTAL, STEP, options(Sharding::Size(2_000), None));
    let old = found(&root).unwrap();
    let faulty = recorded(&root);
    extend(Arc::new(faulty.clone()), &root);
    let new = found(&root).unwrap();
    assert_eq!(Dataset::open(&root.join(TARGET)).unwrap().schema().fields().len(), 7);
    let (mut seen, mut resumed) = ([0, 0], 0);
    for (moment, seed) in cuts(faulty.moment()) {
        let left = cut(&faulty, moment, seed);
        let files = found(left.path()).unwrap();
        let is_new = files != old;
        assert!(!is_new || files == new, "moment {moment}, seed {seed}");
        seen[usize::from(is_new)] += 1;
        assert!(is_new || moment < faulty.moment(), "what was acknowledged is gone, seed {seed}");
        if !is_new {
            resumed += usize::from(extend(Arc::new(Disk), left.path()) > 0);
            assert_eq!(found(left.path()).unwrap(), new, "moment {moment}, seed {seed}, taken up");
        }
    }
    assert!(seen.iter().all(|&count| count > 0) && resumed > 0, "{seen:?}, {resumed} taken up");
}
