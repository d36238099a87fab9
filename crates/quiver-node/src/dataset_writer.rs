//! Dataset folders being written from memory of JavaScript's, which is copied before a call returns.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{AsyncTask, Uint8Array};
use napi_derive::napi;
use quiver_dataset::{FolderWriter, Kept, Sharding, WriteOptions};
use quiver_io::Disk;
use quiver_tensor::DType;
use quiver_tensor::arrow::build::{Built, tensor_array, text_array};
use quiver_tensor::arrow::features::{Rows, features, tensor_field, with_features};
use quiver_tensor::arrow::{DataType, Field, Piece, Schema};

use crate::dataset::{NativeDataset, StopFlag};
use crate::errors::{Failure, Result, bad_value, tensor_failure};
use crate::task::Job;
use crate::tensor::{count, counts, dtype_of};

/// A column to write.
#[napi(object)]
pub struct ColumnLayout {
    /// Its name.
    pub name: String,
    /// Of the elements; "string" for texts.
    pub dtype: String,
    /// Shape of a row; of ragged columns without the first axis.
    pub row: Vec<f64>,
    /// Rows differ in their first axis.
    pub ragged: bool,
}

/// How rows are split into files: by size, or into a known number.
#[napi(object)]
pub struct FolderLayout {
    /// Most bytes of a file; not read where `shards` is given.
    pub shard_bytes: f64,
    /// How many files.
    pub shards: Option<f64>,
    /// How many rows there will be; read where `shards` is given.
    pub rows: f64,
    /// Whether a finished folder outlasts a power cut.
    pub sync: bool,
    /// Lets an interrupted folder be taken up by a writer of the same key.
    pub key: Option<String>,
}

/// Rows of one column: elements, or texts.
#[napi(object)]
pub struct ColumnRows {
    /// Elements of all rows, one behind the other.
    pub data: Option<Uint8Array>,
    /// Of ragged columns the first axis of each row.
    pub lengths: Option<Vec<f64>>,
    /// Texts; null where there is none.
    #[napi(ts_type = "ReadonlyArray<string | null>")]
    pub texts: Option<Vec<Option<String>>>,
}

/// A file beside the data.
#[napi(object)]
pub struct ExtraFile {
    /// Its name in the folder.
    pub name: String,
    /// All of it.
    pub bytes: Uint8Array,
}

/// What of a folder was written by an earlier run.
#[napi(object)]
pub struct Begun {
    /// Rows.
    pub rows: f64,
    /// What was noted of them; empty for nothing.
    pub note: String,
}

enum Form {
    Texts,
    Tensors(DType, Rows),
}

/// A dataset folder being written; calls one after the other.
#[napi]
pub struct NativeDatasetWriter {
    /// Columns of a dataset that are copied before the new ones.
    kept: Option<Kept>,
    forms: Vec<Form>,
    schema: Schema,
    /// Rows that wait to be written.
    added: Mutex<Vec<Added>>,
    writer: Arc<Mutex<Option<FolderWriter>>>,
}

/// Rows of the new columns.
struct Added {
    rows: usize,
    columns: Vec<Built>,
}

#[napi]
impl NativeDatasetWriter {
    /// Nothing is written before `begin`. With a dataset, its columns named in `kept` come first, and as many of
    /// its rows are copied as are added of the new columns.
    #[napi(constructor)]
    pub fn new(
        #[napi(ts_arg_type = "readonly ColumnLayout[]")] columns: Vec<ColumnLayout>,
        dataset: Option<&NativeDataset>,
        #[napi(ts_arg_type = "readonly string[]")] kept: Option<Vec<String>>,
    ) -> Result<Self> {
        let (mut forms, mut fields, mut known) = (Vec::new(), Vec::new(), serde_json::Map::new());
        let mut source = None;
        if let Some(dataset) = dataset.map(NativeDataset::shared) {
            let kept = kept.unwrap_or_default();
            let present = dataset.schema().fields().iter().enumerate();
            let chosen = present.filter(|(_, field)| kept.contains(field.name()));
            let (columns, copied): (Vec<usize>, Vec<Field>) =
                chosen.map(|(number, field)| (number, field.as_ref().clone())).unzip();
            fields = copied;
            known = dataset.features().cloned().unwrap_or_default();
            source = Some(Kept { dataset, columns });
        }
        for column in columns {
            if column.dtype == "string" {
                forms.push(Form::Texts);
                fields.push(Field::new(column.name, DataType::Utf8, true));
                continue;
            }
            let (dtype, sizes) = (dtype_of(&column.dtype)?, counts(&column.row)?);
            let rows = if column.ragged { Rows::Ragged(sizes) } else { Rows::Fixed(sizes) };
            fields.push(tensor_field(&column.name, dtype, &rows).map_err(tensor_failure)?);
            forms.push(Form::Tensors(dtype, rows));
        }
        let schema = Schema::new(fields);
        let known = features(&schema, &known);
        let schema = with_features(schema, known.as_ref());
        Ok(Self { kept: source, forms, schema, added: Mutex::default(), writer: Arc::default() })
    }

    /// Begins the folder; resolves to what it has already.
    #[napi(ts_return_type = "Promise<Begun>")]
    pub fn begin(&self, target: String, layout: FolderLayout) -> Result<AsyncTask<Job<Begun>>> {
        let sharding = match layout.shards {
            Some(shards) => Sharding::Shards { shards: count(shards)?, rows: count(layout.rows)? },
            None => Sharding::Size(count(layout.shard_bytes)?),
        };
        let options =
            WriteOptions { sharding, sync: layout.sync, key: layout.key, ..WriteOptions::default() };
        let (slot, schema, kept) = (Arc::clone(&self.writer), self.schema.clone(), self.kept.clone());
        Ok(Job::start(move || {
            let (disk, target) = (Arc::new(Disk), Path::new(&target));
            let writer = match kept {
                Some(kept) => FolderWriter::begin_beside(disk, target, kept, schema, options)?,
                None => FolderWriter::begin(disk, target, schema, options)?,
            };
            let begun = Begun { rows: writer.rows() as f64, note: writer.note().to_owned() };
            *lock(&slot) = Some(writer);
            Ok(begun)
        }))
    }

    /// Takes rows, one item a new column; `flush` writes them.
    #[napi]
    pub fn add(
        &self,
        rows: u32,
        #[napi(ts_arg_type = "readonly ColumnRows[]")] columns: Vec<ColumnRows>,
    ) -> Result<()> {
        if columns.len() != self.forms.len() {
            return Err(bad_value("there must be rows of every column"));
        }
        let rows = rows as usize;
        let built = self.forms.iter().zip(&columns).map(|(form, column)| build(form, column, rows));
        lock(&self.added).push(Added { rows, columns: built.collect::<Result<Vec<Built>>>()? });
        Ok(())
    }

    /// Writes all rows that were added, and records them with `note` for a writer that goes on.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn flush(&self, note: Option<String>) -> AsyncTask<Job<()>> {
        let added = std::mem::take(&mut *lock(&self.added));
        let slot = Arc::clone(&self.writer);
        Job::start(move || {
            let mut guard = lock(&slot);
            let Some(writer) = guard.as_mut() else { return Err(Failure::closed()) };
            for Added { rows, columns } in &added {
                let new = columns.iter().map(|new| Piece { array: &new.array, bytes: &new.bytes, start: 0 });
                writer.append(&new.collect::<Vec<_>>(), *rows)?;
            }
            if let Some(note) = note {
                writer.set_note(note);
            }
            Ok(writer.record()?)
        })
    }

    /// Publishes the folder, with further files beside the data; fails when something is there and is not to be
    /// replaced. Resolves to its fingerprint.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn finish(
        &self,
        replace: bool,
        stop: Option<&StopFlag>,
        #[napi(ts_arg_type = "readonly ExtraFile[]")] files: Option<Vec<ExtraFile>>,
    ) -> AsyncTask<Job<String>> {
        let (writer, asks) = (lock(&self.writer).take(), StopFlag::asks(stop));
        let extra: Vec<(String, Vec<u8>)> =
            files.unwrap_or_default().into_iter().map(|file| (file.name, file.bytes.to_vec())).collect();
        Job::start(move || {
            let writer = writer.ok_or_else(Failure::closed)?;
            Ok(writer.finish(&extra, replace, &asks)?.fingerprint)
        })
    }

    /// Stops writing; `discard` removes what there is, else a later writer of the same key may go on.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn stop(&self, discard: bool) -> AsyncTask<Job<()>> {
        let slot = Arc::clone(&self.writer);
        Job::start(move || match lock(&slot).take() {
            Some(writer) if discard => Ok(writer.abort()?),
            _ => Ok(()),
        })
    }
}

fn build(form: &Form, column: &ColumnRows, rows: usize) -> Result<Built> {
    match (form, &column.texts, &column.data) {
        (Form::Texts, Some(texts), _) if texts.len() == rows => {
            text_array(texts.iter().map(Option::as_deref)).map_err(tensor_failure)
        }
        (Form::Tensors(dtype, shape), _, Some(data)) => {
            let lengths = counts(column.lengths.as_deref().unwrap_or_default())?;
            tensor_array(*dtype, shape, rows, &lengths, data).map_err(tensor_failure)
        }
        _ => Err(bad_value("the rows don't fit their column")),
    }
}

/// A panic elsewhere leaves a writer that its own state still guards.
fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
