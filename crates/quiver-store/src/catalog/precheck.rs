//! What is looked at before LMDB opens a file. LMDB trusts its pages: a damaged one is undefined behaviour and a
//! short file SIGBUS, so the size and both meta pages are read first, without mapping anything.

use std::fs::File;
use std::path::Path;

use crate::error::{Code, Error, Result};

const MAGIC: u32 = 0xBEEF_C0DE;
const DATA_VERSION: u32 = 1;
/// Offset of the meta structure in its page: after the page header.
const META: usize = 16;

/// What the file looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is none, or an empty one.
    Absent,
    /// Both meta pages are sound and the file is as long as they say.
    Sound,
    /// Both meta pages are sound; the file is shorter than they say, which is damage unless all of the missing
    /// pages are free: the tree has to be walked to know.
    Short,
}

struct Meta {
    page_size: u32,
    last_page: u64,
    transaction: u64,
}

/// Looks at `data.mdb`. `Code::Corrupt` when LMDB must not be let near it.
pub fn check(data: &Path) -> Result<Verdict> {
    let file = match File::open(data) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Verdict::Absent),
        Err(error) => return Err(Error::os("opening the catalog", data, &error)),
    };
    let length = file.metadata().map_err(|error| Error::os("reading the catalog", data, &error))?.len();
    if length == 0 {
        return Ok(Verdict::Absent);
    }
    let corrupt = |why: String| Error::new(Code::Corrupt, format!("the catalog is damaged: {why}")).at(data);
    let first = meta(&file, 0).ok_or_else(|| corrupt("its first meta page is no meta page".into()))?;
    let page_size = u64::from(first.page_size);
    if !page_size.is_power_of_two() || !(512..=65_536).contains(&page_size) {
        return Err(corrupt(format!("it claims pages of {page_size} bytes")));
    }
    let second =
        meta(&file, page_size).ok_or_else(|| corrupt("its second meta page is no meta page".into()))?;
    if second.page_size != first.page_size {
        return Err(corrupt("its meta pages disagree".into()));
    }
    // The newer meta is the one LMDB reads; the older names a prefix of the same file.
    let newer = if first.transaction >= second.transaction { first } else { second };
    // They count commits. After the greatest one LMDB would go on from 0, and take pages in use for free ones.
    if newer.transaction > u64::MAX / 2 {
        return Err(corrupt(format!("it claims {} transactions", newer.transaction)));
    }
    let needed = newer.last_page.checked_add(1).and_then(|pages| pages.checked_mul(page_size));
    match needed {
        Some(needed) if needed <= length => Ok(Verdict::Sound),
        Some(_) => Ok(Verdict::Short),
        None => Err(corrupt(format!("it claims {} pages", newer.last_page))),
    }
}

fn meta(file: &File, at: u64) -> Option<Meta> {
    let mut page = [0_u8; 256];
    quiver_io::read_exact_at(file, &mut page, at).ok()?;
    let word32 = |i: usize| page.get(i..i + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let word64 = |i: usize| page.get(i..i + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    // MDB_meta: u32 magic, u32 version, pointer address, size_t mapsize, MDB_db[2] (48 bytes each, the first
    // one's `md_pad` holding the page size), pgno_t last_pg, txnid_t txnid.
    if word32(META)? != MAGIC || word32(META + 4)? & 0xffff != DATA_VERSION {
        return None;
    }
    Some(Meta {
        page_size: word32(META + 24)?,
        last_page: word64(META + 24 + 96)?,
        transaction: word64(META + 24 + 104)?,
    })
}
