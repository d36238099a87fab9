//! Serving a batch of requests: the write lock, one transaction, what follows it, the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use quiver_io::{RangeLock, Storage};

use super::after::{After, Link};
use super::group::Group;
use super::ops::{Completion, NewValue, Op, Outcome};
use super::queue::Request;
use super::unnamed;
use crate::catalog::values;
use crate::engine::Engine;
use crate::error::{Code, Error, Result};

/// How long the other processes' writers are waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Requests of one transaction, and whom to tell.
pub struct Batch<'b> {
    ops: Vec<Op>,
    whom: Vec<Completion>,
    /// Those that can't be committed.
    refused: Vec<(Completion, Result<Outcome>)>,
    /// What is taken in while the transaction is open.
    following: &'b mut dyn Iterator<Item = Vec<Request>>,
}

impl<'b> Batch<'b> {
    /// `following` is asked for more until it has none, then the transaction is committed.
    pub fn new(
        engine: &Engine,
        requests: Vec<Request>,
        following: &'b mut dyn Iterator<Item = Vec<Request>>,
    ) -> Self {
        let mut batch = Self { ops: Vec::new(), whom: Vec::new(), refused: Vec::new(), following };
        batch.add(engine, requests);
        batch
    }

    fn add(&mut self, engine: &Engine, requests: Vec<Request>) {
        let failures = sync_folders(engine, &requests);
        for Request { op, done } in requests {
            let folder = object_folder(engine, &op);
            if let Some(error) = folder.and_then(|folder| failures.get(&folder)) {
                self.refused.push((done, Err(error.clone())));
            } else {
                self.ops.push(op);
                self.whom.push(done);
            }
        }
    }

    /// Takes in what follows; whether there was any.
    fn follow(&mut self, engine: &Engine) -> bool {
        let Some(requests) = self.following.next() else { return false };
        self.add(engine, requests);
        true
    }
}

/// Commits a batch once it is this process's turn, and answers it.
pub fn serve(engine: &Engine, lock: &RangeLock, batch: Batch<'_>) {
    if let Err(error) = lock_out_others(engine, lock) {
        return refuse(batch, &error);
    }
    let (after, answered) = serve_locked(engine, lock, batch);
    follow(engine, after);
    answered.tell();
}

/// Takes the lock that keeps writers of other processes out.
pub fn lock_out_others(engine: &Engine, lock: &RangeLock) -> Result<()> {
    if lock.lock_timeout(0, 1, true, LOCK_TIMEOUT)? {
        return Ok(());
    }
    let message = format!("another process has held the write lock for {} s", LOCK_TIMEOUT.as_secs());
    Err(Error::new(Code::LockTimeout, message).at(engine.root.locks().join("write")))
}

/// What requests came to, and whom to tell.
#[must_use]
pub struct Answered(Vec<(Completion, Result<Outcome>)>);

impl Answered {
    /// Tells them.
    pub fn tell(self) {
        for (done, answer) in self.0 {
            done(answer);
        }
    }
}

/// The same for who has the write lock, which is given up. What follows the commit is left to the caller.
pub fn serve_locked(engine: &Engine, lock: &RangeLock, mut batch: Batch<'_>) -> (After, Answered) {
    let mut after = After::default();
    let answers = match commit(engine, &mut batch, &mut after) {
        Ok(answers) => answers,
        // One request may have spoilt the transaction for all: each gets one of its own.
        Err(_) if batch.ops.iter().map(Op::weight).sum::<usize>() > 1 => std::mem::take(&mut batch.ops)
            .into_iter()
            .map(|op| commit_alone(engine, op, &mut after))
            .collect(),
        Err(error) => vec![Err(error)],
    };
    // Names follow under the lock: nobody else may take a name that is about to be swapped for a foreign file.
    swap_names(engine, &after);
    let _ = lock.unlock(0, 1);
    // Locks on published files end here with the requests, if not before, after the commit that names them.
    drop(batch.ops);
    (after, Answered(batch.whom.into_iter().zip(answers).chain(batch.refused).collect()))
}

/// Applies and commits a request in a transaction of its own, several writes in one each.
fn commit_alone(engine: &Engine, op: Op, after: &mut After) -> Result<Outcome> {
    if let Op::PutMany(puts) = op {
        let alone = puts.into_iter().map(|put| commit_alone(engine, Op::Put(Box::new(put)), after));
        return Ok(Outcome::Many(alone.collect()));
    }
    let mut batch =
        Batch { ops: vec![op], whom: Vec::new(), refused: Vec::new(), following: &mut std::iter::empty() };
    commit(engine, &mut batch, after)?.pop().unwrap_or(Ok(Outcome::Done))
}

fn refuse(batch: Batch<'_>, error: &Error) {
    for (done, answer) in batch.refused {
        done(answer);
    }
    for done in batch.whom {
        done(Err(error.clone()));
    }
}

/// Applies and commits a batch in one transaction. `Err`: nothing was committed.
fn commit(engine: &Engine, batch: &mut Batch<'_>, after: &mut After) -> Result<Vec<Result<Outcome>>> {
    let (answers, more) = match attempt(engine, batch, values::LARGEST) {
        Err(error) if error.code == Code::DiskFull => {
            // Deletions need pages too: give back what is kept for this, and open anew what a failed write of a
            // meta page has locked up. Parts of values fit into any free page.
            engine.release_reserve();
            engine.reopen_catalog()?;
            attempt(engine, batch, values::PART)?
        }
        Err(error) if error.code == Code::Internal || error.code == Code::Io => {
            engine.reopen_catalog()?;
            return Err(error);
        }
        other => other?,
    };
    merge(after, more);
    Ok(answers)
}

/// The same once, with values in parts of so many bytes.
fn attempt(engine: &Engine, batch: &mut Batch<'_>, part: usize) -> Result<(Vec<Result<Outcome>>, After)> {
    let catalog = engine.catalog()?;
    let mut group = Group::begin(engine, &catalog, part)?;
    let mut answers = Vec::with_capacity(batch.ops.len());
    loop {
        for op in batch.ops.get_mut(answers.len()..).unwrap_or_default() {
            match group.apply(op) {
                Err(error) if error.spoils_transaction() => return Err(error),
                answer => answers.push(answer),
            }
        }
        if !batch.follow(engine) {
            return Ok((answers, group.commit()?));
        }
    }
}

/// Makes the names of published files durable before records name them, with one sync for each folder; the folders
/// where that failed. A later sync that succeeds says nothing of what was to be synced before.
fn sync_folders(engine: &Engine, requests: &[Request]) -> BTreeMap<PathBuf, Error> {
    if !engine.is_durable() {
        return BTreeMap::new();
    }
    let folders: BTreeSet<_> =
        requests.iter().filter_map(|request| object_folder(engine, &request.op)).collect();
    folders
        .into_iter()
        .filter_map(|folder| {
            let error = engine.storage.sync_dir(&folder).err()?;
            Some((folder, error.into()))
        })
        .collect()
}

/// Where the file of a write was published.
fn object_folder(engine: &Engine, op: &Op) -> Option<PathBuf> {
    let Op::Put(put) = op else { return None };
    let NewValue::File(file) = &put.value else { return None };
    let object = engine.root.object(file.content, &put.facts.extension);
    object.parent().map(Path::to_path_buf)
}

/// Adds what follows a later commit. What it took a name from gets none by an earlier one.
fn merge(into: &mut After, more: After) {
    into.links.retain(|link| !more.unlink.contains(&link.name));
    into.adopted.retain(|name| !more.unlink.contains(name));
    into.sidecars.retain(|(path, _)| !more.unlink.contains(path));
    into.links.extend(more.links);
    into.unlink.extend(more.unlink);
    into.unlink_folders.extend(more.unlink_folders);
    into.objects.extend(more.objects);
    into.sidecars.extend(more.sidecars);
    into.reset_heat.extend(more.reset_heat);
    into.adopted.extend(more.adopted);
    into.dirty.extend(more.dirty);
}

/// Points readable names at the values that the commit named. The catalog is right already; what fails here is
/// made good by a sweep, so it is not the request's failure.
fn swap_names(engine: &Engine, after: &After) {
    let storage = engine.storage.as_ref();
    let linked: BTreeSet<&Path> = after.links.iter().map(|link| link.name.as_path()).collect();
    for path in &after.unlink {
        if !linked.contains(path.as_path()) && !after.adopted.contains(path) {
            let _ = storage.unlink(path);
        }
    }
    let failed: Vec<&Path> = after
        .links
        .iter()
        .filter(|link| swap_link(engine, storage, link).is_err())
        .map(|link| link.name.as_path())
        .collect();
    if !failed.is_empty() {
        let _ = unnamed::disown(engine, &failed);
    }
}

/// The rest that follows a commit: what nobody can mistake for anything else.
pub fn follow(engine: &Engine, after: After) {
    let storage = engine.storage.as_ref();
    let _ = engine.heat.reset(&after.reset_heat);
    for (path, text) in &after.sidecars {
        let _ = engine.replace_file(path, text.as_bytes());
    }
    for folder in &after.unlink_folders {
        let _ = storage.remove_dir_all(folder);
    }
    if engine.is_durable() {
        // A name that came back after a power cut would be taken for another program's file, and adopted.
        let folders: BTreeSet<&Path> = after.unlink.iter().filter_map(|path| path.parent()).collect();
        for folder in folders {
            let _ = storage.sync_dir(folder);
        }
    }
    for object in after.objects {
        engine.removals.remove(object);
    }
    engine.mark_dirty(after.dirty);
}

/// Points a readable name at an object: a link where the name is free, else a new link beside it, renamed over it.
/// Where links are not to be had, a copy.
pub(crate) fn swap_link(engine: &Engine, storage: &dyn Storage, link: &Link) -> Result<()> {
    if storage.link(&link.object, &link.name).is_ok() {
        return Ok(());
    }
    let folder = link.name.parent().unwrap_or(engine.root.path());
    storage.create_dir(folder, engine.modes.folder)?;
    let temporary = folder.join(format!(".quiver-{:016x}", quiver_io::random_u64()));
    if storage.link(&link.object, &temporary).is_err() {
        storage.copy_or_reflink(&link.object, &temporary, engine.modes.object)?;
    }
    if let Err(error) = storage.rename(&temporary, &link.name) {
        let _ = storage.unlink(&temporary);
        return Err(error.into());
    }
    // Renaming one link over another of the same file does nothing and leaves both.
    let _ = storage.unlink(&temporary);
    Ok(())
}
