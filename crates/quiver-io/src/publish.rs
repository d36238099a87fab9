//! New files: written and digested in one pass under a temporary name, synced, then renamed to a name that was
//! never used before.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::digest::{Digester, Digests};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::random_u64;
use crate::os;
use crate::storage::{FileFacts, Storage, StorageFile};

/// Bytes after which hashing moves to a thread of its own, beside the writes.
const PIPELINE_FROM: u64 = 4 << 20;
/// Temporary files that may be lost to a sweep, one after the other, before making one is given up.
const ATTEMPTS: usize = 16;
/// Pieces that may wait for the hashing thread.
const PIPELINE_DEPTH: usize = 4;

/// A file being written, locked from the start, so that a sweep of abandoned files leaves it alone. Dropped
/// without being published, it is removed.
#[derive(Debug)]
pub struct TempObject {
    temporary: Temporary,
    digest: Hashing,
    written: u64,
    ahead: bool,
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
    #[allow(clippy::needless_pass_by_value, reason = "the temporary file keeps it")]
    pub fn create(storage: Arc<dyn Storage>, folder: &Path, mode: u32) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let path = folder.join(format!("{:016x}", random_u64()));
            let mut file = match storage.create_new(&path, mode) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                created => created?,
            };
            let held = hold(file.as_mut());
            let temporary =
                Temporary { storage: Arc::clone(&storage), file: Some(file), path, published: false };
            if held? {
                return Ok(Self {
                    temporary,
                    digest: Hashing::Here(Box::default()),
                    written: 0,
                    ahead: false,
                });
            }
        }
        Err(Error {
            op: "making a temporary file in",
            path: folder.to_path_buf(),
            source: std::io::Error::other("each one was taken away at once"),
        })
    }

    /// The same, to be synced in the end: the disk begins with each piece while it is digested.
    #[must_use]
    pub fn writing_ahead(self) -> Self {
        Self { ahead: true, ..self }
    }

    /// Appends. What is owned is not copied on its way to the hashing thread.
    pub fn write<'b>(&mut self, bytes: impl Into<Cow<'b, [u8]>>) -> Result<()> {
        let bytes = bytes.into();
        let before = self.written;
        self.written += bytes.len() as u64;
        let file = self.temporary.file()?;
        file.write_all(&bytes)?;
        if self.ahead {
            file.start_writing();
        }
        // Once, at the piece that passes the mark: without a thread the digest stays here.
        if before <= PIPELINE_FROM
            && self.written > PIPELINE_FROM
            && let Hashing::Here(digester) = &mut self.digest
        {
            self.digest = beside(std::mem::take(digester));
        }
        match &mut self.digest {
            Hashing::Here(digester) => digester.update(&bytes),
            // A hashing thread that is gone is noticed when it is joined.
            Hashing::Beside { pieces, .. } => drop(pieces.send(bytes.into_owned())),
        }
        Ok(())
    }

    /// Ends writing; `sync` makes the contents durable.
    pub fn seal(mut self, sync: bool) -> Result<Sealed> {
        if sync {
            self.temporary.file()?.sync()?;
        }
        let facts = self.temporary.file()?.facts()?;
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
        if facts.size != self.written || facts.size != digests.len {
            // A write failed half-way, and the caller went on.
            return Err(Error {
                op: "completing",
                path: self.temporary.path.clone(),
                source: std::io::Error::other("the file does not hold all that was written"),
            });
        }
        Ok(Sealed { temporary: self.temporary, digests, facts })
    }
}

/// Locks a file; false when somebody else was faster, or removed it before it was locked. Where the file
/// system has no locks the file counts as held: a sweep there goes by age.
pub fn hold(file: &mut dyn StorageFile) -> Result<bool> {
    match file.lock() {
        Ok(locked) => Ok(locked && file.facts()?.nlink > 0),
        Err(error) if os::has_no_locks(&error.source) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Goes on digesting on a thread of its own; or here, when the system has none to give.
fn beside(digester: Box<Digester>) -> Hashing {
    let (pieces, arriving) = sync_channel::<Vec<u8>>(PIPELINE_DEPTH);
    let mut theirs = digester.clone();
    let spawned = std::thread::Builder::new().name("quiver-digest".into()).spawn(move || {
        for piece in arriving {
            theirs.update(&piece);
        }
        theirs.finish()
    });
    match spawned {
        Ok(thread) => Hashing::Beside { pieces, thread },
        Err(_) => Hashing::Here(digester),
    }
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
    facts: FileFacts,
}

impl Sealed {
    /// Digests of what was written.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// Facts of the file, which its later name doesn't change.
    pub fn facts(&self) -> &FileFacts {
        &self.facts
    }

    /// Gives the file its name, which must be free. When it is not, the file comes back to be tried with another.
    #[allow(clippy::result_large_err, reason = "the file comes back to be published under another name")]
    pub fn publish(mut self, to: &Path) -> std::result::Result<Published, (Error, Option<Self>)> {
        match self.temporary.storage.rename_new(&self.temporary.path, to) {
            Ok(()) => {
                self.temporary.published = true;
                Ok(Published { _file: self.temporary.file.take() })
            }
            Err(error) => Err((error, Some(self))),
        }
    }
}

/// A published file, still locked: until the catalog names it, only the lock tells it from an abandoned one.
#[derive(Debug)]
pub struct Published {
    _file: Option<Box<dyn StorageFile>>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    #[cfg(unix)]
    use crate::faulty::{Faulty, Op};

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
        let facts = *sealed.facts();
        let _published = sealed.publish(&target).unwrap();
        let found = Disk.facts(&target).unwrap();
        assert!(found.has_mode(0o400) && found.size == 9 * 1_000_003);
        assert_eq!((facts.ino, facts.size, facts.mtime_ns), (found.ino, found.size, found.mtime_ns));
        assert_eq!((facts.allocated, facts.nlink), (found.allocated, found.nlink));
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
    #[cfg(unix)]
    fn a_write_that_failed_half_way_can_not_be_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let faulty = Faulty::new(Arc::new(Disk), folder.path()).unwrap();
        let mut object = TempObject::create(Arc::new(faulty.clone()), folder.path(), 0o400).unwrap();
        object.write(b"one").unwrap();
        faulty.tear(1, 1, libc::ENOSPC);
        assert_eq!(object.write(b"two").unwrap_err().kind(), ErrorKind::DiskFull);
        assert!(object.seal(false).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    #[cfg(unix)]
    fn a_failed_sync_publishes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let faulty = Faulty::new(Arc::new(Disk), folder.path()).unwrap();
        faulty.fail(Op::Sync, 1, libc::EIO);
        let object = TempObject::create(Arc::new(faulty), folder.path(), 0o400).unwrap();
        assert!(object.seal(true).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    #[cfg(unix)]
    fn a_temporary_that_somebody_else_locks_first_is_left_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let faulty = Faulty::new(Arc::new(Disk), folder.path()).unwrap();
        faulty.fail(Op::Lock, 1, libc::EAGAIN);
        let object = TempObject::create(Arc::new(faulty.clone()), folder.path(), 0o400).unwrap();
        assert_eq!((faulty.calls(Op::Create), std::fs::read_dir(folder.path()).unwrap().count()), (2, 1));
        drop(object);
        faulty.fail_from(Op::Lock, 1, libc::EAGAIN);
        assert!(TempObject::create(Arc::new(faulty), folder.path(), 0o400).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_temporary_that_a_sweep_took_before_it_was_locked_is_not_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut file = Disk.create_new(&path, 0o400).unwrap();
        assert!(hold(file.as_mut()).unwrap());
        Disk.unlink(&path).unwrap();
        assert!(!hold(file.as_mut()).unwrap());
    }

    #[test]
    #[cfg(unix)]
    fn a_file_system_without_locks_serves() {
        let folder = tempfile::tempdir().unwrap();
        let faulty = Faulty::new(Arc::new(Disk), folder.path()).unwrap();
        faulty.fail_from(Op::Lock, 1, libc::ENOLCK);
        assert!(TempObject::create(Arc::new(faulty.clone()), folder.path(), 0o400).is_ok());
        faulty.heal();
        faulty.fail_from(Op::Lock, 1, libc::EIO);
        assert!(TempObject::create(Arc::new(faulty), folder.path(), 0o400).is_err());
    }

    #[test]
    fn it_is_locked_until_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("object");
        let published = temp(folder.path()).seal(false).unwrap().publish(&target).unwrap();
        let file = std::fs::File::open(&target).unwrap();
        assert!(!os::try_lock_file(&file).unwrap());
        drop(published);
        assert!(os::try_lock_file(&file).unwrap());
    }
}
