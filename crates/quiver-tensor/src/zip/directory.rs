//! Reading the central directory.

use super::{
    CENTRAL_LENGTH, CENTRAL_SIGNATURE, DEFLATED, END_LENGTH, END_SIGNATURE, LOCAL_LENGTH, LOCAL_SIGNATURE,
    SEE_ZIP64, SEE_ZIP64_COUNT, STORED, ZIP64_END_LENGTH, ZIP64_END_SIGNATURE, ZIP64_EXTRA,
    ZIP64_LOCATOR_LENGTH, ZIP64_LOCATOR_SIGNATURE,
};
use crate::error::{Error, Result};

/// The end record may be followed by a comment of this length.
const LONGEST_COMMENT: usize = u16::MAX as usize;

/// One deflated byte stands for at most this many, by the format's construction.
const LARGEST_RATIO: u64 = 1032;

const ENCRYPTED_FLAG: u16 = 1;

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Any text, folders and all; never a path to write to unchecked.
    pub name: String,
    /// Deflated; else stored as it is.
    pub deflated: bool,
    /// CRC-32 of the member's own bytes.
    pub crc: u32,
    /// Where the member's local header starts, from the start of the archive.
    pub header_offset: u64,
    /// Where the stored bytes start.
    pub offset: u64,
    /// How many bytes are stored.
    pub compressed_size: u64,
    /// How many bytes the member has.
    pub size: u64,
}

/// The members of an archive in the order of its directory; of equal names the last, as Python reads them. Their
/// stored bytes lie within the archive and claim no more than they can inflate to; contents and CRCs are not checked.
///
/// `Corrupt` for bytes that are no whole archive, `Unsupported` for encryption and other ways to compress.
pub fn members(archive: &[u8]) -> Result<Vec<Member>> {
    let end = End::find(archive)?;
    let directory = slice(archive, end.start, end.length)?;
    let mut members: Vec<Member> = Vec::new();
    let mut rest = directory;
    for _ in 0..end.count {
        let (member, after) = read_entry(archive, rest)?;
        members.push(member);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(Error::corrupt("the archive's directory has more entries than it says"));
    }
    keep_last_of_each_name(&mut members);
    Ok(members)
}

fn keep_last_of_each_name(members: &mut Vec<Member>) {
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<bool> = members.iter().rev().map(|member| seen.insert(member.name.clone())).collect();
    members.retain(|_| kept.pop().unwrap_or(true));
}

/// Where the directory lies and how many entries it has.
struct End {
    start: u64,
    length: u64,
    count: u64,
}

impl End {
    fn find(archive: &[u8]) -> Result<Self> {
        let missing = || Error::corrupt("not a whole zip archive: its end record is missing");
        let from = archive.len().saturating_sub(END_LENGTH + LONGEST_COMMENT);
        let last = archive.len().checked_sub(END_LENGTH).ok_or_else(missing)?;
        let at = (from..=last).rev().find(|&at| Self::is_end(&archive[at..])).ok_or_else(missing)?;
        let record = &archive[at..];
        let end = Self {
            count: u64::from(u16_at(record, 10)?),
            length: u64::from(u32_at(record, 12)?),
            start: u64::from(u32_at(record, 16)?),
        };
        let beyond = end.count == u64::from(SEE_ZIP64_COUNT)
            || end.length == u64::from(SEE_ZIP64)
            || end.start == u64::from(SEE_ZIP64);
        let locator = at.checked_sub(ZIP64_LOCATOR_LENGTH).map(|start| &archive[start..at]);
        let end = match locator {
            Some(locator) if beyond && locator.starts_with(&ZIP64_LOCATOR_SIGNATURE) => {
                Self::zip64(archive, u64_at(locator, 8)?)?
            }
            _ => end,
        };
        if end.start.checked_add(end.length).is_none_or(|past| past > at as u64) {
            return Err(Error::corrupt("the archive's directory reaches beyond its end record"));
        }
        Ok(end)
    }

    /// A signature alone may occur in data; the comment must also end with the archive.
    fn is_end(bytes: &[u8]) -> bool {
        bytes.starts_with(&END_SIGNATURE)
            && u16_at(bytes, 20).is_ok_and(|comment| END_LENGTH + usize::from(comment) == bytes.len())
    }

    fn zip64(archive: &[u8], at: u64) -> Result<Self> {
        let record = slice(archive, at, ZIP64_END_LENGTH as u64)?;
        if !record.starts_with(&ZIP64_END_SIGNATURE) {
            return Err(Error::corrupt("the archive's zip64 end record is missing"));
        }
        Ok(Self { count: u64_at(record, 32)?, length: u64_at(record, 40)?, start: u64_at(record, 48)? })
    }
}

/// The entry at the start of `directory`, and what follows it.
fn read_entry<'a>(archive: &[u8], directory: &'a [u8]) -> Result<(Member, &'a [u8])> {
    if !directory.starts_with(&CENTRAL_SIGNATURE) {
        return Err(Error::corrupt("the archive's directory has fewer entries than it says"));
    }
    let (flags, method) = (u16_at(directory, 8)?, u16_at(directory, 10)?);
    let name_length = usize::from(u16_at(directory, 28)?);
    let extra_length = usize::from(u16_at(directory, 30)?);
    let comment_length = usize::from(u16_at(directory, 32)?);
    let variable = part(directory, CENTRAL_LENGTH, name_length + extra_length + comment_length)?;
    let (raw_name, extra) = (&variable[..name_length], &variable[name_length..name_length + extra_length]);
    let name = std::str::from_utf8(raw_name)
        .map_err(|_| Error::unsupported("a member's name is no UTF-8"))?
        .to_owned();
    let refuse = |error: Error| Err(error.with("member", &name));
    if flags & ENCRYPTED_FLAG != 0 {
        return refuse(Error::unsupported("the member is encrypted"));
    }
    if method != STORED && method != DEFLATED {
        return refuse(
            Error::unsupported("the member is neither stored nor deflated").with("method", method),
        );
    }
    let sizes = Sizes::read(directory, extra)?;
    let deflated = method == DEFLATED;
    if !deflated && sizes.size != sizes.compressed {
        return refuse(Error::corrupt("a stored member has two sizes"));
    }
    if deflated && sizes.size / LARGEST_RATIO > sizes.compressed {
        return refuse(Error::corrupt("the member claims to inflate to more than it can"));
    }
    let offset = data_offset(archive, sizes.local, raw_name)?;
    slice(archive, offset, sizes.compressed)?;
    let member = Member {
        deflated,
        crc: u32_at(directory, 16)?,
        header_offset: sizes.local,
        offset,
        compressed_size: sizes.compressed,
        size: sizes.size,
        name,
    };
    Ok((member, &directory[CENTRAL_LENGTH + variable.len()..]))
}

struct Sizes {
    size: u64,
    compressed: u64,
    local: u64,
}

impl Sizes {
    fn read(entry: &[u8], extra: &[u8]) -> Result<Self> {
        let compressed = u32_at(entry, 20)?;
        let size = u32_at(entry, 24)?;
        let local = u32_at(entry, 42)?;
        // The zip64 field holds only those that don't fit, in this order.
        let mut wide = zip64_field(extra).chunks_exact(8);
        let mut widen = |narrow: u32| -> Result<u64> {
            if narrow != SEE_ZIP64 {
                return Ok(u64::from(narrow));
            }
            let field = wide.next().ok_or_else(|| Error::corrupt("a member's 64-bit size is missing"))?;
            u64_at(field, 0)
        };
        Ok(Self { size: widen(size)?, compressed: widen(compressed)?, local: widen(local)? })
    }
}

fn zip64_field(mut extra: &[u8]) -> &[u8] {
    while let (Ok(id), Ok(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let Some(field) = extra.get(4..4 + usize::from(length)) else { break };
        if id == ZIP64_EXTRA {
            return field;
        }
        extra = &extra[4 + field.len()..];
    }
    &[]
}

/// Where a member's bytes start: behind its local header, whose own name and extra field decide its length.
fn data_offset(archive: &[u8], local: u64, name: &[u8]) -> Result<u64> {
    let header = slice(archive, local, LOCAL_LENGTH as u64)?;
    if !header.starts_with(&LOCAL_SIGNATURE) {
        return Err(Error::corrupt("a member's local header is missing"));
    }
    let (name_length, extra_length) = (u64::from(u16_at(header, 26)?), u64::from(u16_at(header, 28)?));
    let start = local + LOCAL_LENGTH as u64;
    if slice(archive, start, name_length)? != name {
        return Err(Error::corrupt("a member has two names"));
    }
    Ok(start + name_length + extra_length)
}

fn slice(archive: &[u8], start: u64, length: u64) -> Result<&[u8]> {
    let range = usize::try_from(start).ok().zip(usize::try_from(length).ok());
    range
        .and_then(|(start, length)| archive.get(start..start.checked_add(length)?))
        .ok_or_else(|| Error::corrupt("the archive ends before one of its parts does"))
}

fn part(bytes: &[u8], start: usize, length: usize) -> Result<&[u8]> {
    bytes.get(start..start + length).ok_or_else(|| Error::corrupt("the archive ends within a header"))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or_else(|| Error::corrupt("the archive ends within a header"))
}
