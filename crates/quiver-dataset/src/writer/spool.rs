//! The buffers of a growing file, each in a file of its own.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_io::{Storage, StorageFile, TempObject, sum64};
use quiver_tensor::arrow::{Sink, write};

use crate::error::{Error, Result};

/// Bytes copied at once.
const PIECE: usize = 1 << 20;

/// Bytes appended to a spool since the journal was last written: how many, and their xxh3-64.
pub(super) type Segment = (u64, u64);

#[derive(Debug)]
pub(super) struct Spools {
    storage: Arc<dyn Storage>,
    folder: PathBuf,
    shard: usize,
    buffers: Vec<Spool>,
    /// Files of shards that are complete but not in the journal yet.
    closed: Vec<PathBuf>,
}

#[derive(Debug, Default)]
struct Spool {
    file: Option<Box<dyn StorageFile>>,
    length: u64,
    /// Sums of what was appended since the journal was last written, piece by piece.
    pending: Vec<Segment>,
}

/// The spool of one buffer.
pub(super) fn spool_path(folder: &Path, shard: usize, buffer: usize) -> PathBuf {
    folder.join(format!("{shard:05}-{buffer}.spool"))
}

impl Spools {
    /// Without a file until something is appended.
    pub(super) fn new(storage: Arc<dyn Storage>, folder: &Path, shard: usize, buffers: usize) -> Self {
        let buffers = (0..buffers).map(|_| Spool::default()).collect();
        Self { storage, folder: folder.to_path_buf(), shard, buffers, closed: Vec::new() }
    }

    /// Bytes of each buffer.
    pub(super) fn lengths(&self) -> Vec<u64> {
        self.buffers.iter().map(|spool| spool.length).collect()
    }

    /// What was appended to each buffer since this was last asked.
    pub(super) fn take_sums(&mut self) -> Vec<Vec<Segment>> {
        self.buffers.iter_mut().map(|spool| std::mem::take(&mut spool.pending)).collect()
    }

    /// Appends all buffers to `file`, padded.
    pub(super) fn copy_into(&mut self, file: &mut TempObject) -> Result<()> {
        for buffer in 0..self.buffers.len() {
            let length = self.buffers.get(buffer).map_or(0, |spool| spool.length);
            if length > 0 {
                let path = spool_path(&self.folder, self.shard, buffer);
                read_pieces(&path, length, |piece| Ok(file.write(piece)?))?;
                file.write(write::padding(length))?;
            }
        }
        Ok(())
    }

    /// Begins the buffers of another file. The old ones are removed at once, or when the journal no longer needs
    /// them.
    pub(super) fn next(&mut self, shard: usize, journaled: bool) -> Result<()> {
        for (buffer, spool) in self.buffers.iter_mut().enumerate() {
            if spool.file.is_some() {
                self.closed.push(spool_path(&self.folder, self.shard, buffer));
            }
            *spool = Spool::default();
        }
        self.shard = shard;
        if journaled { Ok(()) } else { self.forget_closed() }
    }

    /// Removes the buffers of complete files.
    pub(super) fn forget_closed(&mut self) -> Result<()> {
        for path in self.closed.drain(..) {
            self.storage.unlink(&path)?;
        }
        Ok(())
    }
}

impl Sink for Spools {
    type Error = Error;

    fn append(&mut self, buffer: usize, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let path = spool_path(&self.folder, self.shard, buffer);
        let spool = self.buffers.get_mut(buffer).ok_or(Error::Internal("there is no such buffer"))?;
        let file = match &mut spool.file {
            Some(file) => file,
            none => none.insert(self.storage.create_new(&path, 0o600)?),
        };
        file.write_all(bytes)?;
        spool.length += bytes.len() as u64;
        spool.pending.push((bytes.len() as u64, sum64(bytes)));
        Ok(())
    }
}

/// Reads the first `length` bytes of a file, piece by piece.
pub(super) fn read_pieces(path: &Path, length: u64, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let io = |source| quiver_io::Error { op: "reading", path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut piece = vec![0; PIECE];
    let mut left = length;
    while left > 0 {
        let now = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
        file.read_exact(&mut piece[..now]).map_err(io)?;
        take(&piece[..now])?;
        left -= now as u64;
    }
    Ok(())
}
