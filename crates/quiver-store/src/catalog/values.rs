//! Values inside the catalog, in parts that fill one page each.
//!
//! LMDB gives a node beyond 2,038 bytes a run of pages of its own, and runs of several pages must be contiguous:
//! with values of mixed sizes coming and going, every allocation then searches the free list and the file grows
//! without end. In parts of exactly one page there are no runs to find, and any freed page fits any value.

use super::Databases;
use super::keys::value_key;
use super::lmdb::{Read, WriteTxn};
use crate::error::{Code, Error, Result};

/// Bytes of a part: a page without its header.
pub const PART: usize = 4_080;

/// The largest value that is kept inline.
pub const INLINE_LIMIT: usize = 16 * 1024;

/// The largest that is read: another version may have kept more inline.
pub const LARGEST: usize = 64 * 1024;

/// Writes a value under its content id, unless another one has it; whether it was written. Ids ascend, so it mostly
/// goes behind all others.
pub fn put(txn: &mut WriteTxn<'_>, db: &Databases, content: u64, value: &[u8]) -> Result<bool> {
    for (part, bytes) in value.chunks(PART).enumerate() {
        let key = value_key(content, part as u16);
        if txn.append(db.values, &key, bytes)? {
            continue;
        }
        if part > 0 {
            txn.put(db.values, &key, bytes)?;
        } else if !txn.insert(db.values, &key, bytes)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a value of `size` bytes into `out`, which is cleared first.
pub fn get(txn: &impl Read, db: &Databases, content: u64, size: u64, out: &mut Vec<u8>) -> Result<()> {
    out.clear();
    out.resize(checked_size(size)?, 0);
    read(txn, db, content, out)
}

/// The size that a record claims for a packed value, where it can be one.
pub fn checked_size(size: u64) -> Result<usize> {
    if size > LARGEST as u64 {
        return Err(Error::new(Code::Corrupt, format!("a packed value claims {size} bytes")));
    }
    Ok(size as usize)
}

/// Fills `out`, which has the value's size. The parts of a value are neighbours: it is searched for once.
pub fn read(txn: &impl Read, db: &Databases, content: u64, out: &mut [u8]) -> Result<()> {
    if out.len() <= PART {
        return match txn.get(db.values, &value_key(content, 0))? {
            Some(bytes) => fill(out, bytes),
            None if out.is_empty() => Ok(()),
            None => Err(lost()),
        };
    }
    let mut cursor = txn.cursor(db.values)?;
    let mut pair = cursor.seek(&value_key(content, 0))?;
    for (part, out) in out.chunks_mut(PART).enumerate() {
        match pair {
            Some((key, bytes)) if key == value_key(content, part as u16) => fill(out, bytes)?,
            _ => return Err(lost()),
        }
        pair = cursor.next()?;
    }
    Ok(())
}

fn fill(out: &mut [u8], bytes: &[u8]) -> Result<()> {
    if bytes.len() != out.len() {
        return Err(lost());
    }
    out.copy_from_slice(bytes);
    Ok(())
}

fn lost() -> Error {
    Error::new(Code::Corrupt, "a packed value is not in the catalog")
}

/// Removes a value of `size` bytes.
pub fn delete(txn: &mut WriteTxn<'_>, db: &Databases, content: u64, size: u64) -> Result<()> {
    for part in 0..(size as usize).div_ceil(PART) {
        txn.delete(db.values, &value_key(content, part as u16))?;
    }
    Ok(())
}

/// What a value of `size` bytes takes on disk: whole pages, its share of the tree above them, and its facts.
pub fn allocated(size: u64) -> u64 {
    let pages = if size <= 1_900 { 0 } else { size.div_ceil(PART as u64) };
    let rest = if size <= 1_900 { size } else { 0 };
    pages * 4_096 + rest + 256
}
