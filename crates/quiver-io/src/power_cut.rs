//! What a power cut may leave of a folder, told from the effects that reached it.
//!
//! The model is the least that file systems promise, weaker than any one of them:
//! - Bytes of a file are there once the file was synced. Bytes written since may be missing (the file is shorter),
//!   zero (its length reached the disk, its pages did not) or torn (some pages did).
//! - Bytes that a failed sync was to make durable stay in doubt for ever, as the system may have dropped them:
//!   syncing again and succeeding proves nothing.
//! - A name that was made, replaced or removed is so once its folder was synced; before, each such change may have
//!   happened or not, whatever became of the changes around it. A name never holds what it never held.
//! - A rename or an exchange happens as a whole, and is durable once the folder it went to was synced. Syncing a file does not
//!   make its name durable.
//! - Folders are durable when made, because [`Storage::create_dir`](crate::Storage::create_dir) syncs their parents.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::os;

/// Bytes that reach the disk together.
const PAGE: usize = 4_096;

/// A file, whatever its names.
pub type FileId = u64;

/// One effect on the folder. Paths are relative to it.
#[derive(Debug, Clone)]
pub enum Effect {
    /// A new, empty file.
    Created { path: PathBuf, file: FileId, mode: u32 },
    /// Bytes appended.
    Written { file: FileId, bytes: Vec<u8> },
    /// A file opened again, cut to its first bytes.
    Reopened { path: PathBuf, file: FileId, length: u64 },
    /// Bytes written over others.
    Replaced { file: FileId, at: u64, bytes: Vec<u8> },
    /// Contents made durable.
    Synced { file: FileId },
    /// Contents failed to be made durable.
    SyncFailed { file: FileId },
    /// A further name.
    Linked { from: PathBuf, to: PathBuf },
    /// A name gone.
    Unlinked { path: PathBuf },
    /// A file or folder under another name.
    Renamed { from: PathBuf, to: PathBuf },
    /// Two files or folders with each other's names.
    Exchanged { from: PathBuf, to: PathBuf },
    /// A new folder, durable.
    FolderMade { path: PathBuf },
    /// Names in a folder made durable.
    FolderSynced { path: PathBuf },
    /// A folder gone with all it held.
    FolderRemoved { path: PathBuf },
}

type NodeId = usize;
type Names = BTreeMap<OsString, NodeId>;

const ROOT: NodeId = 0;

#[derive(Debug, Clone)]
enum Node {
    Folder { now: Names, before: Names },
    File(Contents),
}

/// What is known of a file's bytes.
#[derive(Debug, Clone, Default)]
struct Contents {
    bytes: Vec<u8>,
    synced: usize,
    in_doubt: Vec<Range<usize>>,
    /// Written over others since the last sync.
    replaced: Vec<Range<usize>>,
    mode: u32,
}

/// A change of names: all of its parts happen, or none.
#[derive(Debug, Clone)]
struct Change {
    /// Whose sync makes it durable.
    folder: NodeId,
    parts: Vec<(NodeId, OsString, Option<NodeId>)>,
    durable: bool,
}

/// The folder as it was at some moment, with everything that was still in flight.
#[derive(Debug, Clone)]
pub struct Image {
    nodes: Vec<Node>,
    files: HashMap<FileId, NodeId>,
    changes: Vec<Change>,
}

impl Image {
    /// Of a folder on disk, all of it durable.
    pub fn of(folder: &Path) -> std::io::Result<Self> {
        let mut image = Self { nodes: Vec::new(), files: HashMap::new(), changes: Vec::new() };
        image.take(folder)?;
        Ok(image)
    }

    fn take(&mut self, folder: &Path) -> std::io::Result<NodeId> {
        let id = self.add(Node::Folder { now: Names::new(), before: Names::new() });
        let mut names = Names::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let node = if kind.is_dir() {
                self.take(&entry.path())?
            } else if kind.is_file() {
                let bytes = fs::read(entry.path())?;
                let mode = os::mode_of(&entry.metadata()?);
                self.add(Node::File(Contents { synced: bytes.len(), bytes, mode, ..Contents::default() }))
            } else {
                continue;
            };
            names.insert(entry.file_name(), node);
        }
        self.nodes[id] = Node::Folder { now: names.clone(), before: names };
        Ok(id)
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The next effect.
    pub fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Created { path, file, mode } => {
                let node = self.add(Node::File(Contents { mode: *mode, ..Contents::default() }));
                self.files.insert(*file, node);
                self.name(path, Some(node), false);
            }
            Effect::Written { file, bytes } => self.file(*file, |file| file.bytes.extend_from_slice(bytes)),
            Effect::Reopened { path, file, length } => {
                if let Some(node) = self.find(path) {
                    self.files.insert(*file, node);
                    self.file(*file, |contents| contents.cut(*length as usize));
                }
            }
            Effect::Replaced { file, at, bytes } => {
                self.file(*file, |contents| contents.replace(*at as usize, bytes));
            }
            Effect::Synced { file } => self.file(*file, Contents::make_durable),
            Effect::SyncFailed { file } => self.file(*file, |file| {
                file.in_doubt.push(file.synced..file.bytes.len());
                file.in_doubt.append(&mut file.replaced);
            }),
            Effect::Linked { from, to } => {
                if let Some(node) = self.find(from) {
                    self.name(to, Some(node), false);
                }
            }
            Effect::Unlinked { path } => self.name(path, None, false),
            Effect::Renamed { from, to } => self.rename(from, to),
            Effect::Exchanged { from, to } => self.exchange(from, to),
            Effect::FolderMade { path } => {
                let node = self.add(Node::Folder { now: Names::new(), before: Names::new() });
                self.name(path, Some(node), true);
            }
            Effect::FolderSynced { path } => {
                if let Some(folder) = self.find(path) {
                    for change in self.changes.iter_mut().filter(|change| change.folder == folder) {
                        change.durable = true;
                    }
                }
            }
            Effect::FolderRemoved { path } => self.remove(path),
        }
    }

    fn file(&mut self, file: FileId, change: impl FnOnce(&mut Contents)) {
        if let Some(Node::File(contents)) = self.files.get(&file).and_then(|node| self.nodes.get_mut(*node)) {
            change(contents);
        }
    }

    fn names(&self, folder: NodeId) -> Option<&Names> {
        match self.nodes.get(folder) {
            Some(Node::Folder { now, .. }) => Some(now),
            _ => None,
        }
    }

    fn find(&self, path: &Path) -> Option<NodeId> {
        path.iter().try_fold(ROOT, |folder, name| self.names(folder)?.get(name).copied())
    }

    fn place<'a>(&self, path: &'a Path) -> Option<(NodeId, &'a OsStr)> {
        Some((self.find(path.parent()?)?, path.file_name()?))
    }

    fn name(&mut self, path: &Path, node: Option<NodeId>, durable: bool) {
        if let Some((folder, name)) = self.place(path) {
            self.change(Change { folder, parts: vec![(folder, name.to_owned(), node)], durable });
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let (Some(node), Some(old), Some(new)) = (self.find(from), self.place(from), self.place(to)) else {
            return;
        };
        // Two names of one file: the system leaves both.
        if self.find(to) != Some(node) {
            let parts = vec![(old.0, old.1.to_owned(), None), (new.0, new.1.to_owned(), Some(node))];
            self.change(Change { folder: new.0, parts, durable: false });
        }
    }

    fn exchange(&mut self, from: &Path, to: &Path) {
        let places = self.place(from).zip(self.place(to));
        let nodes = self.find(from).zip(self.find(to));
        if let (Some((one, other)), Some((first, second))) = (places, nodes) {
            let parts =
                vec![(one.0, one.1.to_owned(), Some(second)), (other.0, other.1.to_owned(), Some(first))];
            self.change(Change { folder: other.0, parts, durable: false });
        }
    }

    fn remove(&mut self, path: &Path) {
        let inside: Vec<OsString> = self
            .find(path)
            .and_then(|folder| self.names(folder))
            .into_iter()
            .flat_map(|names| names.keys().cloned())
            .collect();
        for name in inside {
            self.remove(&path.join(name));
        }
        self.name(path, None, false);
    }

    fn change(&mut self, change: Change) {
        for (folder, name, node) in &change.parts {
            if let Some(Node::Folder { now, .. }) = self.nodes.get_mut(*folder) {
                set(now, name, *node);
            }
        }
        self.changes.push(change);
    }

    /// Writes one tree that a power cut at this moment could leave into `target`, which is made. The same seed
    /// makes the same choices.
    pub fn write(&self, seed: u64, target: &Path) -> std::io::Result<()> {
        let mut choice = Choice(seed);
        let mut left: HashMap<NodeId, Names> = HashMap::new();
        for (id, node) in self.nodes.iter().enumerate() {
            if let Node::Folder { before, .. } = node {
                left.insert(id, before.clone());
            }
        }
        for change in &self.changes {
            if change.durable || choice.coin() {
                for (folder, name, node) in &change.parts {
                    if let Some(names) = left.get_mut(folder) {
                        set(names, name, *node);
                    }
                }
            }
        }
        self.write_folder(ROOT, target, &left, &mut choice, &mut HashMap::new())
    }

    fn write_folder(
        &self,
        folder: NodeId,
        target: &Path,
        left: &HashMap<NodeId, Names>,
        choice: &mut Choice,
        written: &mut HashMap<NodeId, PathBuf>,
    ) -> std::io::Result<()> {
        fs::create_dir_all(target)?;
        for (name, node) in left.get(&folder).into_iter().flatten() {
            let path = target.join(name);
            match &self.nodes[*node] {
                Node::Folder { .. } => self.write_folder(*node, &path, left, choice, written)?,
                Node::File(contents) => {
                    if let Some(first) = written.get(node) {
                        fs::hard_link(first, &path)?;
                    } else {
                        fs::write(&path, contents.after_cut(choice))?;
                        os::set_mode_at(&path, contents.mode)?;
                        written.insert(*node, path);
                    }
                }
            }
        }
        Ok(())
    }
}

fn set(names: &mut Names, name: &OsStr, node: Option<NodeId>) {
    match node {
        Some(node) => drop(names.insert(name.to_owned(), node)),
        None => drop(names.remove(name)),
    }
}

impl Contents {
    fn cut(&mut self, length: usize) {
        self.bytes.truncate(length);
        self.synced = self.synced.min(length);
        for range in self.in_doubt.iter_mut().chain(&mut self.replaced) {
            *range = range.start.min(length)..range.end.min(length);
        }
    }

    fn replace(&mut self, at: usize, bytes: &[u8]) {
        if let Some(part) = self.bytes.get_mut(at..at + bytes.len()) {
            part.copy_from_slice(bytes);
            self.replaced.push(at..at + bytes.len());
        }
    }

    fn make_durable(&mut self) {
        self.synced = self.bytes.len();
        self.replaced.clear();
    }

    fn after_cut(&self, choice: &mut Choice) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let in_flight = self.synced..bytes.len();
        for range in self.in_doubt.iter().chain(&self.replaced).chain(std::iter::once(&in_flight)) {
            lose(&mut bytes[range.clone()], range.start, choice);
        }
        if choice.coin() {
            bytes.truncate(self.synced + choice.below(bytes.len() - self.synced + 1));
        }
        bytes
    }
}

/// Zeroes none, all or some pages of bytes that begin at `start` of their file.
fn lose(bytes: &mut [u8], start: usize, choice: &mut Choice) {
    match choice.below(3) {
        0 => {}
        1 => bytes.fill(0),
        _ => {
            let mut at = 0;
            while at < bytes.len() {
                let end = bytes.len().min(((start + at) / PAGE + 1) * PAGE - start);
                if choice.coin() {
                    bytes[at..end].fill(0);
                }
                at = end;
            }
        }
    }
}

/// A sequence of choices that depends on the seed alone (`SplitMix64`).
struct Choice(u64);

impl Choice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
