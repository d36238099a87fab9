//! The zip archive around a pickle and its storages.

use crate::error::{Error, Result};
use crate::zip::{self, Member};

/// Longer pickles are refused: what is large in a checkpoint are tensors, which lie beside it.
const LONGEST_PICKLE: u64 = 256 << 20;

/// `torch.save` stores; who deflates a pickle must not make it expand beyond this.
const LONGEST_DEFLATED_PICKLE: u64 = 16 << 20;

/// Formats that `torch.load` reads.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=10;

/// Longer ones say nothing that is looked for.
const LONGEST_NOTE: u64 = 64;

/// The parts of an archive. Nothing of them has been compared with its CRC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// `data.pkl`.
    pub pickle: Member,
    /// `byteorder` and `version`, which `open` has looked at.
    pub notes: Vec<Member>,
    /// The members of `data/`, their names cut to the storages' keys.
    pub storages: Vec<Member>,
    /// The bytes of each number must be swapped before use.
    pub big_endian: bool,
}

/// Finds the parts of a whole archive. `Corrupt` when it is none of `torch.save`, `Unsupported` for versions and
/// sizes beyond what is read.
pub fn open(archive: &[u8]) -> Result<Container> {
    let mut root: Option<String> = None;
    let (mut pickle, mut version, mut order) = (None, None, None);
    let mut storages = Vec::new();
    for member in zip::members(archive)? {
        let (folder, name) = member
            .name
            .split_once('/')
            .ok_or_else(|| Error::corrupt("a member lies in no folder").with("member", &member.name))?;
        if root.as_deref().is_some_and(|root| root != folder) {
            return Err(Error::corrupt("the members lie in several folders").with("member", &member.name));
        }
        root.get_or_insert_with(|| folder.to_owned());
        match name {
            "data.pkl" => pickle = Some(member),
            "version" => version = Some(member),
            "byteorder" => order = Some(member),
            "constants.pkl" => {
                return Err(Error::unsupported("the file is a TorchScript program, not saved values"));
            }
            _ => {
                if let Some(key) = name.strip_prefix("data/") {
                    storages.push(Member { name: key.to_owned(), ..member });
                }
            }
        }
    }
    let pickle = pickle.ok_or_else(|| Error::corrupt("the archive is none of torch.save: no data.pkl"))?;
    let longest = if pickle.deflated { LONGEST_DEFLATED_PICKLE } else { LONGEST_PICKLE };
    if pickle.size > longest {
        return Err(Error::unsupported("the pickle is longer than is read").with("bytes", pickle.size));
    }
    let version = version.ok_or_else(|| Error::corrupt("the archive has no version"))?;
    check_version(&note(archive, &version)?)?;
    let big_endian = order.as_ref().map_or(Ok(false), |order| is_big_endian(&note(archive, order)?))?;
    let notes = order.into_iter().chain([version]).collect();
    Ok(Container { pickle, notes, storages, big_endian })
}

/// The text of a short member.
fn note(archive: &[u8], member: &Member) -> Result<Vec<u8>> {
    if member.size > LONGEST_NOTE {
        return Err(Error::corrupt("a note in the archive is too long").with("member", &member.name));
    }
    let stored = archive
        .get(member.offset as usize..)
        .and_then(|rest| rest.get(..member.compressed_size as usize))
        .ok_or_else(|| Error::corrupt("the archive ends before one of its parts does"))?;
    if !member.deflated {
        return Ok(stored.to_vec());
    }
    let mut inflater = zip::Inflater::new(member.size, member.crc)?;
    inflater.write(stored)?;
    inflater.finish()
}

fn check_version(text: &[u8]) -> Result<()> {
    let version = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<u32>().ok());
    match version {
        Some(version) if VERSIONS.contains(&version) => Ok(()),
        Some(version) => {
            Err(Error::unsupported("the file has a version that is not known").with("version", version))
        }
        None => Err(Error::corrupt("the archive's version is no number")),
    }
}

fn is_big_endian(text: &[u8]) -> Result<bool> {
    match text {
        b"little" => Ok(false),
        b"big" => Ok(true),
        _ => Err(Error::corrupt("the archive's byte order is neither little nor big")),
    }
}
