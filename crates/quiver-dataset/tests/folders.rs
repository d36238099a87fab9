//! Dataset folders: written, interrupted, taken up, read, gathered from.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use quiver_dataset::{Dataset, Error, FolderWriter, Kept, Kind, Opened, Sharding, WriteOptions, open, sweep};
use quiver_io::{Disk, Faulty, Op};
use quiver_tensor::arrow::build::tensor_array;
use quiver_tensor::arrow::features::{Rows, tensor_field};
use quiver_tensor::arrow::{Piece, Schema};
use quiver_tensor::{DType, byte_length};
use support::{
    added, append, append_beside, begin, begin_beside, check_rows, contents, floats, gather, names, options,
    schema, write,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_written_is_read(total in 1_usize..60, step in 1_usize..30, size in 60_u64..4_000) {
        let folder = tempfile::tempdir().unwrap();
        let one = write(&folder.path().join("one"), total, step, options(Sharding::Size(size), None));
        check_rows(&one, total);
        // However rows arrive, the bytes are the same.
        write(&folder.path().join("other"), total, 7, options(Sharding::Size(size), Some("key")));
        prop_assert_eq!(contents(&folder.path().join("one")), contents(&folder.path().join("other")));
        for shard in one.shards() {
            prop_assert!(shard.rows() == 1 || shard.bytes().len() as u64 <= size + 8_000);
        }
    }

    #[test]
    fn an_interrupted_folder_ends_as_if_it_had_not_been(
        total in 1_usize..60, step in 1_usize..20, size in 60_u64..3_000, stops in prop::collection::vec(0_usize..12, 1..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (target, plain) = (folder.path().join("data"), folder.path().join("plain"));
        write(&plain, total, step, options(Sharding::Size(size), None));
        for stop in stops {
            let mut writer = begin(&target, options(Sharding::Size(size), Some("texts")));
            for _ in 0..stop {
                let first = writer.rows() as usize;
                append(&mut writer, first, step.min(total - first)).unwrap();
            }
        }
        prop_assert!(!target.exists());
        let mut writer = begin(&target, options(Sharding::Size(size), Some("texts")));
        while (writer.rows() as usize) < total {
            let first = writer.rows() as usize;
            append(&mut writer, first, step.min(total - first)).unwrap();
        }
        writer.finish(&[], false, &|| false).unwrap();
        prop_assert_eq!(contents(&target), contents(&plain));
        prop_assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn kept_columns_are_copied_as_they_are(
        total in 1_usize..60, step in 1_usize..20, (old, new) in (60_u64..3_000, 60_u64..3_000),
        stops in prop::collection::vec(0_usize..60, 0..3),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let source = Arc::new(write(&folder.path().join("old"), total, step, options(Sharding::Size(old), None)));
        let begin = |name: &str, key| {
            begin_beside(Arc::new(Disk), &folder.path().join(name), &source, options(Sharding::Size(new), key))
        };
        let mut plain = begin("plain", None);
        append_beside(&mut plain, total, total);
        plain.finish(&[], false, &|| false).unwrap();
        for stop in stops {
            append_beside(&mut begin("new", Some("k")), stop.min(total), step);
        }
        let mut writer = begin("new", Some("k"));
        append_beside(&mut writer, total, step);
        writer.finish(&[], false, &|| false).unwrap();
        prop_assert_eq!(contents(&folder.path().join("new")), contents(&folder.path().join("plain")));
        let found = Dataset::open(&folder.path().join("new")).unwrap();
        prop_assert_eq!(found.verify(|| false).unwrap(), found.shards().len());
        check_rows(&found, total);
        let all: Vec<u32> = (0..total as u32).collect();
        prop_assert_eq!(gather(&found, "added", &all), added(0..total));
    }

    #[test]
    fn a_torn_file_or_journal_costs_the_last_appends_only(
        cut in any::<prop::sample::Index>(), flip: bool, which in any::<prop::sample::Index>(), size in 100_u64..3_000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("data");
        let mut writer = begin(&target, options(Sharding::Size(size), Some("k")));
        for first in (0..30).step_by(3) {
            append(&mut writer, first, 3).unwrap();
        }
        drop(writer);
        let mut entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let temporary: PathBuf = entries.find(|path| path.is_dir()).unwrap();
        let files: Vec<PathBuf> = std::fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
        let file = &files[which.index(files.len())];
        let mut bytes = std::fs::read(file).unwrap();
        if !bytes.is_empty() {
            let at = cut.index(bytes.len());
            if flip { bytes[at] ^= 1 } else { bytes.truncate(at) }
            std::fs::remove_file(file).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        let mut writer = begin(&target, options(Sharding::Size(size), Some("k")));
        while writer.rows() < 30 {
            let first = writer.rows() as usize;
            append(&mut writer, first, (30 - first).min(3)).unwrap();
        }
        writer.finish(&[], false, &|| false).unwrap();
        check_rows(&Dataset::open(&target).unwrap(), 30);
    }
}

#[test]
fn rows_are_split_as_python_splits_them() {
    let folder = tempfile::tempdir().unwrap();
    let sharding = Sharding::Shards { shards: 3, rows: 7 };
    let dataset = write(&folder.path().join("data"), 7, 4, options(sharding, None));
    let rows: Vec<u64> = dataset.shards().iter().map(quiver_dataset::Shard::rows).collect();
    assert_eq!(rows, [3, 2, 2]);
    assert!(dataset.shards()[2].path().ends_with("data-00002-of-00003.arrow"));
    assert_eq!(dataset.shards().iter().map(|shard| shard.batches().len()).sum::<usize>(), 3);
    check_rows(&dataset, 7);
    let mut writer = begin(&folder.path().join("more"), options(sharding, None));
    assert!(matches!(append(&mut writer, 0, 8), Err(Error::BadOption(_))));
    drop(writer);
    let mut writer = begin(&folder.path().join("fewer"), options(sharding, None));
    append(&mut writer, 0, 6).unwrap();
    assert!(matches!(writer.finish(&[], false, &|| false), Err(Error::BadOption(_))));
    assert_eq!(names(folder.path()), ["data"]);
}

#[test]
fn a_folder_without_rows_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data");
    begin(&target, options(Sharding::Size(1_000), None)).finish(&[], false, &|| false).unwrap();
    let dataset = Dataset::open(&target).unwrap();
    assert_eq!((dataset.rows(), dataset.shards().len()), (0, 1));
    assert_eq!(dataset.column("vector").unwrap().kind, Kind::Fixed { dtype: DType::Float32, row: vec![3] });
    assert_eq!(dataset.column("image").unwrap().kind, Kind::Fixed { dtype: DType::Uint8, row: vec![2, 2] });
    assert_eq!(gather(&dataset, "vector", &[]), Vec::<u8>::new());
}

#[test]
fn an_existing_folder_is_replaced_whole_or_kept() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data");
    write(&target, 5, 5, options(Sharding::Size(10_000), None));
    let mut writer = begin(&target, options(Sharding::Size(10_000), None));
    append(&mut writer, 0, 3).unwrap();
    assert!(matches!(writer.finish(&[], false, &|| false), Err(Error::Exists(_))));
    let mut writer = begin(&target, options(Sharding::Size(10_000), None));
    append(&mut writer, 0, 4).unwrap();
    let old = Dataset::open(&target).unwrap();
    writer.finish(&[("metadata.json".into(), b"{}".to_vec())], true, &|| false).unwrap();
    check_rows(&Dataset::open(&target).unwrap(), 4);
    // Who has the old one open keeps it.
    check_rows(&old, 5);
    assert_eq!(
        names(&target),
        ["data-00000-of-00001.arrow", "dataset_info.json", "metadata.json", "state.json"]
    );
    assert_eq!(names(folder.path()), ["data"]);
}

#[test]
fn kept_columns_wait_in_no_file_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let old = Arc::new(write(&folder.path().join("old"), 20, 6, options(Sharding::Size(600), None)));
    let target = folder.path().join("new");
    let mut writer = begin_beside(Arc::new(Disk), &target, &old, options(Sharding::Size(900), Some("k")));
    append_beside(&mut writer, 20, 4);
    let temporary = names(folder.path()).into_iter().find(|name| name.starts_with(".tmp_new")).unwrap();
    let files = names(&folder.path().join(temporary));
    assert!(files.len() > 2 && !files.iter().any(|name| name.contains("spool")), "{files:?}");
    writer.finish(&[], false, &|| false).unwrap();
    let found = Dataset::open(&target).unwrap();
    check_rows(&found, 20);
    let columns: Vec<_> = found.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(columns, ["id", "vector", "image", "chunks", "mask", "text", "added"]);
}

#[test]
fn columns_that_can_not_be_kept_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("new");
    let old = Arc::new(write(&folder.path().join("old"), 5, 5, options(Sharding::Size(900), None)));
    let begin = |columns: Vec<usize>| {
        let kept = Kept { dataset: Arc::clone(&old), columns };
        let options = options(Sharding::Size(900), None);
        FolderWriter::begin_beside(Arc::new(Disk), &target, kept, schema(), options)
    };
    for columns in [vec![1], vec![0, 2], vec![6], (0..6).chain([0]).collect()] {
        assert!(matches!(begin(columns.clone()), Err(Error::BadOption(_))), "{columns:?}");
    }
    let mut writer = begin((0..5).collect()).unwrap();
    let texts = &support::rows(0, 6)[5];
    let piece = Piece { array: &texts.array, bytes: &texts.bytes, start: 0 };
    let error = writer.append(&[piece], 6).unwrap_err();
    assert!(error.to_string().contains("fewer rows"), "{error}");
}

#[test]
#[cfg(unix)]
fn a_kept_file_that_is_cut_short_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let total = 4_000;
    let old = Arc::new(write(&folder.path().join("old"), total, 500, options(Sharding::Size(1 << 30), None)));
    let target = folder.path().join("new");
    let mut writer = begin_beside(Arc::new(Disk), &target, &old, options(Sharding::Size(1 << 30), None));
    append_beside(&mut writer, total, 500);
    let path = old.shards()[0].path();
    std::fs::File::options().write(true).open(path).unwrap().set_len(4_096).unwrap();
    let error = writer.finish(&[], false, &|| false).unwrap_err();
    assert_eq!(error.code(), "ERR_QUIVER_CORRUPT");
    assert_eq!(names(folder.path()), ["old"]);
}

#[test]
fn digests_are_kept_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data");
    let dataset = write(&target, 20, 6, options(Sharding::Size(900), None));
    assert_eq!(dataset.verify(|| false).unwrap(), dataset.shards().len());
    assert!(matches!(dataset.verify(|| true), Err(Error::Aborted)));
    let path = dataset.shards()[1].path().to_path_buf();
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(dataset.verify(|| false), Err(Error::Mismatch { path: found }) if found == path));
}

#[test]
fn a_file_cut_short_under_a_reader_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data");
    let total = 4_000;
    let dataset = write(&target, total, 500, options(Sharding::Size(1 << 30), None));
    let column = dataset.column("vector").unwrap();
    let path = dataset.shards()[0].path();
    std::fs::File::options().write(true).open(path).unwrap().set_len(4_096).unwrap();
    // So many that several threads meet the lost pages.
    let indices: Vec<u32> = (0..15).flat_map(|_| 0..total as u32).collect();
    let mut out = vec![0; indices.len() * 12];
    assert!(out.len() > quiver_io::crew::SHARED_FROM);
    let error = dataset.gather(&column, &indices, &mut out).unwrap_err();
    assert_eq!(error.code(), "ERR_QUIVER_CORRUPT");
    assert_eq!(Dataset::open(&target).unwrap_err().code(), "ERR_QUIVER_CORRUPT");
}

#[test]
#[cfg(unix)]
fn rows_that_come_from_the_disk_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("data");
    let (total, size) = (20_000, 400_000);
    let indices: Vec<u32> = (0..6_000).map(|pick| pick * 7_919 % total as u32).collect();
    let expected = floats(indices.iter().flat_map(|&row| (0..3).map(move |i| row as usize + i)));
    let dataset = write(&target, total, total, options(Sharding::Size(size), None));
    assert!(dataset.shards().len() > 2);
    let paths: Vec<_> = dataset.shards().iter().map(|shard| shard.path().to_path_buf()).collect();
    drop(dataset);
    for path in paths {
        let file = std::fs::File::open(path).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
    let dataset = Dataset::open(&target).unwrap();
    assert_eq!(gather(&dataset, "vector", &indices), expected);
}

#[test]
fn what_is_no_dataset_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(matches!(open(&at("none")), Err(Error::NotFound(_))));
    std::fs::create_dir(at("empty")).unwrap();
    assert!(matches!(open(&at("empty")), Err(Error::NotADataset { .. })));
    write(&at("dict/train"), 3, 3, options(Sharding::Size(900), None));
    std::fs::write(at("dict/dataset_dict.json"), br#"{"splits": ["train"]}"#).unwrap();
    let Opened::Dict(splits) = open(&at("dict")).unwrap() else { panic!() };
    assert_eq!((splits[0].0.as_str(), splits[0].1.rows()), ("train", 3));
    let error = Dataset::open(&at("dict")).unwrap_err();
    assert!(error.to_string().contains("DatasetDict"), "{error}");
    let state = at("dict/train/state.json");
    for text in ["{", "[]", r#"{"_data_files": []}"#, r#"{"_data_files": [{"filename": "../x"}]}"#] {
        std::fs::write(&state, text).unwrap();
        let error = Dataset::open(&at("dict/train")).unwrap_err();
        assert_eq!(error.code(), "ERR_QUIVER_CORRUPT", "{text}: {error}");
    }
    std::fs::write(at("dict/dataset_dict.json"), br#"{"splits": ["/etc"]}"#).unwrap();
    assert!(matches!(open(&at("dict")), Err(Error::Damaged { .. })));
}

#[test]
fn abandoned_temporaries_are_swept_and_held_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let hour = Duration::from_hours(1);
    let held = begin(&folder.path().join("held"), options(Sharding::Size(900), None));
    drop(begin(&folder.path().join("left"), options(Sharding::Size(900), Some("k"))));
    std::fs::create_dir(folder.path().join(".tmp_python")).unwrap();
    assert_eq!(sweep(&Disk, folder.path(), hour, |_| true).unwrap(), 0);
    assert_eq!(sweep(&Disk, folder.path(), hour, |_| false).unwrap(), 1);
    assert_eq!(sweep(&Disk, folder.path(), Duration::ZERO, |_| false).unwrap(), 1);
    // A lock whose folder was published.
    std::fs::write(folder.path().join(".tmp_left.1-0123456789abcdef.lock"), "").unwrap();
    assert_eq!(sweep(&Disk, folder.path(), hour, |_| false).unwrap(), 0);
    // A folder and its lock.
    assert_eq!(names(folder.path()).len(), 2);
    held.abort().unwrap();
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_failing_disk_leaves_the_target_as_it_was() {
    for op in [Op::Create, Op::Write, Op::Sync, Op::Link, Op::Rename, Op::SyncDir, Op::Unlink] {
        let mut nth = 1;
        loop {
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().join("data");
            write(&target, 3, 3, options(Sharding::Size(900), None));
            let before = contents(&target);
            let faulty = Faulty::new(Arc::new(Disk), folder.path()).unwrap();
            faulty.fail(op, nth, 28);
            let made = (|| {
                let options = WriteOptions {
                    sharding: Sharding::Size(900),
                    key: Some("k".into()),
                    ..WriteOptions::default()
                };
                let mut writer = FolderWriter::begin(Arc::new(faulty.clone()), &target, schema(), options)?;
                append(&mut writer, 0, 9)?;
                writer.finish(&[], true, &|| false)
            })();
            match made {
                Ok(_) => {
                    check_rows(&Dataset::open(&target).unwrap(), 9);
                    break;
                }
                Err(_) if contents(&target) == before => {}
                // Failing to sync or to clean up after the swap is told, and the new one stays.
                Err(_) => check_rows(&Dataset::open(&target).unwrap(), 9),
            }
            nth += 1;
        }
        assert!(nth > 1, "{op:?} was never called");
    }
}

#[test]
fn large_gathers_use_several_threads_and_agree() {
    let folder = tempfile::tempdir().unwrap();
    let dimension = 1_024_u64;
    let schema = Schema::new(vec![tensor_field("v", DType::Float32, &Rows::Fixed(vec![dimension])).unwrap()]);
    let target = folder.path().join("data");
    let mut writer =
        FolderWriter::begin(Arc::new(Disk), &target, schema, options(Sharding::Size(1 << 20), None)).unwrap();
    let total = 1_000;
    let bytes = byte_length(DType::Float32, &[total, dimension]).unwrap();
    let data: Vec<u8> = (0..bytes).map(|i| (i / 7 % 251) as u8).collect();
    let built =
        tensor_array(DType::Float32, &Rows::Fixed(vec![dimension]), total as usize, &[], &data).unwrap();
    writer.append(&[Piece { array: &built.array, bytes: &built.bytes, start: 0 }], total as usize).unwrap();
    writer.finish(&[], false, &|| false).unwrap();
    let dataset = Dataset::open(&target).unwrap();
    let indices: Vec<u32> = (0..4_000).map(|i| i * 37 % 1_000).collect();
    assert!(indices.len() * 4_096 > quiver_io::crew::SHARED_FROM);
    let expected: Vec<u8> =
        indices.iter().flat_map(|&i| &data[i as usize * 4_096..][..4_096]).copied().collect();
    assert!(gather(&dataset, "v", &indices) == expected);
    let column = dataset.column("v").unwrap();
    let error = dataset.gather(&column, &[1_000], &mut [0; 4_096]).unwrap_err();
    assert_eq!(error.code(), "ERR_QUIVER_OUT_OF_RANGE");
}
