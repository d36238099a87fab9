//! Taking up a folder whose writing was interrupted.
//!
//! A new temporary folder is made out of the old one: complete files are linked, buffers copied as far as their sums
//! say that they are whole. The old one is removed afterwards, so that another interruption loses nothing.

use std::path::Path;

use quiver_io::{Digester, Storage, hex, sum64};
use quiver_tensor::arrow::{Extent, Growing, Schema, Sink, write};

use super::journal::{self, Line};
use super::spool::{Spools, read_pieces, spool_path};
use super::temporary::{Temporary, temporaries};
use super::{FolderWriter, ShardFacts, Sharding, WriteOptions, shard_path};
use crate::error::Result;

/// An unfinished folder, and how far it can be believed.
#[derive(Debug)]
pub(super) struct Unfinished {
    temporary: Temporary,
    closed: Vec<ShardFacts>,
    /// State of the growing file; none when only complete files can be believed.
    growing: Option<Grown>,
}

#[derive(Debug)]
struct Grown {
    state: Vec<u64>,
    used: (u64, u64),
    note: String,
    /// Bytes of each buffer, in the pieces in which they were appended.
    spools: Vec<Vec<u64>>,
}

impl Unfinished {
    fn rows(&self) -> u64 {
        let growing = self.growing.as_ref().and_then(|grown| grown.state.first().copied());
        self.closed.iter().map(|shard| shard.rows).sum::<u64>() + growing.unwrap_or(0)
    }
}

/// What a journal's lines must agree on besides the key.
pub(super) fn digest_of_plan(schema: &Schema, sharding: Sharding) -> Result<String> {
    let mut digester = Digester::new();
    digester.update(&write::schema_message(schema, 0)?);
    digester.update(format!("{sharding:?}").as_bytes());
    Ok(hex(&digester.finish().sha256))
}

/// The folder of this key with the most rows that nobody is writing. Others of the target that nobody is writing are
/// removed: they are of other inputs, or left from an interruption between two of one.
pub(super) fn find(
    storage: &dyn Storage,
    target: &Path,
    schema: &Schema,
    options: &WriteOptions,
    key: &str,
) -> Result<Option<Unfinished>> {
    let plan = digest_of_plan(schema, options.sharding)?;
    let mut best: Option<Unfinished> = None;
    for path in temporaries(target)? {
        let Some(mut temporary) = Temporary::lock(&path)? else { continue };
        let Some(lines) = journal::read(&path, key, &plan) else {
            temporary.remove(storage)?;
            continue;
        };
        let mut found = believe(temporary, lines);
        if best.as_ref().is_none_or(|best| found.rows() > best.rows()) {
            if let Some(mut worse) = best.replace(found) {
                worse.temporary.remove(storage)?;
            }
        } else {
            found.temporary.remove(storage)?;
        }
    }
    Ok(best)
}

/// Checks what the lines say against the files.
fn believe(temporary: Temporary, lines: Vec<Line>) -> Unfinished {
    let folder = temporary.path().to_path_buf();
    let whole = |shard: usize, facts: &ShardFacts| {
        std::fs::metadata(shard_path(&folder, shard)).is_ok_and(|file| file.len() == facts.bytes)
    };
    let mut closed: Vec<ShardFacts> = Vec::new();
    let mut since: Vec<Line> = Vec::new();
    for mut line in lines {
        if !line.closed.is_empty() {
            since.clear();
            closed.append(&mut line.closed);
        }
        since.push(line);
    }
    let known = closed.len();
    let is_noted = since.iter().any(|line| !line.note.is_empty());
    let present = closed.iter().enumerate().take_while(|(shard, facts)| whole(*shard, facts)).count();
    closed.truncate(present);
    let growing = if present == known { grown(&folder, present, &since) } else { None };
    if growing.is_none() && is_noted {
        // The notes are of other rows than those of the complete files.
        closed.clear();
    }
    Unfinished { temporary, closed, growing }
}

/// The last of the lines up to which every buffer is whole.
fn grown(folder: &Path, shard: usize, lines: &[Line]) -> Option<Grown> {
    let buffers = lines.first()?.spools.len();
    let mut believed = lines.len();
    for buffer in 0..buffers {
        let path = spool_path(folder, shard, buffer);
        let mut file = std::fs::File::open(path).ok();
        for (number, line) in lines.iter().enumerate().take(believed) {
            let segments = line.spools.get(buffer).map(Vec::as_slice).unwrap_or_default();
            let same = segments.iter().all(|&(length, sum)| {
                file.as_mut().is_some_and(|file| read_segment(file, length).is_some_and(|b| sum64(&b) == sum))
            });
            if !same {
                believed = number;
                break;
            }
        }
    }
    let believed = lines.get(..believed)?;
    let pieces = |buffer: usize| {
        let segments = believed.iter().filter_map(|line| line.spools.get(buffer)).flatten();
        segments.map(|&(length, _)| length).collect()
    };
    let last = believed.last()?;
    Some(Grown {
        state: last.state.clone(),
        used: last.used,
        note: last.note.clone(),
        spools: (0..buffers).map(pieces).collect(),
    })
}

fn read_segment(file: &mut std::fs::File, length: u64) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    // Reads no further than the file goes, whatever the journal claims.
    file.take(length).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == length).then_some(bytes)
}

impl FolderWriter {
    /// Goes on where an unfinished folder ends.
    pub(super) fn take_over(&mut self, mut unfinished: Unfinished) -> Result<()> {
        let from = unfinished.temporary.path().to_path_buf();
        for shard in 0..unfinished.closed.len() {
            self.storage.link(&shard_path(&from, shard), &shard_path(self.temporary.path(), shard))?;
        }
        self.closed = std::mem::take(&mut unfinished.closed);
        self.rows = self.closed.iter().map(|shard| shard.rows).sum();
        let shard = self.closed.len();
        self.spools = Spools::new(self.storage.clone(), self.temporary.path(), shard, self.growing.buffers());
        if let Some(grown) = unfinished.growing.take()
            && let Ok(growing) = Growing::resume(&self.schema, &grown.state)
        {
            for (buffer, pieces) in grown.spools.iter().enumerate() {
                let path = spool_path(&from, shard, buffer);
                let length = pieces.iter().sum();
                if length > 0 {
                    read_pieces(&path, length, |piece| self.spools.append(buffer, piece))?;
                }
            }
            self.rows += growing.rows() as u64;
            let used = Extent { bits: grown.used.0, items: grown.used.1 };
            self.plan.restore(shard, growing.rows(), used);
            self.growing = growing;
            self.note = grown.note;
        }
        unfinished.temporary.remove(self.storage.as_ref())
    }
}
