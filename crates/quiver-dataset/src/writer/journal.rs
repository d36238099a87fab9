//! What of an unfinished folder is finished: lines of JSON.

use std::path::{Path, PathBuf};

use quiver_io::{Storage, StorageFile};
use serde::{Deserialize, Serialize};

use super::ShardFacts;
use super::buffers::Segment;
use crate::error::{Error, Result};

const FORMAT: u32 = 2;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    key: String,
    /// Of the schema and how rows are split.
    plan: String,
}

/// The state when it was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    /// Rows of complete files and of the growing one.
    pub(super) rows: u64,
    /// Files that were completed since the line before.
    pub(super) closed: Vec<ShardFacts>,
    /// Of the growing file.
    pub(super) state: Vec<u64>,
    /// Bits and items that its rows take, as [`quiver_tensor::arrow::Extent`] counts them.
    pub(super) used: (u64, u64),
    /// What was appended to each of its buffers since the line before; since its start when files were completed.
    pub(super) spools: Vec<Vec<Segment>>,
    /// What the caller notes of the rows so far.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) note: String,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: Box<dyn StorageFile>,
}

impl Journal {
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join("journal")
    }

    /// Begins a journal with a line that holds all there is, in place of the one that is there; `sync`ed, a power cut
    /// leaves one or the other.
    pub(super) fn create(
        storage: &dyn Storage,
        folder: &Path,
        key: &str,
        plan: &str,
        line: &Line,
        sync: bool,
    ) -> Result<Self> {
        let path = folder.join("journal.new");
        // Somebody may have been interrupted right here.
        storage.unlink_if_there(&path)?;
        let mut journal = Self { file: storage.create_new(&path, 0o600)? };
        journal.write(&Header { format: FORMAT, key: key.to_owned(), plan: plan.to_owned() })?;
        journal.write(line)?;
        if sync {
            journal.sync()?;
        }
        storage.rename(&path, &Self::path(folder))?;
        if sync {
            storage.sync_dir(folder)?;
        }
        Ok(journal)
    }

    pub(super) fn record(&mut self, line: &Line) -> Result<()> {
        self.write(line)
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        Ok(self.file.sync()?)
    }

    fn write(&mut self, value: &impl Serialize) -> Result<()> {
        let mut bytes =
            serde_json::to_vec(value).map_err(|_| Error::Internal("a journal line is no JSON"))?;
        bytes.push(b'\n');
        Ok(self.file.write_all(&bytes)?)
    }
}

/// The lines of a journal of this key and plan, up to the first that is torn; none when it is another's.
pub(super) fn read(folder: &Path, key: &str, plan: &str) -> Option<Vec<Line>> {
    let bytes = std::fs::read(Journal::path(folder)).ok()?;
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let header: Header = serde_json::from_slice(lines.next()?).ok()?;
    if header.format != FORMAT || header.key != key || header.plan != plan {
        return None;
    }
    let whole = lines.map_while(|line| serde_json::from_slice(line.strip_suffix(b"\n")?).ok());
    Some(whole.collect())
}
