//! Making a dataset folder row by row: under a temporary name beside the target, resumable, published whole.
//!
//! ```text
//! .tmp_<name>.<process>-<random>.lock   held while somebody writes
//! .tmp_<name>.<process>-<random>/
//!   journal         what is finished, line by line; only for writers with a key
//!   <shard>.shard   files that are complete, and the one that is growing
//!   <shard>-<buffer>.spool   buffers of the one that is growing
//! ```
//! Each file becomes one batch, which readers view as one tensor, while nothing but the rows being appended is held in
//! memory. Its largest buffer grows at its place in the file, summed in passing; the head before it, for which room is
//! left, and the other buffers behind it are written when the file is full, those of kept columns from where they lie. Then it is read again, from memory as a
//! rule, and compared.

mod buffers;
mod check;
mod journal;
mod kept;
mod plan;
mod publish;
mod resume;
mod temporary;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_io::{Storage, digest_of_sums};
use quiver_tensor::arrow::{Field, Growing, Piece, Schema, largest_buffer, write};

use crate::error::{Error, Result};
use buffers::{Buffers, Layout, Segment};
use check::{Check, Checking};
use journal::{Journal, Line};
pub use kept::Kept;
use kept::Measure;
use plan::Plan;
pub use plan::Sharding;
use temporary::Temporary;
pub use temporary::sweep;

/// How a folder is written.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// How rows are split into files.
    pub sharding: Sharding,
    /// Whether contents and names are synced, so that a finished folder outlasts a power cut.
    pub sync: bool,
    /// Permission bits of files.
    pub file_mode: u32,
    /// Permission bits of folders.
    pub folder_mode: u32,
    /// Names what is being made: everything but the schema and the sharding that the rows depend on. With a key the
    /// folder can be taken up again after an interruption; without one it is removed when the writer is dropped.
    pub key: Option<String>,
}

impl Default for WriteOptions {
    /// Files of at most 500 MB, synced, readable by all, not resumable.
    fn default() -> Self {
        Self {
            sharding: Sharding::Size(500_000_000),
            sync: true,
            file_mode: 0o644,
            folder_mode: 0o755,
            key: None,
        }
    }
}

/// A file of a finished folder.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ShardFacts {
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// xxh3-128 of the sums of its chunks, see [`digest_of_sums`].
    pub xxh3: String,
}

/// A published folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Where it is.
    pub folder: PathBuf,
    /// Rows of all files.
    pub rows: u64,
    /// Its files, in order.
    pub shards: Vec<ShardFacts>,
    /// 16 hexadecimal digits of the files' digests: the fingerprint in state.json.
    pub fingerprint: String,
}

/// A dataset folder being written. Nothing is seen at the target until [`FolderWriter::finish`].
///
/// Dropped without being finished, the temporary folder stays when the writer has a key and can be taken up by
/// [`FolderWriter::begin`] with the same key; otherwise it is removed.
#[derive(Debug)]
pub struct FolderWriter {
    storage: Arc<dyn Storage>,
    target: PathBuf,
    /// Of all columns.
    schema: Schema,
    /// The first of them.
    kept: Option<Kept>,
    /// The others, which are appended.
    appended: Schema,
    options: WriteOptions,
    plan: Plan,
    temporary: Temporary,
    journal: Option<Journal>,
    growing: Growing,
    layout: Layout,
    buffers: Buffers,
    /// What an earlier run left of the buffers; for the first line of the journal.
    believed: Vec<Vec<Segment>>,
    closed: Vec<ShardFacts>,
    /// Of the last of them.
    checking: Option<Checking>,
    /// Of `closed`, those that the journal has.
    recorded: usize,
    /// Rows of `closed` and of the growing file.
    rows: u64,
    note: String,
    failed: bool,
}

impl FolderWriter {
    /// Begins a folder that will be published as `target`. With a key, goes on with the newest unfinished folder of
    /// the same target, key, schema and sharding that nobody else is writing: [`FolderWriter::rows`] then says how
    /// many rows it has already. What was written is checked before it is believed. Unfinished folders of the target with
    /// other keys, that nobody is writing, are removed.
    ///
    /// `schema` should carry features in its metadata, see [`quiver_tensor::arrow::features`]; they go into
    /// `dataset_info.json` too. Fails before anything is made when the schema has types that are not written.
    pub fn begin(
        storage: Arc<dyn Storage>,
        target: &Path,
        schema: Schema,
        options: WriteOptions,
    ) -> Result<Self> {
        Self::begin_with(storage, target, schema, None, options)
    }

    /// The same for a folder whose first columns are `kept`: rows are appended of the others, and those of the same
    /// numbers are copied when a file is full. `schema` has all columns. The key has to name what the dataset holds,
    /// too.
    ///
    /// `BadOption` when the first columns of the schema are not those that are kept.
    pub fn begin_beside(
        storage: Arc<dyn Storage>,
        target: &Path,
        kept: Kept,
        schema: Schema,
        options: WriteOptions,
    ) -> Result<Self> {
        Self::begin_with(storage, target, schema, Some(kept), options)
    }

    fn begin_with(
        storage: Arc<dyn Storage>,
        target: &Path,
        schema: Schema,
        kept: Option<Kept>,
        options: WriteOptions,
    ) -> Result<Self> {
        let plan = Plan::new(&schema, options.sharding)?;
        let appended = behind(&schema, kept.as_ref())?;
        let growing = Growing::new(&appended)?;
        let (first, room) = (largest_buffer(&appended)?, room_for_head(&schema)?);
        let digest = resume::digest_of_plan(
            &schema,
            options.sharding,
            schema.fields().len() - appended.fields().len(),
        )?;
        let layout = |folder: &Path| Layout {
            storage: Arc::clone(&storage),
            folder: folder.to_path_buf(),
            mode: options.file_mode,
            sync: options.sync,
            count: growing.buffers(),
            first,
            room,
        };
        let unfinished = match &options.key {
            Some(key) => resume::find(storage.as_ref(), target, key, &digest, layout)?,
            None => None,
        };
        let (temporary, left) = match unfinished {
            Some(unfinished) => (unfinished.temporary, Some((unfinished.closed, unfinished.growing))),
            None => (Temporary::create(&storage, target, options.folder_mode)?, None),
        };
        let layout = layout(temporary.path());
        let mut writer = Self {
            storage,
            target: target.to_path_buf(),
            plan,
            temporary,
            journal: None,
            growing,
            buffers: Buffers::new(layout.clone(), 0),
            believed: Vec::new(),
            layout,
            closed: Vec::new(),
            checking: None,
            recorded: 0,
            rows: 0,
            note: String::new(),
            failed: false,
            schema,
            kept,
            appended,
            options,
        };
        let is_taken_up = left.is_some();
        if let Some((closed, growing)) = left {
            writer.take_over(closed, growing)?;
        }
        if let Some(key) = writer.options.key.clone() {
            let mut line = writer.line();
            if !writer.believed.is_empty() {
                line.spools = std::mem::take(&mut writer.believed);
            }
            let (storage, folder) = (writer.storage.as_ref(), writer.temporary.path());
            // A new folder has nothing to lose.
            let sync = writer.options.sync && is_taken_up;
            writer.journal = Some(Journal::create(storage, folder, &key, &digest, &line, sync)?);
            writer.recorded = writer.closed.len();
        }
        if is_taken_up {
            writer.remove_others()?;
        }
        Ok(writer)
    }

    /// Rows so far, those of an earlier run included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// What was noted of the rows so far, by an earlier run included.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Notes something of all rows; kept with them when they are next recorded.
    pub fn set_note(&mut self, note: String) {
        self.note = note;
    }

    /// Appends rows: one piece a column of the schema that is not kept. How rows are split among calls makes no difference to the bytes of
    /// the result. After an error the writer takes nothing more.
    pub fn append(&mut self, pieces: &[Piece<'_>], rows: usize) -> Result<()> {
        if self.failed {
            return Err(Error::BadOption("an earlier append failed; begin again".into()));
        }
        self.failed = true;
        let mut pieces = pieces.to_vec();
        let mut left = rows;
        while left > 0 {
            let (mut all, most) = match &self.kept {
                Some(kept) => kept.pieces(self.rows, left)?,
                None => (Vec::new(), left),
            };
            all.extend(&pieces);
            let now = self.plan.fitting(&self.schema, self.closed.len(), self.growing.rows(), &all, most)?;
            if now == 0 {
                let check = self.close_shard()?;
                self.checking = Some(Checking::start(check)?);
                continue;
            }
            self.growing.append(&self.appended, &pieces, now, &mut self.buffers)?;
            self.rows += now as u64;
            left -= now;
            for piece in &mut pieces {
                piece.start += now;
            }
        }
        self.failed = false;
        Ok(())
    }

    /// Keeps the rows so far, and what was noted of them, for a writer of the same key that goes on after a crash of
    /// this process. After a power cut complete files count, but for the last two, and of the others as much as the
    /// system had written out. Does nothing without a key.
    pub fn record(&mut self) -> Result<()> {
        if self.journal.is_some() {
            let line = self.line();
            if let Some(journal) = &mut self.journal {
                journal.record(&line)?;
            }
            self.recorded = self.closed.len();
            if !self.options.sync || self.checking.as_ref().is_none_or(Checking::is_over) {
                self.settle()?;
            }
        }
        Ok(())
    }

    /// Lets go of what complete files were made from, which are synced. Before, what the journal says of them is made
    /// durable: after a power cut either they are known, or what they were made from is there.
    fn settle(&mut self) -> Result<()> {
        let Some(journal) = self.journal.as_mut().filter(|_| self.buffers.has_spent()) else { return Ok(()) };
        if self.options.sync {
            journal.sync()?;
            self.storage.sync_dir(self.temporary.path())?;
        }
        self.buffers.forget_spent()
    }

    /// Completes the folder, checks it, and publishes it: files, `extra` files, state.json, `dataset_info.json`, their
    /// digests compared with what is on disk, all synced, then one rename. Where something is at the target, it is
    /// swapped with the new folder and removed, or `Exists` without `replace`.
    ///
    /// A crash at any moment leaves the target as it was or complete.
    pub fn finish(
        mut self,
        extra: &[(String, Vec<u8>)],
        replace: bool,
        should_stop: &(impl Fn() -> bool + Sync),
    ) -> Result<Finished> {
        if self.failed {
            return Err(Error::BadOption("an append failed; begin again".into()));
        }
        if !replace && self.target.exists() {
            return Err(Error::Exists(self.target.clone()));
        }
        let unchecked =
            if self.growing.rows() > 0 || self.closed.is_empty() { Some(self.close_shard()?) } else { None };
        if let Some(expected) = self.plan.expected_rows()
            && expected != self.rows
        {
            return Err(Error::BadOption(format!("{expected} rows were announced, {} came", self.rows)));
        }
        self.publish(unchecked, extra, replace, should_stop)
    }

    /// Gives up: removes what was written, also where it could be taken up later.
    pub fn abort(mut self) -> Result<()> {
        self.temporary.remove(self.storage.as_ref())
    }

    /// Completes the growing file and begins the next one.
    fn close_shard(&mut self) -> Result<Check> {
        if let Some(checking) = self.checking.take() {
            checking.end()?;
            if self.recorded == self.closed.len() {
                self.settle()?;
            }
        }
        let mut head = write::schema_message(&self.schema, 0)?;
        let rows = self.growing.rows();
        let own = self.rows - rows as u64..self.rows;
        if rows > 0 {
            self.growing.finish(&self.appended, &mut self.buffers)?;
            let Measure { mut nodes, mut lengths } = match &self.kept {
                Some(kept) => kept.measure(&own)?,
                None => Measure::default(),
            };
            let first = lengths.len() + self.layout.first;
            nodes.extend(self.growing.nodes());
            lengths.extend(self.buffers.lengths());
            head.extend(write::batch_message(rows, &nodes, &lengths, first, head.len() as u64)?.head);
        }
        let kept = self.kept.as_ref().map(|kept| (kept, &own));
        let complete = self.buffers.complete(&head, rows, kept)?;
        let shard = self.closed.len();
        let digest = digest_of_sums(&complete.sums);
        self.closed.push(ShardFacts { rows: rows as u64, bytes: complete.bytes, xxh3: digest.clone() });
        self.growing = Growing::new(&self.appended)?;
        self.buffers.next(self.closed.len(), self.journal.is_some())?;
        Ok(Check {
            file: complete.file,
            path: shard_path(self.temporary.path(), shard),
            expected: digest,
            sync: self.options.sync,
        })
    }

    /// All that the journal has to know now.
    fn line(&mut self) -> Line {
        Line {
            rows: self.rows,
            closed: self.closed.get(self.recorded..).unwrap_or_default().to_vec(),
            state: self.growing.state(),
            used: (self.plan.used().bits, self.plan.used().items),
            spools: self.buffers.take_sums(),
            note: self.note.clone(),
        }
    }
}

impl Drop for FolderWriter {
    fn drop(&mut self) {
        if let Some(checking) = self.checking.take() {
            let _ = checking.end();
        }
        if self.options.key.is_none() {
            let _ = self.temporary.remove(self.storage.as_ref());
        }
    }
}

/// The columns behind the kept ones.
fn behind(schema: &Schema, kept: Option<&Kept>) -> Result<Schema> {
    let Some(kept) = kept else { return Ok(schema.clone()) };
    let (own, fields) = (schema.fields(), kept.fields()?);
    let same = |(one, other): (&Arc<Field>, &Arc<Field>)| {
        one.name() == other.name() && one.data_type() == other.data_type()
    };
    if own.len() < fields.len() || !own.iter().zip(&fields).all(same) {
        return Err(Error::BadOption("the first columns are not those that are kept".into()));
    }
    Ok(Schema::new(own.iter().skip(fields.len()).cloned().collect::<Vec<_>>()))
}

/// Bytes of a file before its first buffer, where it has rows.
fn room_for_head(schema: &Schema) -> Result<u64> {
    let start = write::schema_message(schema, 0)?.len() as u64;
    let all = Growing::new(schema)?;
    let batch = write::batch_message(0, &all.nodes(), &vec![0; all.buffers()], 0, start)?;
    Ok(start + batch.head.len() as u64)
}

/// A file under its temporary name.
fn shard_path(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("{shard:05}.shard"))
}
