//! Writing headers. The members' bytes themselves stay with the caller, so that large arrays are not joined in memory.

use super::{
    CENTRAL_SIGNATURE, DEFLATED, END_SIGNATURE, LOCAL_LENGTH, LOCAL_SIGNATURE, Member, SEE_ZIP64,
    SEE_ZIP64_COUNT, STORED, UTF8_FLAG, ZIP64_END_LENGTH, ZIP64_END_SIGNATURE, ZIP64_EXTRA,
    ZIP64_LOCATOR_SIGNATURE,
};
use crate::error::{Error, Result};
use crate::layout::ALIGNMENT;

/// Id of the extra field that pads a stored member to its alignment; `PyTorch` uses the same.
const PADDING_EXTRA: [u8; 2] = *b"FB";
const PADDING_BYTE: u8 = b'Z';

/// 1980-01-01, the earliest date of the format: equal values make equal archives.
const DATE: u16 = 0x21;
const TIME: u16 = 0;

const PLAIN_VERSION: u16 = 20;
const ZIP64_VERSION: u16 = 45;

/// The header before a member's bytes. Stored bytes are padded to a multiple of [`ALIGNMENT`]. `member.offset` is
/// not read: it is `member.header_offset` plus the length of the result.
///
/// `BadValue` when the name is longer than 65,535 bytes.
pub fn local_header(member: &Member) -> Result<Vec<u8>> {
    let name_length = name_length(member)?;
    let wide = is_wide(member);
    let mut extra = Vec::new();
    if wide {
        extra.extend(ZIP64_EXTRA.to_le_bytes());
        extra.extend(16_u16.to_le_bytes());
        extra.extend(member.size.to_le_bytes());
        extra.extend(member.compressed_size.to_le_bytes());
    }
    if !member.deflated {
        pad(&mut extra, member.header_offset + (LOCAL_LENGTH + member.name.len()) as u64);
    }
    let narrow = |size: u64| if wide { SEE_ZIP64 } else { size as u32 };
    let mut bytes = LOCAL_SIGNATURE.to_vec();
    common_fields(&mut bytes, member, wide);
    bytes.extend(narrow(member.compressed_size).to_le_bytes());
    bytes.extend(narrow(member.size).to_le_bytes());
    bytes.extend(name_length.to_le_bytes());
    bytes.extend((extra.len() as u16).to_le_bytes());
    bytes.extend(member.name.as_bytes());
    bytes.extend(extra);
    Ok(bytes)
}

/// What follows the last member: the central directory, starting at `position`, and the end records.
pub fn directory(members: &[Member], position: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for member in members {
        central_entry(&mut bytes, member)?;
    }
    end_records(&mut bytes, members.len() as u64, position);
    Ok(bytes)
}

fn central_entry(bytes: &mut Vec<u8>, member: &Member) -> Result<()> {
    let local = member.header_offset;
    let name_length = name_length(member)?;
    let wide = is_wide(member) || local >= u64::from(SEE_ZIP64);
    let mut extra = Vec::new();
    if wide {
        extra.extend(ZIP64_EXTRA.to_le_bytes());
        extra.extend(24_u16.to_le_bytes());
        for value in [member.size, member.compressed_size, local] {
            extra.extend(value.to_le_bytes());
        }
    }
    let narrow = |value: u64| if wide { SEE_ZIP64 } else { value as u32 };
    bytes.extend(CENTRAL_SIGNATURE);
    bytes.extend(ZIP64_VERSION.to_le_bytes());
    common_fields(bytes, member, wide);
    bytes.extend(narrow(member.compressed_size).to_le_bytes());
    bytes.extend(narrow(member.size).to_le_bytes());
    bytes.extend(name_length.to_le_bytes());
    bytes.extend((extra.len() as u16).to_le_bytes());
    // No comment, first disk, no attributes.
    bytes.extend([0; 10]);
    bytes.extend(narrow(local).to_le_bytes());
    bytes.extend(member.name.as_bytes());
    bytes.extend(extra);
    Ok(())
}

/// From the version needed to the CRC: the same in local headers and in the directory.
fn common_fields(bytes: &mut Vec<u8>, member: &Member, wide: bool) {
    let flags = if member.name.is_ascii() { 0 } else { UTF8_FLAG };
    for field in [
        if wide { ZIP64_VERSION } else { PLAIN_VERSION },
        flags,
        if member.deflated { DEFLATED } else { STORED },
        TIME,
        DATE,
    ] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(member.crc.to_le_bytes());
}

fn end_records(bytes: &mut Vec<u8>, count: u64, position: u64) {
    let length = bytes.len() as u64;
    let wide = count >= u64::from(SEE_ZIP64_COUNT) || (position + length) >= u64::from(SEE_ZIP64);
    if wide {
        bytes.extend(ZIP64_END_SIGNATURE);
        // The record's length behind this field.
        bytes.extend((ZIP64_END_LENGTH as u64 - 12).to_le_bytes());
        bytes.extend(ZIP64_VERSION.to_le_bytes());
        bytes.extend(ZIP64_VERSION.to_le_bytes());
        bytes.extend([0; 8]);
        for value in [count, count, length, position] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(ZIP64_LOCATOR_SIGNATURE);
        bytes.extend([0; 4]);
        bytes.extend((position + length).to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
    }
    let count = if wide { SEE_ZIP64_COUNT } else { count as u16 };
    bytes.extend(END_SIGNATURE);
    bytes.extend([0; 4]);
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend((if wide { SEE_ZIP64 } else { length as u32 }).to_le_bytes());
    bytes.extend((if wide { SEE_ZIP64 } else { position as u32 }).to_le_bytes());
    bytes.extend([0; 2]);
}

/// Adds an extra field after which a multiple of the alignment is reached, counting from `start` plus what is there.
fn pad(extra: &mut Vec<u8>, start: u64) {
    const FIELD_HEADER: usize = 4;
    let end = start + extra.len() as u64;
    let mut padding = (end.next_multiple_of(ALIGNMENT as u64) - end) as usize;
    if padding == 0 {
        return;
    }
    if padding < FIELD_HEADER {
        padding += ALIGNMENT;
    }
    let fill = padding - FIELD_HEADER;
    extra.extend(PADDING_EXTRA);
    extra.extend((fill as u16).to_le_bytes());
    extra.resize(extra.len() + fill, PADDING_BYTE);
}

fn is_wide(member: &Member) -> bool {
    member.size.max(member.compressed_size) >= u64::from(SEE_ZIP64)
}

fn name_length(member: &Member) -> Result<u16> {
    u16::try_from(member.name.len())
        .map_err(|_| Error::bad_value("a member's name is too long for an archive"))
}
