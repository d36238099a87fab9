//! The folders and files of a cache.

use std::path::{Path, PathBuf};

use crate::names;

/// Paths under one root.
#[derive(Debug, Clone)]
pub struct Root {
    path: PathBuf,
}

impl Root {
    /// The paths under `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
    /// The root itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The folder of everything that is the engine's own.
    pub fn engine(&self) -> PathBuf {
        self.path.join(".quiver")
    }
    /// Format and settings.
    pub fn format(&self) -> PathBuf {
        self.engine().join("format.json")
    }
    /// LMDB's folder.
    pub fn catalog(&self) -> PathBuf {
        self.engine().join("catalog")
    }
    /// LMDB's data file.
    pub fn data(&self) -> PathBuf {
        self.catalog().join("data.mdb")
    }
    /// LMDB's table of readers.
    pub fn reader_table(&self) -> PathBuf {
        self.catalog().join("lock.mdb")
    }
    /// What LMDB's data file was like when the last process closed it; absent while anybody may write.
    pub fn closed(&self) -> PathBuf {
        self.catalog().join("closed")
    }
    /// Which commit was flushed last.
    pub fn flushed(&self) -> PathBuf {
        self.catalog().join(crate::catalog::flushed::NAME)
    }
    /// Values as files.
    pub fn objects(&self) -> PathBuf {
        self.engine().join("objects")
    }
    /// The file of a value. Folders hold what was written within about four minutes (the upper 24 bits of an id
    /// are time), so that a burst of writes needs one folder synced.
    pub fn object(&self, content: u64, extension: &str) -> PathBuf {
        let name = format!("{content:016x}");
        self.objects().join(&name[..6]).join(format!("{name}.{extension}"))
    }
    /// Chunk sums of a large object.
    pub fn sums(&self, content: u64) -> PathBuf {
        let name = format!("{content:016x}");
        self.engine().join("sums").join(&name[..6]).join(name)
    }
    /// The stamp table.
    pub fn stamps(&self) -> PathBuf {
        self.engine().join("stamps")
    }
    /// The usage table.
    pub fn heat(&self) -> PathBuf {
        self.engine().join("heat")
    }
    /// Lock files.
    pub fn locks(&self) -> PathBuf {
        self.engine().join("locks")
    }
    /// Names of files that are used by path.
    pub fn leased(&self) -> PathBuf {
        self.engine().join("leased")
    }
    /// Unfinished writes.
    pub fn tmp(&self) -> PathBuf {
        self.engine().join("tmp")
    }
    /// What waits for deletion.
    pub fn trash(&self) -> PathBuf {
        self.engine().join("trash")
    }
    /// A few MiB to give back when the disk is full.
    pub fn reserve(&self) -> PathBuf {
        self.engine().join("reserve")
    }
    /// A namespace's folder.
    pub fn namespace(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
    /// Where a namespace keeps the values that had a name before.
    pub fn versions(&self, namespace: &str, name: &str) -> PathBuf {
        self.namespace(namespace).join(".versions").join(names::without_extension(name))
    }
}
