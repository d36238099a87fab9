//! Opening a dataset folder: its files mapped, its rows counted.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use quiver_io::{Advice, Digester, Mapping, digest_of_sums, hex, sums_of_file};
use quiver_tensor::arrow::features::features_of;
use quiver_tensor::arrow::{Batch, Field, Piece, Schema, read};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::column::Column;
use crate::error::{Error, Result};
use crate::files::{self, DICT, DataFile, INFO, STATE};

/// One file of a dataset, mapped.
///
/// It may be a file of another program: should that one cut it short, the lost pages read as zeros and
/// [`Shard::is_whole`] tells. Nothing here writes into the mapping.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    file: File,
    map: Mapping,
    batches: Vec<Batch>,
    rows: u64,
    declared: DataFile,
}

impl Shard {
    fn open(folder: &Path, declared: DataFile) -> Result<(Self, Schema)> {
        files::check_inside(&folder.join(STATE), &declared.filename)?;
        let path = folder.join(&declared.filename);
        let file = File::open(&path).map_err(|source| quiver_io::Error {
            op: "opening",
            path: path.clone(),
            source,
        })?;
        let map = Mapping::open(&file)?;
        let stream = read(map.as_slice()).map_err(Error::within(&path))?;
        let rows = stream.rows() as u64;
        if declared.num_rows.is_some_and(|expected| expected != rows) {
            return Err(Error::damaged(&path, format!("it has {rows} rows, state.json says otherwise")));
        }
        Ok((Self { path, file, map, batches: stream.batches, rows, declared }, stream.schema))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.map.as_slice()
    }

    /// Its batches; those without rows are left out.
    pub fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// Rows of all batches.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// A mapping of the file for somebody else, who may write into it without being seen here.
    pub fn map_again(&self) -> Result<Mapping> {
        Ok(Mapping::open(&self.file)?)
    }

    /// Whether the page of a byte is known not to be in memory.
    pub(crate) fn is_absent(&self, at: usize) -> bool {
        self.map.is_resident(at) == Some(false)
    }

    /// Has the disk begin with a range that will be read soon.
    pub(crate) fn will_need(&self, range: Range<usize>) {
        // What the system doesn't take up is read when it is touched.
        let _ = self.map.advise(Advice::WillNeed, range);
    }

    /// `Damaged` when the file was cut short since it was opened and lost pages were read.
    pub fn check_whole(&self) -> Result<()> {
        if self.map.is_poisoned() {
            return Err(Error::damaged(&self.path, "the file was cut short while it was open"));
        }
        Ok(())
    }
}

/// An open dataset. Columns are looked at when they are first asked for.
#[derive(Debug)]
pub struct Dataset {
    folder: PathBuf,
    schema: Schema,
    features: Option<Map<String, Value>>,
    fingerprint: Option<String>,
    split: Option<String>,
    shards: Vec<Shard>,
    rows: u64,
    columns: Vec<OnceLock<Arc<Column>>>,
}

/// What a folder holds.
#[derive(Debug)]
pub enum Opened {
    /// A dataset.
    Dataset(Dataset),
    /// Splits by name, in the order of `dataset_dict.json`.
    Dict(Vec<(String, Dataset)>),
}

#[derive(Deserialize)]
struct Dict {
    splits: Vec<String>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    features: Option<Map<String, Value>>,
}

/// Opens a dataset folder or one with splits. A folder with state.json and `dataset_info.json` is a dataset, one with
/// `dataset_dict.json` has splits.
pub fn open(folder: &Path) -> Result<Opened> {
    if !folder.join(STATE).exists() || !folder.join(INFO).exists() {
        let dict = folder.join(DICT);
        if dict.exists() {
            let dict: Dict = files::read_json(&dict)?;
            let splits = dict.splits.into_iter().map(|name| {
                files::check_inside(&folder.join(DICT), &name)?;
                let dataset = Dataset::open(&folder.join(&name))?;
                Ok((name, dataset))
            });
            return Ok(Opened::Dict(splits.collect::<Result<_>>()?));
        }
    }
    Ok(Opened::Dataset(Dataset::open(folder)?))
}

impl Dataset {
    /// Opens a folder with one dataset: maps its files and reads their metadata, some microseconds each. Digests
    /// are not compared; [`Dataset::verify`] does.
    ///
    /// `NotFound`, `NotADataset` for other folders, `Damaged` or an Arrow error for files that contradict each other
    /// or are cut short.
    pub fn open(folder: &Path) -> Result<Self> {
        if !folder.exists() {
            return Err(Error::NotFound(folder.to_path_buf()));
        }
        for name in [STATE, INFO] {
            if !folder.join(name).exists() {
                let reason = if folder.join(DICT).exists() {
                    format!("it is a DatasetDict, which holds several splits; {name} is missing")
                } else {
                    format!("{name} is missing, its writing may have been cut short")
                };
                return Err(Error::NotADataset { path: folder.to_path_buf(), reason });
            }
        }
        let state: files::State = files::read_json(&folder.join(STATE))?;
        let info: Info = files::read_json(&folder.join(INFO))?;
        let mut shards = Vec::with_capacity(state.data_files.len());
        let mut schema: Option<Schema> = None;
        for file in state.data_files {
            let (shard, own) = Shard::open(folder, file)?;
            match &schema {
                None => schema = Some(own),
                Some(first) if same_columns(first, &own) => {}
                Some(_) => {
                    return Err(Error::damaged(shard.path(), "its columns differ from the first file's"));
                }
            }
            shards.push(shard);
        }
        let Some(schema) = schema else {
            return Err(Error::damaged(&folder.join(STATE), "it names no files"));
        };
        Ok(Self {
            folder: folder.to_path_buf(),
            features: info.features.or_else(|| features_of(&schema)),
            fingerprint: state.fingerprint,
            split: state.split,
            rows: shards.iter().map(|shard| shard.rows).sum(),
            columns: schema.fields().iter().map(|_| OnceLock::new()).collect(),
            shards,
            schema,
        })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Names and Arrow types of the columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Hugging Face's words for the columns, if the folder has any.
    pub fn features(&self) -> Option<&Map<String, Value>> {
        self.features.as_ref()
    }

    /// What Python names its transforms after.
    pub fn fingerprint(&self) -> Option<&str> {
        self.fingerprint.as_deref()
    }

    /// Name of the split, such as "train".
    pub fn split(&self) -> Option<&str> {
        self.split.as_deref()
    }

    /// The files, in the order of their rows.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// A column. The first call reads all of its offsets, some GB/s; later ones cost nothing.
    pub fn column(&self, name: &str) -> Result<Arc<Column>> {
        let (index, field) =
            self.schema.column_with_name(name).ok_or_else(|| Error::NoColumn(name.to_owned()))?;
        let slot = self.columns.get(index).ok_or_else(|| Error::NoColumn(name.to_owned()))?;
        if let Some(column) = slot.get() {
            return Ok(Arc::clone(column));
        }
        let column = Arc::new(Column::of(field, index, &self.shards)?);
        Ok(Arc::clone(slot.get_or_init(|| column)))
    }

    /// Rows from `start` on that lie in one batch, all columns, at most `most` of them; for copying into a
    /// [`crate::FolderWriter`] as they are. None at the end.
    pub fn pieces(&self, start: u64, most: usize) -> Option<(Vec<Piece<'_>>, usize)> {
        let mut first = 0;
        for shard in &self.shards {
            if start >= first + shard.rows {
                first += shard.rows;
                continue;
            }
            for batch in &shard.batches {
                let end = first + batch.rows as u64;
                if start < end {
                    let skipped = (start - first) as usize;
                    return Some((batch.pieces(shard.bytes(), skipped), most.min(batch.rows - skipped)));
                }
                first = end;
            }
        }
        None
    }

    /// `Damaged` when a file was cut short since it was opened and lost pages were read.
    pub fn check_whole(&self) -> Result<()> {
        self.shards.iter().try_for_each(Shard::check_whole)
    }

    /// Compares each file with the digest in state.json, where there is one; how many were compared. `should_stop`
    /// is asked every few MiB.
    pub fn verify(&self, should_stop: impl Fn() -> bool + Sync) -> Result<usize> {
        let mut compared = 0;
        for shard in &self.shards {
            let same = match (&shard.declared.xxh3, &shard.declared.sha256) {
                (Some(expected), _) => digest_of(&shard.path, &should_stop)? == *expected,
                (None, Some(expected)) => sha256_of(&shard.path, &should_stop)? == *expected,
                (None, None) => continue,
            };
            if !same {
                return Err(Error::Mismatch { path: shard.path.clone() });
            }
            compared += 1;
        }
        Ok(compared)
    }
}

/// Digest of the chunks of a file as they are on disk.
pub(crate) fn digest_of(path: &Path, should_stop: &(impl Fn() -> bool + Sync)) -> Result<String> {
    let sums = sums_of_file(path, should_stop)?.ok_or(Error::Aborted)?;
    Ok(digest_of_sums(&sums))
}

/// SHA-256 of a file's bytes on disk, in hexadecimal.
fn sha256_of(path: &Path, should_stop: &impl Fn() -> bool) -> Result<String> {
    use std::io::Read;
    const PIECE: usize = 1 << 20;
    let io = |source| quiver_io::Error { op: "reading", path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut digester = Digester::new();
    let mut piece = vec![0; PIECE];
    loop {
        if should_stop() {
            return Err(Error::Aborted);
        }
        match file.read(&mut piece).map_err(io)? {
            0 => return Ok(hex(&digester.finish().sha256)),
            length => digester.update(&piece[..length]),
        }
    }
}

/// Whether two files have the same columns; what their metadata say may differ.
fn same_columns(one: &Schema, other: &Schema) -> bool {
    let same = |(a, b): (&Arc<Field>, &Arc<Field>)| a.name() == b.name() && a.data_type() == b.data_type();
    one.fields().len() == other.fields().len() && one.fields().iter().zip(other.fields()).all(same)
}
