//! From finished files to a published folder.

use std::borrow::Cow;
use std::path::Path;

use quiver_io::{Digester, ErrorKind, Storage, hex};
use quiver_tensor::arrow::features::features_of;

use super::check::{Check, Checking};
use super::journal::Journal;
use super::{Finished, FolderWriter, WriteOptions, shard_path};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::files::{self, DataFile, INFO, STATE, info_json, state_json};

const FAILED: Error = Error::Internal("writing a file failed");

impl FolderWriter {
    /// `unchecked` is the last file, where nobody has looked at it.
    pub(super) fn publish(
        mut self,
        unchecked: Option<Check>,
        extra: &[(String, Vec<u8>)],
        replace: bool,
        should_stop: &(impl Fn() -> bool + Sync),
    ) -> Result<Finished> {
        let folder = self.temporary.path().to_path_buf();
        let total = self.closed.len();
        let mut all = Digester::new();
        let mut data_files = Vec::with_capacity(total);
        for (shard, facts) in self.closed.iter().enumerate() {
            let filename = format!("data-{shard:05}-of-{total:05}.arrow");
            // A second name, so that an interrupted end can be taken up like any other moment.
            self.storage.link(&shard_path(&folder, shard), &folder.join(&filename))?;
            all.update(facts.xxh3.as_bytes());
            data_files.push(DataFile {
                filename,
                num_rows: Some(facts.rows),
                xxh3: Some(facts.xxh3.clone()),
                sha256: None,
            });
        }
        let mut fingerprint = hex(&all.finish().sha256);
        fingerprint.truncate(16);
        let mut files = vec![
            (STATE, Cow::from(state_json(&data_files, &fingerprint, None))),
            (INFO, Cow::from(info_json(features_of(&self.schema).as_ref()))),
        ];
        for (name, bytes) in extra {
            files::check_inside(&self.target, name)?;
            files.push((name, Cow::from(bytes)));
        }
        let checking = self.checking.take();
        // Each waits for the disk, and all wait together.
        std::thread::scope(|scope| {
            let (storage, options) = (self.storage.as_ref(), &self.options);
            let writing: Vec<_> = files
                .iter()
                .map(|(name, bytes)| (folder.join(name), bytes))
                .map(|(path, bytes)| scope.spawn(move || write_file(storage, options, &path, bytes)))
                .collect();
            let checked = unchecked.map_or(Ok(()), |check| check.run(should_stop));
            let written = writing.into_iter().map(|file| file.join().unwrap_or(Err(FAILED)));
            written.chain([checked, checking.map_or(Ok(()), Checking::end)]).collect::<Result<()>>()
        })?;
        let rows = Dataset::open(&folder)?.rows();
        if rows != self.rows {
            return Err(Error::damaged(
                &folder,
                format!("{} rows were written, {rows} are there", self.rows),
            ));
        }
        if should_stop() {
            return Err(Error::Aborted);
        }
        if let Err(error) = self.reveal(&folder, replace) {
            // Without its journal the folder can't be taken up.
            self.temporary.remove(self.storage.as_ref())?;
            return Err(error);
        }
        self.temporary.release(self.storage.as_ref())?;
        let shards = std::mem::take(&mut self.closed);
        Ok(Finished { folder: self.target.clone(), rows, shards, fingerprint })
    }

    fn reveal(&mut self, folder: &Path, replace: bool) -> Result<()> {
        self.remove_scaffolding(folder)?;
        if self.options.sync {
            self.storage.sync_dir(folder)?;
        }
        self.rename(folder, replace)
    }

    /// Removes all that does not belong to a dataset; the journal first, so that what is left is never taken up.
    fn remove_scaffolding(&mut self, folder: &Path) -> Result<()> {
        if self.journal.take().is_some() {
            self.storage.unlink(&Journal::path(folder))?;
        }
        self.buffers.forget_spent()?;
        for shard in 0..self.closed.len() {
            self.storage.unlink(&shard_path(folder, shard))?;
        }
        Ok(())
    }

    fn rename(&self, folder: &Path, replace: bool) -> Result<()> {
        let parent = folder.parent().unwrap_or(Path::new("."));
        let sync = |storage: &dyn Storage| {
            if self.options.sync { storage.sync_dir(parent) } else { Ok(()) }
        };
        match self.storage.rename_new(folder, &self.target) {
            Ok(()) => Ok(sync(self.storage.as_ref())?),
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
            Err(_) if !replace => Err(Error::Exists(self.target.clone())),
            Err(_) => {
                self.storage.exchange(folder, &self.target)?;
                sync(self.storage.as_ref())?;
                // Under the temporary name lies now what was replaced.
                Ok(self.storage.remove_dir_all(folder)?)
            }
        }
    }
}

fn write_file(storage: &dyn Storage, options: &WriteOptions, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = storage.create_new(path, options.file_mode)?;
    file.write_all(bytes)?;
    if options.sync {
        file.sync()?;
    }
    Ok(())
}
