//! Values inside the catalog: small ones in their entry's record, others apart.
//!
//! A value in its record is found with its facts, by one search, and is written and removed with them: one page of
//! `entries` and those above it change, and none elsewhere.
//!
//! LMDB gives a node beyond 2,038 bytes a run of pages of its own, which must be contiguous: written by one call, and
//! flushed by one request. Where a disk is about full and no such run is left, a value goes in parts of exactly one page
//! (4,080 bytes), which fit into any free ones. Older versions wrote so what came with fewer than eight values in one
//! commit.

use super::Databases;
use super::keys::value_key;
use super::lmdb::{Read, WriteTxn};
use super::record::{Glance, Record};
use crate::error::{Code, Error, Result};

/// Bytes of a part: a page without its header.
pub const PART: usize = 4_080;

/// The largest value that is kept inline.
pub const INLINE_LIMIT: usize = 16 * 1024;

/// The largest that is read: another version may have kept more inline. In parts of so many bytes each lies whole.
pub const LARGEST: usize = 64 * 1024;

/// The largest value that its record holds.
pub const EMBEDDED_LIMIT: usize = 1_100;

/// The most bytes of key and record with such a value. Two of them and more have room in a page, after a digest and
/// the longer key of a kept version have been added too: LMDB puts what is beyond 2,030 bytes on pages of its own.
const ROW_LIMIT: usize = 1_900;

/// Whether the record of a key of `key` bytes has room for a value of `value` bytes.
pub fn fits(key: usize, record: &Record, value: usize) -> bool {
    value <= EMBEDDED_LIMIT && key + record.encoded_len(value) <= ROW_LIMIT
}

/// Writes a value in parts of `size` bytes under its content id, unless another one has it; whether it was written. Ids
/// ascend, so it mostly goes behind all others.
pub fn put(txn: &mut WriteTxn<'_>, db: &Databases, content: u64, value: &[u8], size: usize) -> Result<bool> {
    for (part, bytes) in value.chunks(size).enumerate() {
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

/// The size that a record claims for a packed value, where it can be one.
fn checked_size(size: u64) -> Result<usize> {
    if size > LARGEST as u64 {
        return Err(Error::new(Code::Corrupt, format!("a packed value claims {size} bytes")));
    }
    Ok(size as usize)
}

/// Reads the value of a packed entry into what `room` has for so many bytes, and compares it with its sum.
pub fn read<'v>(
    txn: &impl Read,
    db: &Databases,
    glance: &Glance<'_>,
    room: impl FnOnce(usize) -> &'v mut [u8],
) -> Result<()> {
    let out = room(checked_size(glance.size)?);
    match glance.value {
        Some(value) => fill(out, value)?,
        None => read_parts(txn, db, glance.content, out)?,
    }
    if glance.sum128.is_some_and(|sum| sum != quiver_io::sum128(out)) {
        return Err(Error::new(Code::ChecksumMismatch, "a packed value differs from its sum"));
    }
    Ok(())
}

/// Fills `out`, which has the value's size. It lies whole in its first part, or its parts are neighbours: it is searched
/// for once.
fn read_parts(txn: &impl Read, db: &Databases, content: u64, out: &mut [u8]) -> Result<()> {
    if out.len() <= PART {
        return match txn.get(db.values, &value_key(content, 0))? {
            Some(bytes) => fill(out, bytes),
            None if out.is_empty() => Ok(()),
            None => Err(lost()),
        };
    }
    let mut cursor = txn.cursor(db.values)?;
    let mut pair = cursor.seek(&value_key(content, 0))?;
    if let Some((key, bytes)) = pair
        && key == value_key(content, 0)
        && bytes.len() > PART
    {
        return fill(out, bytes);
    }
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

/// Removes what there is of a value of `size` bytes.
pub fn delete(txn: &mut WriteTxn<'_>, db: &Databases, content: u64, size: u64) -> Result<()> {
    for part in 0..(size as usize).div_ceil(PART) {
        if !txn.delete(db.values, &value_key(content, part as u16))? {
            break;
        }
    }
    Ok(())
}

/// What a value of `size` bytes takes on disk: whole pages, its share of the tree above them, and its facts. A page with
/// rows that came in any order is two thirds full.
pub fn allocated(size: u64) -> u64 {
    if size <= EMBEDDED_LIMIT as u64 {
        return (size + 150) * 3 / 2;
    }
    let pages = if size <= 1_900 { 0 } else { size.div_ceil(PART as u64) };
    let rest = if size <= 1_900 { size } else { 0 };
    pages * 4_096 + rest + 256
}
