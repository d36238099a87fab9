//! New files: written and digested in one pass under a temporary name, synced, then renamed to a name that was
//! never used before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::digest::{Digester, Digests};
use crate::error::{Error, Result};
use crate::identity::random_u64;
use crate::storage::{FileFacts, Storage, StorageFile};

/// Bytes after which hashing moves to a thread of its own, beside the writes.
const PIPELINE_FROM: u64 = 4 << 20;
/// Pieces that may wait for the hashing thread.
const PIPELINE_DEPTH: usize = 4;

/// A file being written, locked from the start, so that a sweep of abandoned files leaves it alone. Dropped
/// without being published, it is removed.
#[derive(Debug)]
pub struct TempObject {
    temporary: Temporary,
    digest: Hashing,
    written: u64,
}

#[derive(Debug)]
enum Hashing {
    Here(Box<Digester>),
    Beside { pieces: SyncSender<Vec<u8>>, thread: JoinHandle<Digests> },
}

#[derive(Debug)]
struct Temporary {
    storage: Arc<dyn Storage>,
    file: Option<Box<dyn StorageFile>>,
    path: PathBuf,
    published: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            let _ = self.storage.unlink(&self.path);
        }
    }
}

impl TempObject {
    /// Makes a temporary file in `folder`, with the permission bits that the published file will have.
    pub fn create(storage: Arc<dyn Storage>, folder: &Path, mode: u32) -> Result<Self> {
        loop {
            let path = folder.join(format!("{:016x}", random_u64()));
            let file = storage.create_new(&path, mode)?;
            let mut temporary = Temporary { storage: Arc::clone(&storage), file: Some(file), path, published: false };
            if let Some(file) = &mut temporary.file {
                // Between making and locking a sweep may have taken the file: then it has no name any more.
                if file.lock()? && file.facts()?.nlink > 0 {
                    return Ok(Self { temporary, digest: Hashing::Here(Box::default()), written: 0 });
                }
            }
        }
    }

    /// Appends.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.written += bytes.len() as u64;
        if self.written > PIPELINE_FROM
            && let Hashing::Here(digester) = &mut self.digest
        {
            self.digest = beside(std::mem::take(digester));
        }
        match &mut self.digest {
            Hashing::Here(digester) => digester.update(bytes),
            // A hashing thread that is gone is noticed when it is joined.
            Hashing::Beside { pieces, .. } => drop(pieces.send(bytes.to_vec())),
        }
        self.temporary.file()?.write_all(bytes)
    }

    /// Ends writing; `sync` makes the contents durable.
    pub fn seal(mut self, sync: bool) -> Result<Sealed> {
        if sync {
            self.temporary.file()?.sync()?;
        }
        let digests = match self.digest {
            Hashing::Here(digester) => digester.finish(),
            Hashing::Beside { pieces, thread } => {
                drop(pieces);
                thread.join().map_err(|_| Error {
                    op: "digesting",
                    path: self.temporary.path.clone(),
                    source: std::io::Error::other("the hashing thread failed"),
                })?
            }
        };
        Ok(Sealed { temporary: self.temporary, digests })
    }
}

fn beside(mut digester: Digester) -> Hashing {
    let (pieces, arriving): (SyncSender<Vec<u8>>, Receiver<Vec<u8>>) = sync_channel(PIPELINE_DEPTH);
    let thread = std::thread::spawn(move || {
        for piece in arriving {
            digester.update(&piece);
        }
        digester.finish()
    });
    Hashing::Beside { pieces, thread }
}

impl Temporary {
    fn file(&mut self) -> Result<&mut Box<dyn StorageFile>> {
        let path = &self.path;
        self.file.as_mut().ok_or_else(|| Error {
            op: "writing",
            path: path.clone(),
            source: std::io::Error::other("the file is closed"),
        })
    }
}

/// A file that is complete under its temporary name.
#[derive(Debug)]
pub struct Sealed {
    temporary: Temporary,
    digests: Digests,
}

impl Sealed {
    /// Digests of what was written.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// Gives the file its name, which must be free. When it is not, the file comes back to be tried with another.
    pub fn publish(mut self, to: &Path) -> std::result::Result<Published, (Error, Option<Self>)> {
        match self.temporary.storage.rename_new(&self.temporary.path, to) {
            Ok(()) => {
                self.temporary.published = true;
                let file = self.temporary.file.take();
                Ok(Published { file, path: to.to_path_buf() })
            }
            Err(error) => Err((error, Some(self))),
        }
    }
}

/// A published file, still locked: until the catalog names it, only the lock tells it from an abandoned one.
#[derive(Debug)]
pub struct Published {
    file: Option<Box<dyn StorageFile>>,
    path: PathBuf,
}

impl Published {
    /// Facts of the file.
    pub fn facts(&self) -> Result<FileFacts> {
        match &self.file {
            Some(file) => file.facts(),
            None => Err(Error {
                op: "looking at",
                path: self.path.clone(),
                source: std::io::Error::other("the file is closed"),
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::disk::Disk;

    fn temp(folder: &Path) -> TempObject {
        TempObject::create(Arc::new(Disk), folder, 0o400).unwrap()
    }

    #[test]
    fn a_large_file_is_digested_beside_the_writes_with_the_same_result() {
        let folder = tempfile::tempdir().unwrap();
        let piece: Vec<u8> = (0..1_000_003_u32).map(|i| (i % 253) as u8).collect();
        let mut object = temp(folder.path());
        let mut digester = Digester::new();
        for _ in 0..9 {
            object.write(&piece).unwrap();
            digester.update(&piece);
        }
        let sealed = object.seal(true).unwrap();
        assert_eq!(*sealed.digests(), digester.finish());
        let target = folder.path().join("object");
        let published = sealed.publish(&target).unwrap();
        assert_eq!(published.facts().unwrap().mode, 0o400);
        assert_eq!(std::fs::metadata(target).unwrap().len(), 9 * 1_000_003);
    }

    #[test]
    fn a_taken_name_is_refused_and_another_serves() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("object");
        std::fs::write(&target, b"old").unwrap();
        let (error, sealed) = temp(folder.path()).seal(false).unwrap().publish(&target).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&target).unwrap(), b"old");
        sealed.unwrap().publish(&folder.path().join("other")).unwrap();
    }

    #[test]
    fn given_up_it_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut object = temp(folder.path());
        object.write(b"x").unwrap();
        drop(object);
        drop(temp(folder.path()).seal(false).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn it_is_locked_until_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("object");
        let published = temp(folder.path()).seal(false).unwrap().publish(&target).unwrap();
        let file = std::fs::File::open(&target).unwrap();
        assert!(file.try_lock().is_err());
        drop(published);
        assert!(file.try_lock().is_ok());
    }
}
