//! Making a dataset folder row by row: under a temporary name beside the target, resumable, published whole.
//!
//! ```text
//! .tmp_<name>.<process>-<random>/
//!   lock            held while somebody writes
//!   journal         what is finished, a line an append; only for writers with a key
//!   <shard>-<buffer>.spool   the buffers of the file that is growing
//!   <shard>.shard   files that are complete
//! ```
//! The buffers of one file grow in spools, so that the file becomes one batch, which readers view as one tensor,
//! while nothing but the rows being appended is held in memory. When a file is full its spools are put together,
//! digested in passing.

mod journal;
mod plan;
mod publish;
mod resume;
mod spool;
mod temporary;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_io::{Storage, TempObject, hex};
use quiver_tensor::arrow::{Growing, Piece, Schema, write};

use crate::error::{Error, Result};
use journal::{Journal, Line};
use plan::Plan;
pub use plan::Sharding;
use spool::Spools;
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
    /// SHA-256 in hexadecimal.
    pub sha256: String,
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
    schema: Schema,
    options: WriteOptions,
    plan: Plan,
    temporary: Temporary,
    journal: Option<Journal>,
    growing: Growing,
    spools: Spools,
    closed: Vec<ShardFacts>,
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
        let plan = Plan::new(&schema, options.sharding)?;
        let growing = Growing::new(&schema)?;
        let unfinished = match &options.key {
            Some(key) => resume::find(storage.as_ref(), target, &schema, &options, key)?,
            None => None,
        };
        let temporary = Temporary::create(&storage, target, options.folder_mode)?;
        let spools = Spools::new(Arc::clone(&storage), temporary.path(), 0, growing.buffers());
        let mut writer = Self {
            storage,
            target: target.to_path_buf(),
            plan,
            temporary,
            journal: None,
            growing,
            spools,
            closed: Vec::new(),
            recorded: 0,
            rows: 0,
            note: String::new(),
            failed: false,
            schema,
            options,
        };
        if let Some(unfinished) = unfinished {
            writer.take_over(unfinished)?;
        }
        if let Some(key) = &writer.options.key {
            let digest = resume::digest_of_plan(&writer.schema, writer.options.sharding)?;
            let mut journal =
                Journal::create(writer.storage.as_ref(), writer.temporary.path(), key, &digest)?;
            journal.record(&writer.line())?;
            writer.recorded = writer.closed.len();
            writer.journal = Some(journal);
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

    /// Notes something of all rows, those of the next append included; kept with them for a writer that goes on.
    pub fn set_note(&mut self, note: String) {
        self.note = note;
    }

    /// Appends rows: one piece a column of the schema. When this returns, the rows are there after a crash of this
    /// process too, if the writer has a key; after a power cut an earlier append may be the last. How rows are split
    /// among calls makes no difference to the bytes of the result.
    ///
    /// After an error the writer takes nothing more.
    pub fn append(&mut self, pieces: &[Piece<'_>], rows: usize) -> Result<()> {
        if self.failed {
            return Err(Error::BadOption("an earlier append failed; begin again".into()));
        }
        self.failed = true;
        let mut pieces = pieces.to_vec();
        let mut left = rows;
        while left > 0 {
            let now =
                self.plan.fitting(&self.schema, self.closed.len(), self.growing.rows(), &pieces, left)?;
            if now == 0 {
                self.close_shard()?;
                continue;
            }
            self.growing.append(&self.schema, &pieces, now, &mut self.spools)?;
            self.rows += now as u64;
            left -= now;
            for piece in &mut pieces {
                piece.start += now;
            }
        }
        if self.journal.is_some() {
            let line = self.line();
            if let Some(journal) = &mut self.journal {
                journal.record(&line)?;
            }
            self.recorded = self.closed.len();
            self.spools.forget_closed()?;
        }
        self.failed = false;
        Ok(())
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
        should_stop: &impl Fn() -> bool,
    ) -> Result<Finished> {
        if self.failed {
            return Err(Error::BadOption("an append failed; begin again".into()));
        }
        if !replace && self.target.exists() {
            return Err(Error::Exists(self.target.clone()));
        }
        if self.growing.rows() > 0 || self.closed.is_empty() {
            self.close_shard()?;
        }
        if let Some(expected) = self.plan.expected_rows()
            && expected != self.rows
        {
            return Err(Error::BadOption(format!("{expected} rows were announced, {} came", self.rows)));
        }
        self.publish(extra, replace, should_stop)
    }

    /// Gives up: removes what was written, also where it could be taken up later.
    pub fn abort(mut self) -> Result<()> {
        self.temporary.remove(self.storage.as_ref())
    }

    /// Puts the spools together to a file and begins the next one.
    fn close_shard(&mut self) -> Result<()> {
        self.growing.finish(&self.schema, &mut self.spools)?;
        let mut file =
            TempObject::create(Arc::clone(&self.storage), self.temporary.path(), self.options.file_mode)?;
        let mut head = write::schema_message(&self.schema, 0)?;
        let rows = self.growing.rows();
        if rows > 0 {
            let lengths = self.spools.lengths();
            let batch = write::batch_message(rows, &self.growing.nodes(), &lengths, head.len() as u64)?;
            head.extend(batch.head);
        }
        file.write(&head)?;
        if rows > 0 {
            self.spools.copy_into(&mut file)?;
        }
        file.write(write::END)?;
        let sealed = file.seal(self.options.sync)?;
        let digests = sealed.digests();
        let facts = ShardFacts { rows: rows as u64, bytes: digests.len, sha256: hex(&digests.sha256) };
        let path = shard_path(self.temporary.path(), self.closed.len());
        sealed.publish(&path).map_err(|(error, _)| error)?;
        self.closed.push(facts);
        self.growing = Growing::new(&self.schema)?;
        self.spools.next(self.closed.len(), self.journal.is_some())?;
        Ok(())
    }

    /// All that the journal has to know now.
    fn line(&mut self) -> Line {
        Line {
            rows: self.rows,
            closed: self.closed.get(self.recorded..).unwrap_or_default().to_vec(),
            state: self.growing.state(),
            used: (self.plan.used().bits, self.plan.used().items),
            spools: self.spools.take_sums(),
            note: self.note.clone(),
        }
    }
}

impl Drop for FolderWriter {
    fn drop(&mut self) {
        if self.options.key.is_none() {
            let _ = self.temporary.remove(self.storage.as_ref());
        }
    }
}

/// A complete file under its temporary name.
fn shard_path(folder: &Path, shard: usize) -> PathBuf {
    folder.join(format!("{shard:05}.shard"))
}
