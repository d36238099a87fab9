//! Files read again to be compared with what was written: in parallel, at the speed of memory where the system still
//! has them there.

use std::fs::File;
use std::path::Path;

use crate::digest::{CHUNK, ChunkSums};
use crate::error::{Context, Error, Result};
use crate::os;

/// Bytes read at once: few enough to be summed while they are in the cache.
const PIECE: usize = 8 * CHUNK;
/// Fewest bytes that are worth a thread.
const BYTES_A_THREAD: u64 = 16 << 20;
/// More threads than this would wait for memory.
const MOST_THREADS: u64 = 4;

/// xxh3-64 of each 64 KiB of a file, as [`ChunkSums`] makes them. `should_stop` is asked every half MiB; none when it
/// says yes.
pub fn sums_of_file(path: &Path, should_stop: &(impl Fn() -> bool + Sync)) -> Result<Option<Vec<u64>>> {
    let file = File::open(path).during("opening", path)?;
    let length = file.metadata().during("looking at", path)?.len();
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let threads = (length / BYTES_A_THREAD).clamp(1, cores.min(MOST_THREADS));
    let part = length.div_ceil(threads).next_multiple_of(PIECE as u64);
    let sums = |thread: u64| {
        let start = (thread * part).min(length);
        sums_of_part(&file, path, start, (start + part).min(length), should_stop)
    };
    let parts: Vec<Result<Option<Vec<u64>>>> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || sums(thread))).collect();
        let own = sums(0);
        let failed = |_| {
            Err(Error {
                op: "reading",
                path: path.to_path_buf(),
                source: std::io::Error::other("a reading thread failed"),
            })
        };
        let others = others.into_iter().map(|other| other.join().unwrap_or_else(failed));
        std::iter::once(own).chain(others).collect()
    });
    let mut all = Vec::new();
    for part in parts {
        let Some(part) = part? else { return Ok(None) };
        all.extend(part);
    }
    Ok(Some(all))
}

fn sums_of_part(
    file: &File,
    path: &Path,
    start: u64,
    end: u64,
    should_stop: &impl Fn() -> bool,
) -> Result<Option<Vec<u64>>> {
    let mut sums = ChunkSums::default();
    let mut piece = vec![0; PIECE.min((end - start) as usize)];
    let mut at = start;
    while at < end {
        if should_stop() {
            return Ok(None);
        }
        let now = piece.len().min((end - at) as usize);
        os::read_exact_at(file, &mut piece[..now], at).during("reading", path)?;
        sums.update(&piece[..now]);
        at += now as u64;
    }
    Ok(Some(sums.finish()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_sums_of_its_bytes_however_many_threads_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 1, CHUNK, CHUNK + 1, 3 * PIECE, (3 * BYTES_A_THREAD) as usize + 12_345] {
            let bytes: Vec<u8> = (0..length).map(|i| (i / 7 % 251) as u8).collect();
            std::fs::write(&path, &bytes).unwrap();
            let mut sums = ChunkSums::default();
            sums.update(&bytes);
            assert!(sums_of_file(&path, &|| false).unwrap().unwrap() == sums.finish(), "{length}");
        }
        assert_eq!(sums_of_file(&path, &|| true).unwrap(), None);
        assert!(sums_of_file(&folder.path().join("none"), &|| false).is_err());
    }
}
