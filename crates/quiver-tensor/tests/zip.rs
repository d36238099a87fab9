//! Archives as this crate writes and reads them, and as hostile or foreign ones come.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use quiver_tensor::npy;
use quiver_tensor::zip::{Crc, Deflater, Inflater, Member, directory, local_header, members};
use quiver_tensor::{DType, Error, ErrorKind};

fn crc_of(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn archive(parts: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let (mut out, mut written) = (Vec::new(), Vec::new());
    for &(name, bytes, deflated) in parts {
        let stored = if deflated {
            let mut deflater = Deflater::new(6).unwrap();
            let mut stored = deflater.write(bytes).unwrap();
            stored.extend(deflater.finish().unwrap());
            assert_eq!(deflater.crc(), crc_of(bytes));
            stored
        } else {
            bytes.to_vec()
        };
        let member = Member {
            name: name.to_owned(),
            deflated,
            crc: crc_of(bytes),
            header_offset: out.len() as u64,
            offset: 0,
            compressed_size: stored.len() as u64,
            size: bytes.len() as u64,
        };
        out.extend(local_header(&member).unwrap());
        out.extend(stored);
        written.push(member);
    }
    let end = directory(&written, out.len() as u64).unwrap();
    out.extend(end);
    out
}

fn stored<'a>(archive: &'a [u8], member: &Member) -> &'a [u8] {
    &archive[member.offset as usize..][..member.compressed_size as usize]
}

fn inflate(bytes: &[u8], member: &Member, chunk: usize) -> Result<Vec<u8>, Error> {
    let mut inflater = Inflater::new(member.size, member.crc)?;
    for piece in bytes.chunks(chunk) {
        inflater.write(piece)?;
    }
    inflater.finish()
}

proptest! {
    #[test]
    fn written_archives_read_back(
        contents in prop::collection::vec((prop::collection::vec(0_u8..4, 0..3000), any::<bool>()), 0..6),
        chunk in 1_usize..200,
    ) {
        let names: Vec<String> = (0..contents.len()).map(|i| format!("ordner/größe {i}.npy")).collect();
        let parts: Vec<_> =
            names.iter().zip(&contents).map(|(name, (bytes, deflated))| (name.as_str(), bytes.as_slice(), *deflated)).collect();
        let archive = archive(&parts);
        let read = members(&archive).unwrap();
        prop_assert_eq!(read.len(), parts.len());
        for (member, (name, bytes, deflated)) in read.iter().zip(parts) {
            prop_assert_eq!((member.name.as_str(), member.deflated), (name, deflated));
            if deflated {
                prop_assert_eq!(&inflate(stored(&archive, member), member, chunk).unwrap()[..], bytes);
            } else {
                prop_assert_eq!(member.offset % 64, 0);
                prop_assert_eq!(stored(&archive, member), bytes);
            }
        }
    }

    #[test]
    fn a_damaged_archive_never_panics_nor_reaches_beyond(at: usize, value: u8, cut in 0_usize..400) {
        let mut bytes = archive(&[("a.npy", &[1; 100], true), ("b.npy", &[2; 50], false)]);
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.drain(..cut.min(bytes.len()));
        for member in members(&bytes).unwrap_or_default() {
            let data = stored(&bytes, &member);
            if member.deflated {
                let _ = inflate(data, &member, 16);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), end: [u8; 18]) {
        bytes.extend(*b"PK\x05\x06");
        bytes.extend(end);
        let comment = bytes.len() - 2;
        bytes[comment..].fill(0);
        let _ = members(&bytes);
        let _ = inflate(&bytes, &Member { name: String::new(), deflated: true, crc: 0, header_offset: 0, offset: 0, compressed_size: 0, size: 1 << 60 }, 7);
    }
}

#[test]
fn an_empty_archive_is_its_end_record() {
    let bytes = archive(&[]);
    assert_eq!(bytes.len(), 22);
    assert_eq!(members(&bytes).unwrap(), []);
}

#[test]
fn of_equal_names_the_last_wins() {
    let bytes = archive(&[("a", b"old", false), ("b", b"b", false), ("a", b"new", false)]);
    let read = members(&bytes).unwrap();
    assert_eq!(
        read.iter().map(|member| stored(&bytes, member)).collect::<Vec<_>>(),
        [b"b".as_slice(), b"new"]
    );
}

#[test]
fn a_directory_with_another_count_is_corrupt() {
    for count in [1, 3] {
        let mut bytes = archive(&[("a", b"a", false), ("b", b"b", false)]);
        let field = bytes.len() - 12;
        bytes[field] = count;
        assert_eq!(members(&bytes).unwrap_err().kind(), ErrorKind::Corrupt, "{count}");
    }
}

#[test]
fn wrong_crc_is_corrupt() {
    let bytes = archive(&[("a", b"some bytes", true)]);
    let mut member = members(&bytes).unwrap().remove(0);
    member.crc ^= 1;
    assert_eq!(inflate(stored(&bytes, &member), &member, 100).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn sizes_that_lie_are_corrupt() {
    let bytes = archive(&[("a", &[7; 1000], true)]);
    let member = members(&bytes).unwrap().remove(0);
    for size in [0, 999, 1001] {
        let lying = Member { size, ..member.clone() };
        assert_eq!(
            inflate(stored(&bytes, &member), &lying, 100).unwrap_err().kind(),
            ErrorKind::Corrupt,
            "{size}"
        );
    }
    assert!(inflate(&stored(&bytes, &member)[..5], &member, 100).is_err());
}

#[test]
fn a_claim_beyond_what_deflate_can_reach_is_refused_before_inflating() {
    let member = Member {
        name: "a".into(),
        deflated: true,
        crc: 0,
        header_offset: 0,
        offset: 0,
        compressed_size: 2,
        size: 1 << 40,
    };
    let mut bytes = local_header(&member).unwrap();
    bytes.extend([3, 0]);
    let end = directory(&[member], bytes.len() as u64).unwrap();
    bytes.extend(end);
    assert_eq!(members(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_member_much_longer_than_its_array_is_stopped_early() {
    let mut bomb = npy::header(DType::Float64, &[4], false).unwrap();
    bomb.resize(50_000_000, 0);
    let bytes = archive(&[("bomb.npy", &bomb, true)]);
    let member = members(&bytes).unwrap().remove(0);
    let mut inflater = Inflater::new(member.size, member.crc).unwrap().bounded_by(npy::claimed_length);
    let first = &stored(&bytes, &member)[..1000];
    assert!(inflater.write(first).unwrap_err().to_string().contains("longer than what it holds"));
}

#[test]
fn sizes_beyond_32_bits_are_written_and_read_as_zip64() {
    let member = Member {
        name: "big".into(),
        deflated: false,
        crc: 5,
        header_offset: 0,
        offset: 0,
        compressed_size: 5 << 32,
        size: 5 << 32,
    };
    let local = local_header(&member).unwrap();
    assert_eq!(local.len() % 64, 0);
    let end = directory(std::slice::from_ref(&member), (5 << 32) + local.len() as u64).unwrap();
    // Only the records are at hand, so reading must find the directory beyond the bytes there are.
    let bytes = [local, end].concat();
    assert_eq!(members(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(bytes.windows(8).any(|window| window == (5_u64 << 32).to_le_bytes()));
}

#[test]
fn more_members_than_16_bits_count() {
    let names: Vec<String> = (0..65_600).map(|i| i.to_string()).collect();
    let parts: Vec<_> = names.iter().map(|name| (name.as_str(), b"".as_slice(), false)).collect();
    assert_eq!(members(&archive(&parts)).unwrap().len(), 65_600);
}
