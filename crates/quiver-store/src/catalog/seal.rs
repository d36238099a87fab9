//! Commits that are flushed once. LMDB flushes a commit's pages, then writes the meta page that names them and flushes
//! that, so that a meta page is never there without its pages. A sealed commit writes both and flushes once: behind the
//! meta page's fields lies a seal, which lists what the commit has written with a sum over it all. A power cut may leave
//! the meta page without its pages; then the sum disagrees, and the commit before, whose pages no commit overwrites as
//! long as it is one of the last two, is the last.
//!
//! Seal, little-endian, at byte 152 of a meta page: `"QVRSEAL1" | u64 transaction | u64 runs | u128 xxh3-128 of the meta
//! fields, the runs and the bytes they name | { u64 offset / 512 << 24 | length / 512 }*`. One of another transaction
//! than the page's stands for nothing.

use std::fs::File;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};

/// Where LMDB writes within a meta page at a commit, and how much.
pub const META_AT: u64 = 32;
/// Bytes of that.
pub const META_LEN: usize = 120;
/// No page is smaller.
const PAGE: u64 = 4_096;
const MAGIC: [u8; 8] = *b"QVRSEAL1";
const HEAD: usize = 8 + 8 + 8 + 16;
const SEAL_AT: u64 = META_AT + META_LEN as u64;
/// Runs that the page has room for.
const MOST: usize = (PAGE as usize - SEAL_AT as usize - HEAD) / 8;
const SECTOR: u64 = 512;
/// Offset of the transaction in the bytes that a commit writes.
const TRANSACTION: usize = META_LEN - 8;

/// What a commit without a seal writes in its place: a seal that was there must not be taken for its own.
pub const NO_SEAL: [u8; HEAD] = [0; HEAD];

/// What a commit has written so far.
#[derive(Default)]
pub struct Written {
    runs: Vec<u64>,
    sum: Xxh3,
    unfit: bool,
}

impl Written {
    /// The commit has written contiguous pieces from `offset` on.
    pub fn add<'b>(&mut self, offset: u64, pieces: impl Iterator<Item = &'b [u8]>) {
        let mut length = 0;
        for piece in pieces {
            self.sum.update(piece);
            length += piece.len() as u64;
        }
        self.unfit |= self.runs.len() == MOST
            || !offset.is_multiple_of(SECTOR)
            || !length.is_multiple_of(SECTOR)
            || length / SECTOR >= 1 << 24
            || offset / SECTOR >= 1 << 40;
        if !self.unfit {
            self.runs.push(((offset / SECTOR) << 24) | (length / SECTOR));
        }
    }

    /// Whether a seal has room for it all.
    pub fn fits(&self) -> bool {
        !self.unfit
    }

    /// The seal that follows the meta fields of the commit; none if those don't look as they should.
    pub fn seal(mut self, at: u64, meta: &[u8]) -> Option<Vec<u8>> {
        let transaction =
            meta.get(TRANSACTION..).filter(|_| meta.len() == META_LEN && at % PAGE == META_AT)?;
        let runs: Vec<u8> = self.runs.iter().flat_map(|run| run.to_le_bytes()).collect();
        self.sum.update(meta);
        self.sum.update(&runs);
        let mut seal = Vec::with_capacity(HEAD + runs.len());
        seal.extend_from_slice(&MAGIC);
        seal.extend_from_slice(transaction);
        seal.extend_from_slice(&(self.runs.len() as u64).to_le_bytes());
        seal.extend_from_slice(&self.sum.digest128().to_le_bytes());
        seal.extend_from_slice(&runs);
        Some(seal)
    }
}

/// Takes the last commit back where a power cut has left a part of it; whether it did. Only where no process commits
/// or has ended in a clean close since. A power cut leaves the commit before whole: where `is_sound` finds that it is
/// not, something else has happened, and all stays as it is.
pub fn settle(data: &Path, is_sound: impl FnOnce() -> bool) -> Result<bool> {
    if !data.exists() {
        return Ok(false);
    }
    let failed = |error: std::io::Error| Error::os("looking at the last commit", data, &error);
    let file = File::options().read(true).write(true).open(data).map_err(failed)?;
    let Some(page) = newest(&file).filter(|page| !is_whole(&file, *page)) else { return Ok(false) };
    let at = page + META_AT + TRANSACTION as u64;
    let Some(transaction) = bytes_at::<8>(&file, at) else { return Ok(false) };
    // No transaction: the other meta page is the newer one.
    quiver_io::write_all_at(&file, &[0; 8], at).map_err(failed)?;
    let sound = is_sound();
    if !sound {
        quiver_io::write_all_at(&file, &transaction, at).map_err(failed)?;
    }
    file.sync_data().map_err(failed)?;
    Ok(sound)
}

/// Whether the last commit is there in part only; for where nothing can be written.
pub fn is_torn(data: &Path) -> bool {
    File::open(data).is_ok_and(|file| newest(&file).is_some_and(|page| !is_whole(&file, page)))
}

/// Offset of the newer meta page.
fn newest(file: &File) -> Option<u64> {
    let page_size = u64::from(u32::from_le_bytes(bytes_at(file, 16 + 24)?));
    let transaction =
        |page: u64| Some(u64::from_le_bytes(bytes_at(file, page + META_AT + TRANSACTION as u64)?));
    // One that is not to be had counts as older; what is wrong with it is found out elsewhere.
    Some(if transaction(0)? >= transaction(page_size).unwrap_or(0) { 0 } else { page_size })
}

/// Whether all of the commit is there that the meta page at this offset belongs to.
fn is_whole(file: &File, page: u64) -> bool {
    let Some(meta) = bytes_at::<META_LEN>(file, page + META_AT) else { return true };
    let Some(head) = bytes_at::<HEAD>(file, page + SEAL_AT) else { return true };
    if head[..8] != MAGIC || head[8..16] != meta[TRANSACTION..] {
        return true;
    }
    same_sum(file, page, &meta, &head).unwrap_or(false)
}

fn same_sum(file: &File, page: u64, meta: &[u8], head: &[u8; HEAD]) -> Option<bool> {
    let count = u64::from_le_bytes(head[16..24].try_into().ok()?) as usize;
    if count > MOST {
        return None;
    }
    let mut runs = vec![0; count * 8];
    quiver_io::read_exact_at(file, &mut runs, page + SEAL_AT + HEAD as u64).ok()?;
    let length = file.metadata().ok()?.len();
    let mut sum = Xxh3::new();
    let mut bytes = Vec::new();
    for run in runs.as_chunks::<8>().0.iter().map(|run| u64::from_le_bytes(*run)) {
        let (offset, size) = ((run >> 24) * SECTOR, (run & 0xff_ffff) * SECTOR);
        // Before anything is allocated for it.
        if offset.checked_add(size)? > length {
            return None;
        }
        bytes.resize(size as usize, 0);
        quiver_io::read_exact_at(file, &mut bytes, offset).ok()?;
        sum.update(&bytes);
    }
    sum.update(meta);
    sum.update(&runs);
    Some(sum.digest128().to_le_bytes() == head[24..])
}

fn bytes_at<const LEN: usize>(file: &File, at: u64) -> Option<[u8; LEN]> {
    let mut bytes = [0; LEN];
    quiver_io::read_exact_at(file, &mut bytes, at).ok()?;
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A file of two meta pages and two others, the second meta page sealed over those.
    fn sealed(transaction: u64) -> Vec<u8> {
        let mut file = vec![7; 4 * PAGE as usize];
        file[40..44].copy_from_slice(&(PAGE as u32).to_le_bytes());
        file[144..152].copy_from_slice(&(transaction - 1).to_le_bytes());
        let at = (PAGE + META_AT) as usize;
        let mut meta = vec![3; META_LEN];
        meta[TRANSACTION..].copy_from_slice(&transaction.to_le_bytes());
        let mut written = Written::default();
        let pages = &file[2 * PAGE as usize..];
        written.add(2 * PAGE, pages.chunks(PAGE as usize));
        assert!(written.fits());
        let seal = written.seal(at as u64, &meta).unwrap();
        file[at..at + META_LEN].copy_from_slice(&meta);
        file[at + META_LEN..at + META_LEN + seal.len()].copy_from_slice(&seal);
        file
    }

    fn settled(bytes: &[u8]) -> (bool, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.mdb");
        std::fs::write(&path, bytes).unwrap();
        let torn = is_torn(&path);
        assert!(!settle(&path, || false).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "other damage is left to others");
        assert_eq!(settle(&path, || true).unwrap(), torn);
        assert!(!is_torn(&path), "what is left is whole");
        (torn, std::fs::read(&path).unwrap())
    }

    #[test]
    fn a_commit_that_is_all_there_stays() {
        let file = sealed(5);
        assert_eq!(settled(&file), (false, file));
    }

    #[test]
    fn one_of_which_anything_is_missing_is_taken_back() {
        for at in [2 * PAGE, 3 * PAGE + 511, PAGE + META_AT, PAGE + SEAL_AT + 24, PAGE + SEAL_AT + 40] {
            let mut file = sealed(5);
            file[at as usize] ^= 1;
            let (torn, left) = settled(&file);
            assert!(torn, "byte {at}");
            assert_eq!(left[PAGE as usize + 144..][..8], [0; 8]);
        }
        assert!(settled(&sealed(5)[..3 * PAGE as usize]).0, "a page beyond the end of the file");
    }

    #[test]
    fn a_seal_of_another_transaction_says_nothing() {
        let mut file = sealed(5);
        file[2 * PAGE as usize] ^= 1;
        file[PAGE as usize + 144] = 7;
        assert!(!settled(&file).0);
    }

    #[test]
    fn what_doesnt_fit_is_not_sealed() {
        let mut written = Written::default();
        let page = [1; PAGE as usize];
        for index in 0..MOST as u64 {
            written.add(index * 2 * PAGE, std::iter::once(&page[..]));
        }
        assert!(written.fits());
        written.add(0, std::iter::once(&page[..]));
        assert!(!written.fits());
        assert!(Written::default().seal(0, &[0; META_LEN]).is_none(), "no place of a meta page");
    }
}
