//! Digests made while bytes stream by.

use ring::digest::{Context, SHA256};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use crate::os::HostSha256;

/// Bytes of a chunk that has a sum of its own: small enough that a random row costs little to verify, large enough
/// that sums take 1/8,192 of the data.
pub const CHUNK: usize = 65_536;

/// xxh3-64 of each chunk of a stream; the last chunk may be of fewer bytes.
#[derive(Clone)]
pub struct ChunkSums {
    chunk: Xxh3,
    filled: usize,
    sums: Vec<u64>,
}

impl Default for ChunkSums {
    fn default() -> Self {
        Self { chunk: Xxh3::new(), filled: 0, sums: Vec::new() }
    }
}

impl std::fmt::Debug for ChunkSums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChunkSums {{ chunks: {} }}", self.sums.len())
    }
}

impl ChunkSums {
    /// The next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(self.room()));
            if now.len() == CHUNK {
                self.sums.push(xxh3_64(now));
            } else {
                self.chunk.update(now);
                self.filled += now.len();
                if self.filled == CHUNK {
                    self.end_chunk();
                }
            }
            bytes = rest;
        }
    }

    /// Bytes up to the end of the chunk; at least one.
    fn room(&self) -> usize {
        CHUNK - self.filled
    }

    fn end_chunk(&mut self) {
        self.sums.push(self.chunk.digest());
        self.chunk.reset();
        self.filled = 0;
    }

    /// The sums; none for an empty stream.
    pub fn finish(mut self) -> Vec<u64> {
        if self.filled > 0 {
            self.end_chunk();
        }
        self.sums
    }
}

/// SHA-256 of what streams by. By ring: where a processor has no instructions for it, as many servers have none, its
/// assembly is 1.8 times as fast as what compilers make of Rust, and elsewhere about as fast. There OpenSSL's is faster
/// by another seventh, and used if the program has it.
#[derive(Clone)]
pub struct Sha256(Implementation);

#[derive(Clone)]
enum Implementation {
    Host(HostSha256),
    Ring(Context),
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256")
    }
}

impl Sha256 {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(match HostSha256::new() {
            Some(host) => Implementation::Host(host),
            None => Implementation::Ring(Context::new(&SHA256)),
        })
    }

    /// Of all these bytes.
    pub fn of(bytes: &[u8]) -> [u8; 32] {
        let mut sha = Self::new();
        sha.update(bytes);
        sha.finish()
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Implementation::Host(host) => host.update(bytes),
            Implementation::Ring(ring) => ring.update(bytes),
        }
    }

    /// The digest.
    pub fn finish(self) -> [u8; 32] {
        match self.0 {
            Implementation::Host(host) => host.finish(),
            Implementation::Ring(ring) => {
                let mut digest = [0; 32];
                digest.copy_from_slice(ring.finish().as_ref());
                digest
            }
        }
    }
}

/// SHA-256 of a stream, and the sums of its chunks.
#[derive(Clone)]
pub struct Digester {
    sha: Sha256,
    chunks: ChunkSums,
    len: u64,
}

/// The digests of a whole stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// SHA-256 of all bytes.
    pub sha256: [u8; 32],
    /// xxh3-64 of each 64 KiB; the last may be of fewer bytes. None for an empty stream.
    pub sums: Vec<u64>,
    /// Bytes.
    pub len: u64,
}

impl Default for Digester {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Digester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digester {{ len: {} }}", self.len)
    }
}

impl Digester {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self { sha: Sha256::new(), chunks: ChunkSums::default(), len: 0 }
    }

    /// The next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.len += bytes.len() as u64;
        while !bytes.is_empty() {
            // Both digests read a chunk while it is in the cache.
            let (now, rest) = bytes.split_at(bytes.len().min(self.chunks.room()));
            self.sha.update(now);
            self.chunks.update(now);
            bytes = rest;
        }
    }

    /// The digests.
    pub fn finish(self) -> Digests {
        Digests { sha256: self.sha.finish(), sums: self.chunks.finish(), len: self.len }
    }
}

/// One digest of all chunks of a file: xxh3-128 of their sums, little-endian, one behind the other; in hexadecimal.
pub fn digest_of_sums(sums: &[u64]) -> String {
    let bytes: Vec<u8> = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    hex(&xxh3_128(&bytes).to_be_bytes())
}

/// xxh3-64.
pub fn sum64(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// xxh3-128.
pub fn sum128(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::Digest as _;

    proptest! {
        #[test]
        fn pieces_make_no_difference(len in 0_usize..300_000, cuts in proptest::collection::vec(1_usize..100_000, 0..8)) {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
            let mut pieces = Digester::new();
            let mut rest = bytes.as_slice();
            for cut in cuts {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                pieces.update(now);
                rest = later;
            }
            pieces.update(rest);
            let found = pieces.finish();
            prop_assert_eq!(found.sha256, <[u8; 32]>::from(sha2::Sha256::digest(&bytes)));
            let sums: Vec<u64> = bytes.chunks(CHUNK).map(xxh3_64).collect();
            prop_assert_eq!(found.sums, sums);
            prop_assert_eq!(found.len, len as u64);
        }
    }
}
