//! Dataset folders: files as array buffers, columns as numbers that say where values lie, gather.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::Env;
use napi::bindgen_prelude::{ArrayBuffer, AsyncTask, Float64Array, Uint8Array, Uint8ArraySlice};
use napi_derive::napi;
use quiver_dataset::{Block, Column, Dataset, Kind, Opened};
use quiver_io::Mapping;
use quiver_tensor::arrow::values::{Opaque, Values};
use serde_json::json;

use crate::errors::{Result, bad_value, dataset_failure, tensor_failure};
use crate::external;
use crate::task::Job;
use crate::tensor::{length, output};

/// Numbers that describe one block: file, first row, rows, form (0 dense, 1 ragged, 2 texts, 3 other), start and
/// bytes of the values, first bit, start and width of the offsets, start of the validity bits or -1, null rows, items of each dense row.
const BLOCK: usize = 12;

/// Asks work on the thread pool to end.
#[napi]
#[derive(Default)]
pub struct StopFlag {
    stopped: Arc<AtomicBool>,
}

#[napi]
impl StopFlag {
    /// Not stopped.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whatever was given this flag fails with `ERR_QUIVER_ABORTED` soon.
    #[napi]
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

impl StopFlag {
    /// For a thread to ask.
    pub fn asks(flag: Option<&Self>) -> impl Fn() -> bool + Send + Sync + 'static {
        let stopped = flag.map(|flag| Arc::clone(&flag.stopped));
        move || stopped.as_ref().is_some_and(|stopped| stopped.load(Ordering::Relaxed))
    }
}

/// An open dataset.
#[napi]
pub struct NativeDataset {
    dataset: Arc<Dataset>,
}

impl NativeDataset {
    /// For work that goes on when this is gone.
    pub fn shared(&self) -> Arc<Dataset> {
        Arc::clone(&self.dataset)
    }
}

/// What a column is, and where its values lie.
#[napi(object)]
pub struct NativeColumn {
    /// "fixed", "ragged", "text", "jagged", "nulls" or "other".
    pub kind: String,
    /// Of the elements, of fixed and ragged columns.
    pub dtype: Option<String>,
    /// Shape of a row; of ragged columns without the first axis.
    pub row: Vec<f64>,
    /// Rows that are null.
    pub nulls: f64,
    /// Twelve numbers a block of rows.
    pub blocks: Float64Array,
}

/// Opens a folder; resolves to its splits, or to one dataset without a name.
#[napi(ts_return_type = "Promise<Array<NativeSplit>>")]
pub fn open_dataset(path: String) -> AsyncTask<Job<Vec<NativeSplit>>> {
    Job::start(move || {
        let split = |name, dataset| NativeSplit { name, dataset: Some(Arc::new(dataset)) };
        Ok(match quiver_dataset::open(&PathBuf::from(path))? {
            Opened::Dataset(dataset) => vec![split(None, dataset)],
            Opened::Dict(splits) => {
                splits.into_iter().map(|(name, dataset)| split(Some(name), dataset)).collect()
            }
        })
    })
}

/// One dataset of a folder.
#[napi]
pub struct NativeSplit {
    name: Option<String>,
    dataset: Option<Arc<Dataset>>,
}

#[napi]
impl NativeSplit {
    /// Its name; none when the folder is one dataset.
    #[napi(getter)]
    pub fn name(&self) -> Option<String> {
        self.name.clone()
    }

    /// The dataset, once.
    #[napi]
    pub fn take(&mut self) -> Result<NativeDataset> {
        let dataset = self.dataset.take().ok_or_else(|| bad_value("the dataset was taken already"))?;
        Ok(NativeDataset { dataset })
    }
}

#[napi]
impl NativeDataset {
    /// `{ rows, path, columns: [{ name, type }], features, fingerprint, split, files: [{ path, rows, bytes }] }` as JSON.
    #[napi]
    pub fn describe(&self) -> String {
        let dataset = &self.dataset;
        let columns: Vec<_> = dataset
            .schema()
            .fields()
            .iter()
            .map(|field| json!({ "name": field.name(), "type": field.data_type().to_string() }))
            .collect();
        let files: Vec<_> = dataset
            .shards()
            .iter()
            .map(|file| json!({ "path": file.path(), "rows": file.rows(), "bytes": file.bytes().len() }))
            .collect();
        json!({
            "rows": dataset.rows(),
            "path": dataset.folder(),
            "columns": columns,
            "features": dataset.features(),
            "fingerprint": dataset.fingerprint(),
            "split": dataset.split(),
            "files": files,
        })
        .to_string()
    }

    /// Where the values of a column lie; the first call reads all of its offsets.
    #[napi]
    pub fn column(&self, name: String) -> Result<NativeColumn> {
        let column = self.dataset.column(&name).map_err(dataset_failure)?;
        let (kind, dtype, row) = match &column.kind {
            Kind::Fixed { dtype, row } => ("fixed", Some(dtype), row.as_slice()),
            Kind::Ragged { dtype, inner } => ("ragged", Some(dtype), inner.as_slice()),
            Kind::Text => ("text", None, [].as_slice()),
            Kind::Opaque(Opaque::Jagged) => ("jagged", None, [].as_slice()),
            Kind::Opaque(Opaque::NullsInside) => ("nulls", None, [].as_slice()),
            Kind::Opaque(Opaque::NoNumbers) => ("other", None, [].as_slice()),
        };
        Ok(NativeColumn {
            kind: kind.to_owned(),
            dtype: dtype.map(|dtype| dtype.name().to_owned()),
            row: row.iter().map(|&size| size as f64).collect(),
            nulls: column.nulls as f64,
            blocks: column.blocks.iter().flat_map(numbers).collect::<Vec<f64>>().into(),
        })
    }

    /// An array buffer over `length` bytes of one of the files from `start` on, mapped copy-on-write; each call makes
    /// another.
    #[napi(ts_return_type = "ArrayBuffer")]
    pub fn map<'env>(&self, env: &'env Env, file: u32, start: f64, length: f64) -> Result<ArrayBuffer<'env>> {
        let missing = || bad_value("there is no such part of a file");
        let shard = self.dataset.shards().get(file as usize).ok_or_else(missing)?;
        let mapping = shard.map_again().map_err(dataset_failure)?;
        let (start, length) = (crate::tensor::length(start)?, crate::tensor::length(length)?);
        match start.checked_add(length) {
            Some(end) if end <= mapping.len() => {
                buffer_over(env, mapping, start, length).map_err(|error| bad_value(&error.reason))
            }
            _ => Err(missing()),
        }
    }

    /// Fails when a file was cut short since it was opened, and lost parts of it were read natively.
    #[napi]
    pub fn check_whole(&self, file: u32) -> Result<()> {
        match self.dataset.shards().get(file as usize) {
            Some(shard) => shard.check_whole().map_err(dataset_failure),
            None => Err(bad_value("there is no such file")),
        }
    }

    /// Copies rows of a fixed column into `out`.
    #[napi]
    pub fn gather(&self, name: String, indices: &[u32], mut out: Uint8ArraySlice) -> Result<()> {
        let column = self.dataset.column(&name).map_err(dataset_failure)?;
        // What is read is a mapping that JavaScript has no view on.
        let out = output(&mut out, &[])?;
        self.dataset.gather(&column, indices, out).map_err(dataset_failure)
    }

    /// The same on the thread pool, into new memory. The indices are copied before this returns.
    #[napi(ts_return_type = "Promise<Uint8Array>")]
    pub fn gather_later(&self, name: String, indices: &[u32]) -> AsyncTask<Job<Uint8Array>> {
        let (dataset, indices) = (Arc::clone(&self.dataset), indices.to_vec());
        Job::start(move || {
            let column = dataset.column(&name)?;
            let mut out = zeros(&column, indices.len())?;
            dataset.gather(&column, &indices, &mut out)?;
            Ok(Uint8Array::from(out))
        })
    }

    /// Items along the first axis of rows of a ragged column.
    #[napi]
    pub fn lengths(&self, name: String, indices: &[u32]) -> Result<Float64Array> {
        let column = self.dataset.column(&name).map_err(dataset_failure)?;
        let lengths = self.dataset.lengths(&column, indices).map_err(dataset_failure)?;
        Ok(lengths.into_iter().map(|length| length as f64).collect::<Vec<f64>>().into())
    }

    /// Copies rows of a ragged column into `out`, each filled up with zeros or cut to `items` items.
    #[napi]
    pub fn gather_padded(
        &self,
        name: String,
        indices: &[u32],
        items: f64,
        mut out: Uint8ArraySlice,
    ) -> Result<()> {
        let column = self.dataset.column(&name).map_err(dataset_failure)?;
        let out = output(&mut out, &[])?;
        self.dataset.gather_padded(&column, indices, length(items)?, out).map_err(dataset_failure)
    }

    /// Compares the files with their digests, where there are some; resolves to how many were compared.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn verify(&self, stop: Option<&StopFlag>) -> AsyncTask<Job<f64>> {
        let (dataset, asks) = (Arc::clone(&self.dataset), StopFlag::asks(stop));
        Job::start(move || Ok(dataset.verify(asks)? as f64))
    }
}

/// Writes bits as bytes of 0 and 1, as many as `out` is long.
#[napi]
pub fn expand_bits(bits: &[u8], first: f64, mut out: Uint8ArraySlice) -> Result<()> {
    let out = output(&mut out, bits)?;
    quiver_tensor::arrow::expand(bits, length(first)?, out).map_err(tensor_failure)
}

fn zeros(column: &Column, rows: usize) -> quiver_dataset::Result<Vec<u8>> {
    let (_, bytes) = column.fixed_row()?;
    let too_large = || quiver_dataset::Error::BadOption("the rows asked for don't fit into memory".into());
    let length = rows.checked_mul(bytes).ok_or_else(too_large)?;
    let mut out = Vec::new();
    out.try_reserve_exact(length).map_err(|_| too_large())?;
    out.resize(length, 0);
    Ok(out)
}

fn numbers(block: &Block) -> [f64; BLOCK] {
    let (form, data, first_bit, bounds, width) = match &block.values {
        Values::Dense { leaves, .. } => (0, leaves.data.clone(), leaves.first_bit, 0, 0),
        Values::Ragged { leaves, bounds, width, .. } => {
            (1, leaves.data.clone(), leaves.first_bit, bounds.start, width.bytes())
        }
        Values::Text { offsets, width, data } => (2, data.clone(), 0, offsets.start, width.bytes()),
        Values::Opaque(_) => (3, 0..0, 0, 0, 0),
    };
    let items = match &block.values {
        Values::Dense { row, .. } => row.first().copied().unwrap_or(1) as f64,
        _ => 0.0,
    };
    [
        block.shard as f64,
        block.first as f64,
        block.rows as f64,
        f64::from(form),
        data.start as f64,
        data.len() as f64,
        first_bit as f64,
        bounds as f64,
        width as f64,
        block.validity.as_ref().map_or(-1.0, |validity| validity.start as f64),
        block.nulls as f64,
        items,
    ]
}

/// `start` and `length` are a part of the mapping.
fn buffer_over(env: &Env, mapping: Mapping, start: usize, length: usize) -> napi::Result<ArrayBuffer<'_>> {
    if length == 0 {
        return ArrayBuffer::from_data(env, Vec::new());
    }
    // SAFETY: the part lies within the mapping. Its memory is writable and this process's own (copy-on-write), stays
    // in place until `mapping` is dropped, and nothing else lies over it.
    #[allow(unsafe_code)]
    unsafe {
        let memory = (mapping.as_ptr().add(start), length);
        external::array_buffer(env, memory, mapping)
    }
}
