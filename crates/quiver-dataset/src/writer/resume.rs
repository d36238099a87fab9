//! Taking up a folder whose writing was interrupted.
//!
//! Complete files are believed when they have their digest, buffers as far as their sums say that they are whole. What
//! lies behind is cut off, a new journal of what is left takes the place of the old one, and all else in the folder is
//! removed. An interruption in between loses nothing, because what the old journal has sums of stays until then.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use quiver_io::{Digester, Storage, hex, sum64};
use quiver_tensor::arrow::{Extent, Growing, Schema, write};

use super::buffers::{Buffers, Layout, Segment};
use super::journal::{self, Journal, Line};
use super::temporary::{Temporary, temporaries};
use super::{FolderWriter, ShardFacts, Sharding, shard_path};
use crate::dataset::digest_of;
use crate::error::Result;

/// An unfinished folder, and how far it can be believed.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) temporary: Temporary,
    pub(super) closed: Vec<ShardFacts>,
    /// State of the growing file; none when only complete files can be believed.
    pub(super) growing: Option<Grown>,
}

#[derive(Debug)]
pub(super) struct Grown {
    state: Vec<u64>,
    used: (u64, u64),
    note: String,
    /// Of each buffer, as they were appended.
    segments: Vec<Vec<Segment>>,
}

impl Unfinished {
    fn rows(&self) -> u64 {
        let growing = self.growing.as_ref().and_then(|grown| grown.state.first().copied());
        self.closed.iter().map(|shard| shard.rows).sum::<u64>() + growing.unwrap_or(0)
    }
}

/// What a journal's lines must agree on besides the key; the first `kept` columns are not in them.
pub(super) fn digest_of_plan(schema: &Schema, sharding: Sharding, kept: usize) -> Result<String> {
    let mut digester = Digester::new();
    digester.update(&write::schema_message(schema, 0)?);
    digester.update(format!("{sharding:?}").as_bytes());
    if kept > 0 {
        digester.update(format!("{kept} kept").as_bytes());
    }
    Ok(hex(&digester.finish().sha256))
}

/// The folder of this key with the most rows that nobody is writing. Others of the target that nobody is writing are
/// removed: they are of other inputs, or left from an interruption between two of one.
pub(super) fn find(
    storage: &dyn Storage,
    target: &Path,
    key: &str,
    plan: &str,
    layout: impl Fn(&Path) -> Layout,
) -> Result<Option<Unfinished>> {
    let mut best: Option<Unfinished> = None;
    for path in temporaries(target)? {
        let Some(mut temporary) = Temporary::lock(storage, &path)? else { continue };
        let Some(lines) = journal::read(&path, key, plan) else {
            temporary.remove(storage)?;
            continue;
        };
        let mut found = believe(temporary, lines, &layout(&path));
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
fn believe(temporary: Temporary, lines: Vec<Line>, layout: &Layout) -> Unfinished {
    let whole = |shard: usize, facts: &ShardFacts| {
        let path = shard_path(&layout.folder, shard);
        std::fs::metadata(&path).is_ok_and(|file| file.len() == facts.bytes)
            && digest_of(&path, &|| false).is_ok_and(|digest| digest == facts.xxh3)
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
    let growing = if present == known { grown(layout, present, &since) } else { None };
    if growing.is_none() && is_noted {
        // The notes are of other rows than those of the complete files.
        closed.clear();
    }
    Unfinished { temporary, closed, growing }
}

/// The last of the lines up to which every buffer is whole.
fn grown(layout: &Layout, shard: usize, lines: &[Line]) -> Option<Grown> {
    let mut believed = lines.len();
    for buffer in 0..layout.count {
        let (path, start) = layout.place(shard, buffer);
        let mut file = open_at(&path, start);
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
    let segments = |buffer: usize| {
        believed.iter().filter_map(|line| line.spools.get(buffer)).flatten().copied().collect()
    };
    let last = believed.last()?;
    Some(Grown {
        state: last.state.clone(),
        used: last.used,
        note: last.note.clone(),
        segments: (0..layout.count).map(segments).collect(),
    })
}

fn open_at(path: &Path, start: u64) -> Option<std::fs::File> {
    use std::io::{Seek, SeekFrom};
    let mut file = std::fs::File::open(path).ok()?;
    file.seek(SeekFrom::Start(start)).ok()?;
    Some(file)
}

fn read_segment(file: &mut std::fs::File, length: u64) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    // Reads no further than the file goes, whatever the journal claims.
    file.take(length).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == length).then_some(bytes)
}

impl FolderWriter {
    /// Goes on where an unfinished folder, which is this writer's now, ends.
    pub(super) fn take_over(&mut self, closed: Vec<ShardFacts>, growing: Option<Grown>) -> Result<()> {
        let shard = closed.len();
        self.rows = closed.iter().map(|shard| shard.rows).sum();
        self.closed = closed;
        let mut lengths = vec![0; self.layout.count];
        if let Some(grown) = growing
            && let Ok(growing) = Growing::resume(&self.appended, &grown.state)
        {
            self.rows += growing.rows() as u64;
            let used = Extent { bits: grown.used.0, items: grown.used.1 };
            self.plan.restore(shard, growing.rows(), used);
            self.growing = growing;
            self.note = grown.note;
            lengths =
                grown.segments.iter().map(|buffer| buffer.iter().map(|&(length, _)| length).sum()).collect();
            self.believed = grown.segments;
        }
        self.buffers = Buffers::reopen(self.layout.clone(), shard, &lengths)?;
        if self.options.sync {
            for (shard, facts) in self.closed.iter().enumerate() {
                let path = shard_path(&self.layout.folder, shard);
                self.storage.reopen(&path, facts.bytes)?.sync()?;
            }
        }
        Ok(())
    }

    /// Removes what neither a complete file nor a buffer of the growing one is.
    pub(super) fn remove_others(&self) -> Result<()> {
        let (folder, shard, lengths) = (&self.layout.folder, self.closed.len(), self.buffers.lengths());
        let complete = (0..shard).map(|shard| shard_path(folder, shard));
        let grown = lengths.iter().enumerate().filter(|&(_, &length)| length > 0);
        let grown = grown.map(|(buffer, _)| self.layout.place(shard, buffer).0);
        let own = std::iter::once(Journal::path(folder));
        let kept: HashSet<OsString> = complete
            .chain(grown)
            .chain(own)
            .filter_map(|path: PathBuf| path.file_name().map(Into::into))
            .collect();
        for entry in self.storage.list(folder)? {
            if !kept.contains(&entry.name) {
                self.storage.unlink(&folder.join(entry.name))?;
            }
        }
        Ok(())
    }
}
