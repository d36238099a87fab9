//! Complete files read again and compared with what was written, and synced: beside the rows of the next file, or at the
//! end.

use std::path::PathBuf;
use std::thread::JoinHandle;

use quiver_io::StorageFile;

use crate::dataset::digest_of;
use crate::error::{Error, Result};

/// A complete file that nobody has looked at.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) file: Box<dyn StorageFile>,
    pub(super) path: PathBuf,
    pub(super) expected: String,
    pub(super) sync: bool,
}

impl Check {
    /// `Mismatch` when the file doesn't hold what was written.
    pub(super) fn run(mut self, should_stop: &(impl Fn() -> bool + Sync)) -> Result<()> {
        let (file, sync) = (self.file.as_mut(), self.sync);
        let (digest, synced) = std::thread::scope(|scope| {
            // The disk is waited for while memory is read.
            let syncing = scope.spawn(move || if sync { file.sync() } else { Ok(()) });
            let digest = digest_of(&self.path, should_stop);
            (digest, syncing.join().map_err(|_| Error::Internal("syncing a file failed")))
        });
        if digest? != self.expected {
            return Err(Error::Mismatch { path: self.path });
        }
        Ok(synced??)
    }
}

/// A check on a thread of its own.
#[derive(Debug)]
pub(super) struct Checking(JoinHandle<Result<()>>);

impl Checking {
    pub(super) fn start(check: Check) -> Result<Self> {
        let path = check.path.clone();
        let thread = std::thread::Builder::new().name("quiver-check".into()).spawn(|| check.run(&|| false));
        let failed = |source| quiver_io::Error { op: "starting a thread to check", path, source };
        Ok(Self(thread.map_err(failed)?))
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for it.
    pub(super) fn end(self) -> Result<()> {
        self.0.join().unwrap_or(Err(Error::Internal("checking a file failed")))
    }
}
