//! The buffers of a growing file. The largest grows at its final place, behind room for the head, so that its bytes are
//! written once; each of the others grows in a file of its own and is put behind it in the end, after those of columns
//! that are copied from another dataset.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_io::{CHUNK, ChunkSums, Storage, StorageFile, sum64};
use quiver_tensor::arrow::{Sink, write};

use super::kept::Kept;
use super::shard_path;
use crate::error::{Error, Result};

/// Bytes copied at once.
const PIECE: usize = 1 << 20;
/// Bytes after which the disk is told to begin.
const AHEAD: u64 = 8 << 20;

/// Bytes appended to a buffer since the journal was last written: how many, and their xxh3-64.
pub(super) type Segment = (u64, u64);

/// Where buffers lie, the same for all files of a folder.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) folder: PathBuf,
    pub(super) mode: u32,
    /// Whether files are going to be synced.
    pub(super) sync: bool,
    /// How many buffers there are.
    pub(super) count: usize,
    /// Number of the one that grows in place.
    pub(super) first: usize,
    /// Bytes that the head of a file with rows takes.
    pub(super) room: u64,
}

impl Layout {
    /// The file that a buffer grows in, and where it begins there.
    pub(super) fn place(&self, shard: usize, buffer: usize) -> (PathBuf, u64) {
        if buffer == self.first {
            (shard_path(&self.folder, shard), self.room)
        } else {
            (self.folder.join(format!("{shard:05}-{buffer}.spool")), 0)
        }
    }
}

#[derive(Debug)]
pub(super) struct Buffers {
    layout: Layout,
    shard: usize,
    growths: Vec<Growth>,
    sums: SumsBehind,
    /// Bytes that the disk has not been told of.
    untold: u64,
    /// Spools of files that are complete but not in the journal yet.
    spent: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct Growth {
    file: Option<Box<dyn StorageFile>>,
    length: u64,
    /// Sums of what was appended since the journal was last written, piece by piece.
    pending: Vec<Segment>,
}

/// A file with all of its bytes, not synced.
#[derive(Debug)]
pub(super) struct Complete {
    pub(super) file: Box<dyn StorageFile>,
    pub(super) bytes: u64,
    /// Of its chunks, as they were written.
    pub(super) sums: Vec<u64>,
}

impl Buffers {
    /// Without a file until something is appended.
    pub(super) fn new(layout: Layout, shard: usize) -> Self {
        let growths = (0..layout.count).map(|_| Growth::default()).collect();
        let sums = SumsBehind::new(layout.room);
        Self { layout, shard, growths, sums, untold: 0, spent: Vec::new() }
    }

    /// Goes on behind the first `lengths` bytes of each buffer; what lies behind them is cut off.
    pub(super) fn reopen(layout: Layout, shard: usize, lengths: &[u64]) -> Result<Self> {
        let mut buffers = Self::new(layout, shard);
        for (buffer, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length > 0) {
            let (path, start) = buffers.layout.place(shard, buffer);
            let file = buffers.layout.storage.reopen(&path, start + length)?;
            if buffer == buffers.layout.first {
                read_pieces(&path, start, length, |piece| {
                    buffers.sums.update(piece);
                    Ok(())
                })?;
            }
            if let Some(growth) = buffers.growths.get_mut(buffer) {
                *growth = Growth { file: Some(file), length, pending: Vec::new() };
            }
        }
        Ok(buffers)
    }

    /// Bytes of each buffer.
    pub(super) fn lengths(&self) -> Vec<u64> {
        self.growths.iter().map(|buffer| buffer.length).collect()
    }

    /// What was appended to each buffer since this was last asked.
    pub(super) fn take_sums(&mut self) -> Vec<Vec<Segment>> {
        self.growths.iter_mut().map(|buffer| std::mem::take(&mut buffer.pending)).collect()
    }

    /// Puts the head, the rows of kept columns, the other buffers and the end of the stream where they belong, and begins
    /// the next file. A file without rows is only its head.
    pub(super) fn complete(
        &mut self,
        head: &[u8],
        rows: usize,
        kept: Option<(&Kept, &Range<u64>)>,
    ) -> Result<Complete> {
        let first = self.layout.first;
        let main = self.growths.get_mut(first).map(std::mem::take).unwrap_or_default();
        let room = if rows > 0 { self.layout.room } else { head.len() as u64 };
        if head.len() as u64 != room {
            return Err(Error::Internal("the head of a file needs other room than was left for it"));
        }
        let sums = std::mem::replace(&mut self.sums, SumsBehind::new(self.layout.room));
        let (file, sums) = match main.file {
            Some(file) => (file, sums),
            None => (self.create(room)?, SumsBehind::new(room)),
        };
        let mut tail = Tail { file, sums, length: room + main.length, sync: self.layout.sync, untold: 0 };
        tail.append(write::padding(main.length))?;
        if rows > 0 {
            if let Some((kept, rows)) = kept {
                kept.copy(rows, &mut |bytes| tail.append(bytes))?;
            }
            for buffer in (0..self.layout.count).filter(|&buffer| buffer != first) {
                let length = self.growths.get(buffer).map_or(0, |buffer| buffer.length);
                if length > 0 {
                    let (path, start) = self.layout.place(self.shard, buffer);
                    read_pieces(&path, start, length, |piece| tail.append(piece))?;
                    tail.append(write::padding(length))?;
                }
            }
        }
        tail.append(write::END)?;
        let Tail { mut file, sums, length, .. } = tail;
        file.replace(0, head)?;
        if self.layout.sync {
            file.start_writing();
        }
        Ok(Complete { file, bytes: length, sums: sums.finish(head) })
    }

    /// Begins the buffers of another file. The spools are removed at once, or kept for the journal's sake.
    pub(super) fn next(&mut self, shard: usize, journaled: bool) -> Result<()> {
        for (buffer, growth) in self.growths.iter_mut().enumerate() {
            if growth.file.is_some() {
                self.spent.push(self.layout.place(self.shard, buffer).0);
            }
            *growth = Growth::default();
        }
        self.shard = shard;
        self.untold = 0;
        if journaled { Ok(()) } else { self.forget_spent() }
    }

    /// Whether there are spools of complete files.
    pub(super) fn has_spent(&self) -> bool {
        !self.spent.is_empty()
    }

    /// Removes the spools of complete files.
    pub(super) fn forget_spent(&mut self) -> Result<()> {
        for path in self.spent.drain(..) {
            self.layout.storage.unlink(&path)?;
        }
        Ok(())
    }

    /// The file itself, with room for its head.
    fn create(&self, room: u64) -> Result<Box<dyn StorageFile>> {
        let path = shard_path(&self.layout.folder, self.shard);
        let mut file = self.layout.storage.create_new(&path, self.layout.mode)?;
        file.write_all(&vec![0; room as usize])?;
        Ok(file)
    }
}

impl Sink for Buffers {
    type Error = Error;

    fn append(&mut self, buffer: usize, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let is_first = buffer == self.layout.first;
        if self.growths.get(buffer).is_some_and(|growth| growth.file.is_none()) {
            let file = if is_first {
                self.create(self.layout.room)?
            } else {
                self.layout.storage.create_new(&self.layout.place(self.shard, buffer).0, 0o600)?
            };
            if let Some(growth) = self.growths.get_mut(buffer) {
                growth.file = Some(file);
            }
        }
        let growth = self.growths.get_mut(buffer);
        let Some(Growth { file: Some(file), length, pending }) = growth else {
            return Err(Error::Internal("there is no such buffer"));
        };
        file.write_all(bytes)?;
        *length += bytes.len() as u64;
        pending.push((bytes.len() as u64, sum64(bytes)));
        if is_first {
            self.sums.update(bytes);
            self.untold += bytes.len() as u64;
            if self.layout.sync && self.untold >= AHEAD {
                file.start_writing();
                self.untold = 0;
            }
        }
        Ok(())
    }
}

/// A file that is being completed.
struct Tail {
    file: Box<dyn StorageFile>,
    sums: SumsBehind,
    length: u64,
    /// Whether the file is going to be synced.
    sync: bool,
    /// Bytes that the disk has not been told of.
    untold: u64,
}

impl Tail {
    /// Sums and writes pieces that stay in the processor's cache in between. Summed first: a mapped file that was cut
    /// short then reads as zeros and is found out, while the system refuses to write from it.
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(PIECE) {
            self.sums.update(piece);
            self.file.write_all(piece)?;
            self.length += piece.len() as u64;
            self.untold += piece.len() as u64;
            if self.sync && self.untold >= AHEAD {
                self.file.start_writing();
                self.untold = 0;
            }
        }
        Ok(())
    }
}

/// Sums of the chunks of a file whose head becomes known last. The bytes that share a chunk with it are kept.
#[derive(Debug, Default)]
struct SumsBehind {
    kept: Vec<u8>,
    /// How many are to be kept.
    most: usize,
    rest: ChunkSums,
}

impl SumsBehind {
    fn new(room: u64) -> Self {
        let most = room.next_multiple_of(CHUNK as u64) - room;
        Self { kept: Vec::new(), most: most as usize, rest: ChunkSums::default() }
    }

    fn update(&mut self, bytes: &[u8]) {
        let (kept, rest) = bytes.split_at(bytes.len().min(self.most - self.kept.len()));
        self.kept.extend(kept);
        self.rest.update(rest);
    }

    fn finish(self, head: &[u8]) -> Vec<u64> {
        let mut chunks = ChunkSums::default();
        chunks.update(head);
        chunks.update(&self.kept);
        let mut sums = chunks.finish();
        sums.extend(self.rest.finish());
        sums
    }
}

/// Reads `length` bytes of a file from `start` on, piece by piece.
fn read_pieces(
    path: &Path,
    start: u64,
    length: u64,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let io = |source| quiver_io::Error { op: "reading", path: path.to_path_buf(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut piece = vec![0; PIECE.min(length as usize)];
    let (mut at, end) = (start, start + length);
    while at < end {
        let now = piece.len().min((end - at) as usize);
        quiver_io::read_exact_at(&file, &mut piece[..now], at).map_err(io)?;
        take(&piece[..now])?;
        at += now as u64;
    }
    Ok(())
}
