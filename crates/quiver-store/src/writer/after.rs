//! What is left to do once a group is committed: files follow records, never the other way round.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::removals::Old;

/// A readable name to be pointed at an object.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    /// The object.
    pub object: PathBuf,
    /// The readable name.
    pub name: PathBuf,
}

/// Work that follows a commit.
#[derive(Debug, Default)]
pub struct After {
    /// Links to swap in.
    pub links: Vec<Link>,
    /// Readable names, and files beside them, to remove.
    pub unlink: Vec<PathBuf>,
    /// Folders to remove with all they hold.
    pub unlink_folders: BTreeSet<PathBuf>,
    /// Objects that no record names any more.
    pub objects: Vec<Old>,
    /// Metadata files to write.
    pub sidecars: Vec<(PathBuf, String)>,
    /// Slots whose usage belongs to an entry that is gone.
    pub reset_heat: Vec<u32>,
    /// Files of others that this group adopts in place.
    pub adopted: BTreeSet<PathBuf>,
    /// Namespaces whose index.json is out of date.
    pub dirty: BTreeSet<String>,
}

impl After {
    /// The namespace's index.json is out of date.
    pub fn mark_dirty(&mut self, namespace: &str) {
        if !self.dirty.contains(namespace) {
            self.dirty.insert(namespace.to_owned());
        }
    }

    /// Whether files are written or removed.
    pub fn has_files(&self) -> bool {
        !(self.unlink.is_empty()
            && self.unlink_folders.is_empty()
            && self.objects.is_empty()
            && self.sidecars.is_empty())
    }
}
