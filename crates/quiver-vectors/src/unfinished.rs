//! Folders whose making was interrupted, and how long they stay.

use std::path::Path;
use std::time::Duration;

use quiver_io::Disk;

use crate::error::Result;

/// How long an unfinished folder can be taken up again.
const KEPT: Duration = Duration::from_hours(24);
/// How long a folder without a lock may belong to a running program of others.
const FOREIGN: Duration = Duration::from_hours(1);

/// Removes unfinished folders in `root` that nobody is writing: own ones that are a day old, others after an hour
/// without a change. How many.
pub fn sweep(root: &Path) -> Result<usize> {
    let is_recent = |folder: &Path| {
        let journal = std::fs::metadata(folder.join("journal")).and_then(|facts| facts.modified());
        journal.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < KEPT))
    };
    Ok(quiver_dataset::sweep(&Disk, root, FOREIGN, is_recent)?)
}
