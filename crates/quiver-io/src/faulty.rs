//! A disk whose calls fail on request, and which remembers every effect, so that tests can ask what a power cut at
//! any moment would have left. The model of the power cut is described in `power_cut.rs`.
//!
//! Only what passes the [`Storage`] seam is seen: memory maps, locks and the catalog's own files are not.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::power_cut::{Effect, FileId, Image};
use crate::storage::{DirEntry, FileFacts, Storage, StorageFile};

/// Calls that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// `create_new` and `reopen`.
    Create,
    /// `write_all` and `replace` of a file.
    Write,
    /// `sync` of a file.
    Sync,
    /// `lock` of a file. With `EAGAIN` it answers that somebody else has it.
    Lock,
    /// `open_read` and `read`.
    Read,
    /// `rename`, `rename_new` and `exchange`.
    Rename,
    /// `link`.
    Link,
    /// `unlink`.
    Unlink,
    /// `create_dir`.
    CreateDir,
    /// `sync_dir`.
    SyncDir,
    /// `remove_dir_all`.
    RemoveDir,
    /// `list`.
    List,
    /// `facts`, of a path or a file.
    Facts,
    /// `copy_or_reflink`.
    Copy,
}

/// A storage that fails and remembers. Clones share both.
#[derive(Debug, Clone)]
pub struct Faulty {
    inner: Arc<dyn Storage>,
    root: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    before: Image,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    effects: Vec<Effect>,
    files: FileId,
    calls: Vec<Op>,
    faults: Vec<Fault>,
}

#[derive(Debug, Clone)]
struct Fault {
    op: Op,
    /// Matching calls before the one that fails.
    skip: usize,
    /// Every one from there on.
    lasting: bool,
    /// Bytes that a write still writes.
    kept: usize,
    errno: i32,
}

impl Faulty {
    /// Over `inner`, remembering what happens in `root`, an existing folder whose present contents count as
    /// durable. Paths given to the storage must start with `root` to be remembered. Contents are kept in memory.
    pub fn new(inner: Arc<dyn Storage>, root: &Path) -> std::io::Result<Self> {
        let shared = Shared { before: Image::of(root)?, state: Mutex::default() };
        Ok(Self { inner, root: root.to_path_buf(), shared: Arc::new(shared) })
    }

    /// Makes one call fail with a system error, without an effect: the `nth` matching one from now on, from 1.
    pub fn fail(&self, op: Op, nth: usize, errno: i32) {
        self.add_fault(Fault { op, skip: nth.saturating_sub(1), lasting: false, kept: 0, errno });
    }

    /// Makes all matching calls fail from the `nth` on, until [`Faulty::heal`].
    pub fn fail_from(&self, op: Op, nth: usize, errno: i32) {
        self.add_fault(Fault { op, skip: nth.saturating_sub(1), lasting: true, kept: 0, errno });
    }

    /// Makes one write fail after its first `kept` bytes.
    pub fn tear(&self, nth: usize, kept: usize, errno: i32) {
        self.add_fault(Fault { op: Op::Write, skip: nth.saturating_sub(1), lasting: false, kept, errno });
    }

    /// Forgets all faults that were asked for.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// How often a call was made so far, failed ones included: the range of `nth` to try when a program is repeated.
    pub fn calls(&self, op: Op) -> usize {
        self.state().calls.iter().filter(|call| **call == op).count()
    }

    /// The present moment, for [`Faulty::power_cut_at`]: it counts effects.
    pub fn moment(&self) -> usize {
        self.state().effects.len()
    }

    /// Writes a tree that a power cut now could leave into the folder `into`, which is made. Each seed makes other
    /// choices; the same seed makes the same.
    pub fn power_cut(&self, seed: u64, into: &Path) -> std::io::Result<()> {
        self.power_cut_at(self.moment(), seed, into)
    }

    /// The same for a moment that has passed.
    pub fn power_cut_at(&self, moment: usize, seed: u64, into: &Path) -> std::io::Result<()> {
        let mut image = self.shared.before.clone();
        for effect in self.state().effects.iter().take(moment) {
            image.apply(effect);
        }
        image.write(seed, into)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Counts a call and fails it where that was asked for. The lock is kept until the call's effect is remembered,
    /// so that effects are remembered in the order in which they happened.
    fn enter(&self, op: Op, path: &Path) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        match state.enter(op) {
            None => Ok(state),
            Some(fault) => Err(failure(&fault, path)),
        }
    }

    fn relative(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.root).ok().map(Path::to_path_buf)
    }

    /// Remembers an effect on one path inside the root.
    fn remember(&self, state: &mut State, path: &Path, effect: impl FnOnce(PathBuf) -> Effect) {
        if let Some(path) = self.relative(path) {
            state.effects.push(effect(path));
        }
    }

    /// Remembers an effect on two paths inside the root.
    fn remember_pair(
        &self,
        state: &mut State,
        from: &Path,
        to: &Path,
        effect: impl FnOnce(PathBuf, PathBuf) -> Effect,
    ) {
        if let (Some(from), Some(to)) = (self.relative(from), self.relative(to)) {
            state.effects.push(effect(from, to));
        }
    }

    fn remember_file(&self, state: &mut State, path: &Path, mode: u32) -> FileId {
        state.files += 1;
        let file = state.files;
        self.remember(state, path, |path| Effect::Created { path, file, mode });
        file
    }
}

fn failure(fault: &Fault, path: &Path) -> Error {
    Error {
        op: "failing on request at",
        path: path.to_path_buf(),
        source: std::io::Error::from_raw_os_error(fault.errno),
    }
}

impl State {
    fn enter(&mut self, op: Op) -> Option<Fault> {
        self.calls.push(op);
        let mut due = None;
        self.faults.retain_mut(|fault| {
            if fault.op != op {
                return true;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return true;
            }
            due = Some(fault.clone());
            fault.lasting
        });
        due
    }
}

impl Storage for Faulty {
    fn create_new(&self, path: &Path, mode: u32) -> Result<Box<dyn StorageFile>> {
        let mut state = self.enter(Op::Create, path)?;
        let inner = self.inner.create_new(path, mode)?;
        let file = self.remember_file(&mut state, path, mode);
        drop(state);
        Ok(Box::new(FaultyFile { storage: self.clone(), inner, file, path: path.to_path_buf() }))
    }

    fn reopen(&self, path: &Path, length: u64) -> Result<Box<dyn StorageFile>> {
        let mut state = self.enter(Op::Create, path)?;
        let inner = self.inner.reopen(path, length)?;
        state.files += 1;
        let file = state.files;
        self.remember(&mut state, path, |path| Effect::Reopened { path, file, length });
        drop(state);
        Ok(Box::new(FaultyFile { storage: self.clone(), inner, file, path: path.to_path_buf() }))
    }

    fn open_read(&self, path: &Path) -> Result<File> {
        drop(self.enter(Op::Read, path)?);
        self.inner.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.enter(Op::Rename, from)?;
        self.inner.rename(from, to)?;
        self.remember_pair(&mut state, from, to, |from, to| Effect::Renamed { from, to });
        Ok(())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.enter(Op::Rename, from)?;
        self.inner.rename_new(from, to)?;
        self.remember_pair(&mut state, from, to, |from, to| Effect::Renamed { from, to });
        Ok(())
    }

    fn exchange(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.enter(Op::Rename, from)?;
        self.inner.exchange(from, to)?;
        self.remember_pair(&mut state, from, to, |from, to| Effect::Exchanged { from, to });
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> Result<()> {
        let mut state = self.enter(Op::Link, to)?;
        self.inner.link(from, to)?;
        self.remember_pair(&mut state, from, to, |from, to| Effect::Linked { from, to });
        Ok(())
    }

    fn unlink(&self, path: &Path) -> Result<()> {
        let mut state = self.enter(Op::Unlink, path)?;
        self.inner.unlink(path)?;
        self.remember(&mut state, path, |path| Effect::Unlinked { path });
        Ok(())
    }

    fn create_dir(&self, path: &Path, mode: u32) -> Result<bool> {
        let mut state = self.enter(Op::CreateDir, path)?;
        let missing: Vec<&Path> =
            path.ancestors().take_while(|folder| **folder != self.root && !folder.is_dir()).collect();
        let is_new = self.inner.create_dir(path, mode)?;
        for folder in missing.into_iter().rev() {
            self.remember(&mut state, folder, |path| Effect::FolderMade { path });
        }
        Ok(is_new)
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        let mut state = self.enter(Op::SyncDir, path)?;
        self.inner.sync_dir(path)?;
        self.remember(&mut state, path, |path| Effect::FolderSynced { path });
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        let mut state = self.enter(Op::RemoveDir, path)?;
        self.inner.remove_dir_all(path)?;
        self.remember(&mut state, path, |path| Effect::FolderRemoved { path });
        Ok(())
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        drop(self.enter(Op::List, path)?);
        self.inner.list(path)
    }

    fn facts(&self, path: &Path) -> Result<FileFacts> {
        drop(self.enter(Op::Facts, path)?);
        self.inner.facts(path)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        drop(self.enter(Op::Read, path)?);
        self.inner.read(path)
    }

    fn copy_or_reflink(&self, from: &Path, to: &Path, mode: u32) -> Result<()> {
        let mut state = self.enter(Op::Copy, to)?;
        self.inner.copy_or_reflink(from, to, mode)?;
        let bytes = self.inner.read(to)?;
        let file = self.remember_file(&mut state, to, mode);
        state.effects.push(Effect::Written { file, bytes });
        state.effects.push(Effect::Synced { file });
        Ok(())
    }
}

#[derive(Debug)]
struct FaultyFile {
    storage: Faulty,
    inner: Box<dyn StorageFile>,
    file: FileId,
    path: PathBuf,
}

impl StorageFile for FaultyFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let mut state = self.storage.state();
        let fault = state.enter(Op::Write);
        let kept = fault.as_ref().map_or(bytes.len(), |fault| fault.kept.min(bytes.len()));
        self.inner.write_all(&bytes[..kept])?;
        state.effects.push(Effect::Written { file: self.file, bytes: bytes[..kept].to_vec() });
        fault.map_or(Ok(()), |fault| Err(failure(&fault, &self.path)))
    }

    fn replace(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let mut state = self.storage.state();
        let fault = state.enter(Op::Write);
        let kept = fault.as_ref().map_or(bytes.len(), |fault| fault.kept.min(bytes.len()));
        self.inner.replace(at, &bytes[..kept])?;
        state.effects.push(Effect::Replaced { file: self.file, at, bytes: bytes[..kept].to_vec() });
        fault.map_or(Ok(()), |fault| Err(failure(&fault, &self.path)))
    }

    fn start_writing(&mut self) {
        self.inner.start_writing();
    }

    fn sync(&mut self) -> Result<()> {
        let mut state = self.storage.state();
        let synced = match state.enter(Op::Sync) {
            None => self.inner.sync(),
            Some(fault) => Err(failure(&fault, &self.path)),
        };
        let file = self.file;
        state.effects.push(if synced.is_ok() {
            Effect::Synced { file }
        } else {
            Effect::SyncFailed { file }
        });
        synced
    }

    fn lock(&mut self) -> Result<bool> {
        match self.storage.enter(Op::Lock, &self.path) {
            Ok(_) => self.inner.lock(),
            Err(error) if error.source.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn facts(&self) -> Result<FileFacts> {
        drop(self.storage.enter(Op::Facts, &self.path)?);
        self.inner.facts()
    }
}
