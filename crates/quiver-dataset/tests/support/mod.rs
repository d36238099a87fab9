//! What the tests of folders share: columns of every kind, written and compared.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_dataset::{Dataset, Error, FolderWriter, Kept, Kind, Sharding, WriteOptions};
use quiver_io::{Disk, Storage, sum64};
use quiver_tensor::DType;
use quiver_tensor::arrow::build::{Built, tensor_array, text_array};
use quiver_tensor::arrow::features::{Rows, features, tensor_field, with_features};
use quiver_tensor::arrow::{DataType, Field, Piece, Schema};

/// Columns of every kind that is written.
pub fn schema() -> Schema {
    let schema = Schema::new(vec![
        tensor_field("id", DType::Int64, &Rows::Fixed(vec![])).unwrap(),
        tensor_field("vector", DType::Float32, &Rows::Fixed(vec![3])).unwrap(),
        tensor_field("image", DType::Uint8, &Rows::Fixed(vec![2, 2])).unwrap(),
        tensor_field("chunks", DType::Float32, &Rows::Ragged(vec![2])).unwrap(),
        tensor_field("mask", DType::Bool, &Rows::Fixed(vec![5])).unwrap(),
        Field::new("text", DataType::Utf8, true),
    ]);
    let found = features(&schema, &serde_json::Map::new());
    with_features(schema, found.as_ref())
}

pub fn items(row: usize) -> usize {
    row * 7 % 4
}

pub fn floats(values: impl IntoIterator<Item = usize>) -> Vec<u8> {
    values.into_iter().flat_map(|value| (value as f32).to_le_bytes()).collect()
}

/// Rows `first..first + count` of all columns.
pub fn rows(first: usize, count: usize) -> Vec<Built> {
    let all = first..first + count;
    let fixed = |dtype, shape: Vec<u64>, data: Vec<u8>| {
        tensor_array(dtype, &Rows::Fixed(shape), count, &[], &data).unwrap()
    };
    let lengths: Vec<u64> = all.clone().map(|row| items(row) as u64).collect();
    let texts: Vec<Option<String>> =
        all.clone().map(|row| (row % 5 != 4).then(|| format!("text {row}"))).collect();
    vec![
        fixed(DType::Int64, vec![], all.clone().flat_map(|row| (row as i64).to_le_bytes()).collect()),
        fixed(DType::Float32, vec![3], floats(all.clone().flat_map(|row| [row, row + 1, row + 2]))),
        fixed(DType::Uint8, vec![2, 2], all.clone().flat_map(|row| [row as u8; 4]).collect()),
        tensor_array(
            DType::Float32,
            &Rows::Ragged(vec![2]),
            count,
            &lengths,
            &floats(all.clone().flat_map(|row| vec![row; 2 * items(row)])),
        )
        .unwrap(),
        fixed(
            DType::Bool,
            vec![5],
            all.clone().flat_map(|row| (0..5).map(move |i| u8::from((row + i) % 3 == 0))).collect(),
        ),
        text_array(texts.iter().map(Option::as_deref)).unwrap(),
    ]
}

pub fn append(writer: &mut FolderWriter, first: usize, count: usize) -> Result<(), Error> {
    let columns = rows(first, count);
    let pieces: Vec<Piece<'_>> =
        columns.iter().map(|built| Piece { array: &built.array, bytes: &built.bytes, start: 0 }).collect();
    writer.append(&pieces, count)?;
    writer.record()
}

pub fn options(sharding: Sharding, key: Option<&str>) -> WriteOptions {
    WriteOptions { sharding, sync: false, key: key.map(str::to_owned), ..WriteOptions::default() }
}

pub fn begin(target: &Path, options: WriteOptions) -> FolderWriter {
    FolderWriter::begin(Arc::new(Disk), target, schema(), options).unwrap()
}

pub fn write(target: &Path, total: usize, step: usize, options: WriteOptions) -> Dataset {
    let mut writer = begin(target, options);
    for first in (0..total).step_by(step) {
        append(&mut writer, first, step.min(total - first)).unwrap();
    }
    writer.finish(&[], false, &|| false).unwrap();
    Dataset::open(target).unwrap()
}

/// A folder with all columns of a dataset, and "added" behind them.
pub fn begin_beside(
    storage: Arc<dyn Storage>,
    target: &Path,
    source: &Arc<Dataset>,
    options: WriteOptions,
) -> FolderWriter {
    let columns: Vec<usize> = (0..source.schema().fields().len()).collect();
    let mut fields = source.schema().fields().to_vec();
    fields.push(Arc::new(tensor_field("added", DType::Float64, &Rows::Fixed(vec![1])).unwrap()));
    let kept = Kept { dataset: Arc::clone(source), columns };
    FolderWriter::begin_beside(storage, target, kept, Schema::new(fields), options).unwrap()
}

/// Values of "added".
pub fn added(rows: impl IntoIterator<Item = usize>) -> Vec<u8> {
    rows.into_iter().flat_map(|row| (row as f64).to_le_bytes()).collect()
}

/// Appends what is missing of "added" up to row `end`.
pub fn append_beside(writer: &mut FolderWriter, end: usize, step: usize) {
    while (writer.rows() as usize) < end {
        let first = writer.rows() as usize;
        let count = step.min(end - first);
        let values = added(first..first + count);
        let built = tensor_array(DType::Float64, &Rows::Fixed(vec![1]), count, &[], &values).unwrap();
        let piece = Piece { array: &built.array, bytes: &built.bytes, start: 0 };
        writer.append(&[piece], count).unwrap();
        writer.record().unwrap();
    }
}

/// Names, lengths and sums of all files of a folder.
pub fn contents(folder: &Path) -> Vec<(String, usize, u64)> {
    let facts = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        (bytes.len(), sum64(&bytes))
    };
    names(folder)
        .into_iter()
        .map(|name| (facts(folder.join(&name)), name))
        .map(|((length, sum), name)| (name, length, sum))
        .collect()
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn gather(dataset: &Dataset, name: &str, indices: &[u32]) -> Vec<u8> {
    let column = dataset.column(name).unwrap();
    let (_, bytes) = column.fixed_row().unwrap();
    let mut out = vec![0xaa; indices.len() * bytes];
    dataset.gather(&column, indices, &mut out).unwrap();
    out
}

pub fn check_rows(dataset: &Dataset, total: usize) {
    assert_eq!(dataset.rows(), total as u64);
    let indices: Vec<u32> = (0..total as u32).rev().chain(0..total as u32).collect();
    let picked = |data: &dyn Fn(usize) -> Vec<u8>| -> Vec<u8> {
        indices.iter().flat_map(|&index| data(index as usize)).collect()
    };
    assert_eq!(gather(dataset, "id", &indices), picked(&|row| (row as i64).to_le_bytes().to_vec()));
    assert_eq!(gather(dataset, "vector", &indices), picked(&|row| floats([row, row + 1, row + 2])));
    assert_eq!(gather(dataset, "image", &indices), picked(&|row| vec![row as u8; 4]));
    assert_eq!(
        gather(dataset, "mask", &indices),
        picked(&|row| (0..5).map(|i| u8::from((row + i) % 3 == 0)).collect())
    );
    let chunks = dataset.column("chunks").unwrap();
    if matches!(chunks.kind, Kind::Ragged { .. }) {
        let lengths: Vec<u64> = indices.iter().map(|&index| items(index as usize) as u64).collect();
        assert_eq!(dataset.lengths(&chunks, &indices).unwrap(), lengths);
        let mut out = vec![0xaa; indices.len() * 2 * 8];
        dataset.gather_padded(&chunks, &indices, 2, &mut out).unwrap();
        let expected = picked(&|row| {
            let mut values = vec![row; 2 * items(row).min(2)];
            values.resize(4, 0);
            floats(values)
        });
        assert_eq!(out, expected);
    }
}
