//! Files of values that no record names any more. To remove a large one takes long, up to 1.4 ms a MB on a file system
//! that discards blocks at once, and nobody has to wait for it: a thread of its own does it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use quiver_io::{Storage, free_bytes};

use crate::pool::Pool;

/// Bytes from which on a file is left to the thread: a smaller one is gone about as soon as that is woken.
const LARGE: u64 = 256 << 10;
/// Files that may wait. More are removed by who finds it so: else closing the cache would take long.
const FILES: u64 = 64;
/// Bytes that may wait beside a file of any size.
const BYTES: u64 = 1 << 30;
/// What waits is at most this part of the free space, so that hardly a write fails for want of it.
const PART: u64 = 4;

/// A file to be removed.
#[derive(Debug, PartialEq, Eq)]
pub struct Old {
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
}

/// Removes files, large ones later.
#[derive(Debug)]
pub struct Removals {
    storage: Arc<dyn Storage>,
    thread: OnceLock<Pool>,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Removals {
    /// There is no thread before the first large file.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, thread: OnceLock::new(), waiting: Arc::default() }
    }

    /// Removes a file, if it is there; a large one soon after. What a process that ends leaves of them is swept.
    pub fn remove(&self, old: Old) {
        if old.size < LARGE || !self.has_room(&old) {
            let _ = self.storage.unlink(&old.path);
            return;
        }
        let (storage, waiting) = (Arc::clone(&self.storage), Arc::clone(&self.waiting));
        waiting.files.fetch_add(1, Ordering::Relaxed);
        waiting.bytes.fetch_add(old.size, Ordering::Relaxed);
        self.thread().spawn(move || {
            let _ = storage.unlink(&old.path);
            waiting.bytes.fetch_sub(old.size, Ordering::Relaxed);
            waiting.files.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// The same for one that most often has other names: a large one is left to the thread however much waits, as the
    /// caller may be JavaScript's.
    pub fn remove_name(&self, old: Old) {
        let storage = Arc::clone(&self.storage);
        let remove = move || drop(storage.unlink(&old.path));
        if old.size < LARGE {
            remove();
        } else {
            self.thread().spawn(remove);
        }
    }

    fn thread(&self) -> &Pool {
        self.thread.get_or_init(|| Pool::start("quiver-remove", 1))
    }

    /// Removes all that waits, and ends the thread. Later ones are removed by who asks.
    pub fn close(&self) {
        self.thread.get_or_init(|| Pool::start("quiver-remove", 0)).close();
    }

    fn has_room(&self, old: &Old) -> bool {
        let (files, bytes) =
            (self.waiting.files.load(Ordering::Relaxed), self.waiting.bytes.load(Ordering::Relaxed));
        let free = old.path.parent().and_then(|folder| free_bytes(folder).ok()).unwrap_or(0);
        let waiting = bytes.saturating_add(old.size);
        files < FILES && (files == 0 || waiting <= BYTES) && waiting <= free / PART
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::{Sender, channel};

    use quiver_io::Disk;

    use super::*;

    /// With a thread that does nothing before it is told to.
    fn held_up() -> (Removals, Sender<()>) {
        let removals = Removals::new(Arc::new(Disk));
        let (go, wait) = channel();
        removals.thread.get_or_init(|| Pool::start("test", 1)).spawn(move || {
            let _ = wait.recv();
        });
        (removals, go)
    }

    fn file(folder: &Path, name: &str, size: u64) -> Old {
        let path = folder.join(name);
        std::fs::File::create(&path).unwrap().set_len(size).unwrap();
        Old { path, size }
    }

    fn left(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_large_file_is_waited_for_by_nobody_and_gone_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (removals, go) = held_up();
        removals.remove(file(folder.path(), "large", LARGE));
        removals.remove(file(folder.path(), "small", LARGE - 1));
        assert!(folder.path().join("large").exists());
        assert!(!folder.path().join("small").exists());
        drop(go);
        removals.close();
        assert_eq!(left(folder.path()), 0);
        removals.remove(file(folder.path(), "late", LARGE));
        assert_eq!(left(folder.path()), 0, "after the end there is nobody to leave it to");
    }

    #[test]
    fn no_more_wait_than_are_soon_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (removals, go) = held_up();
        for index in 0..=FILES {
            removals.remove(file(folder.path(), &index.to_string(), LARGE));
        }
        assert_eq!(left(folder.path()), FILES as usize);
        drop(go);
        removals.close();
        let (removals, _go) = held_up();
        for name in ["first", "second"] {
            removals.remove(file(folder.path(), name, BYTES));
        }
        assert_eq!(left(folder.path()), 1, "one of any size, and no other beside it");
    }

    #[test]
    fn what_waits_is_a_part_of_the_free_space() {
        let folder = tempfile::tempdir().unwrap();
        let (removals, _go) = held_up();
        let free = free_bytes(folder.path()).unwrap();
        // A file of holes takes nothing of it.
        removals.remove(file(folder.path(), "huge", free / 2));
        assert_eq!(left(folder.path()), 0);
    }
}
