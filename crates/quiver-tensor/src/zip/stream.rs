//! Deflating and inflating members piece by piece.

use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

use crate::error::{Error, Result};

/// Reads from a member's first bytes how long its contents say that they are; `None` when they don't say.
pub type Claim = fn(start: &[u8]) -> Result<Option<u64>>;

/// Output grows by at least this much at a time.
const STEP: usize = 64 * 1024;

/// Compresses one member. The CRC-32 and the length of what went in are known at the end.
pub struct Deflater {
    state: Compress,
    crc: Crc,
}

impl Deflater {
    /// `level` is 0 (fastest) to 9 (smallest), as zlib counts; `BadValue` beyond.
    pub fn new(level: u32) -> Result<Self> {
        if level > 9 {
            return Err(Error::bad_value("deflate levels go from 0 to 9").with("level", level));
        }
        Ok(Self { state: Compress::new(Compression::new(level), false), crc: Crc::new() })
    }

    /// Takes a chunk and returns what has come out so far, possibly nothing.
    pub fn write(&mut self, chunk: &[u8]) -> Result<Vec<u8>> {
        self.crc.update(chunk);
        let mut out = Vec::new();
        let mut rest = chunk;
        while !rest.is_empty() {
            let used = self.step(rest, &mut out, FlushCompress::None)?.0;
            rest = &rest[used..];
        }
        Ok(out)
    }

    /// The end of the stream. Nothing may be written after it.
    pub fn finish(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        while self.step(&[], &mut out, FlushCompress::Finish)?.1 != Status::StreamEnd {}
        Ok(out)
    }

    /// CRC-32 of all that went in.
    pub fn crc(&self) -> u32 {
        self.crc.sum()
    }

    fn step(&mut self, chunk: &[u8], out: &mut Vec<u8>, flush: FlushCompress) -> Result<(usize, Status)> {
        out.reserve(STEP);
        let before = self.state.total_in();
        let status = self
            .state
            .compress_vec(chunk, out, flush)
            .map_err(|error| Error::bad_value("the data could not be deflated").with("cause", error))?;
        Ok(((self.state.total_in() - before) as usize, status))
    }
}

/// Decompresses one member, to no more than the size its directory declares.
pub struct Inflater {
    state: Decompress,
    crc: Crc,
    expected_crc: u32,
    size: usize,
    out: Vec<u8>,
    ended: bool,
    claim: Option<Claim>,
}

impl Inflater {
    /// `size` and `crc` are what the directory declares. Memory is taken as output comes, not as it is declared.
    pub fn new(size: u64, crc: u32) -> Result<Self> {
        let size =
            usize::try_from(size).map_err(|_| Error::corrupt("the member is larger than memory can be"))?;
        Ok(Self {
            state: Decompress::new(false),
            crc: Crc::new(),
            expected_crc: crc,
            size,
            out: Vec::new(),
            ended: false,
            claim: None,
        })
    }

    /// Stops early where the contents themselves claim to be shorter than the directory declares.
    #[must_use]
    pub fn bounded_by(mut self, claim: Claim) -> Self {
        self.claim = Some(claim);
        self
    }

    /// Takes the next chunk. `Corrupt` when it is no deflated data, or yields more than was declared.
    pub fn write(&mut self, chunk: &[u8]) -> Result<()> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.ended {
                return Err(Error::corrupt("the member goes on after its end"));
            }
            let (used, produced) = self.step(rest)?;
            if used == 0 && produced == 0 && !self.ended {
                return Err(Error::corrupt("the member inflates to more than it declares")
                    .with("declared", self.size));
            }
            rest = &rest[used..];
            self.check_claim()?;
        }
        Ok(())
    }

    /// Asks the contents once enough of them is there.
    fn check_claim(&mut self) -> Result<()> {
        if self.out.len() < STEP && !self.ended {
            return Ok(());
        }
        let Some(claim) = self.claim.take() else { return Ok(()) };
        match claim(&self.out)? {
            Some(claimed) if claimed < self.size as u64 => {
                Err(Error::corrupt("the member is longer than what it holds")
                    .with("holds", claimed)
                    .with("member", self.size))
            }
            _ => Ok(()),
        }
    }

    /// The inflated bytes. `Corrupt` when the stream has not ended, is shorter than declared, or has another CRC-32.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        while !self.ended {
            let (_, produced) = self.step(&[])?;
            if produced == 0 && !self.ended {
                return Err(Error::corrupt("the member ends before its data does"));
            }
        }
        if self.out.len() != self.size {
            return Err(
                Error::corrupt("the member inflates to less than it declares").with("declared", self.size)
            );
        }
        if self.crc.sum() != self.expected_crc {
            return Err(Error::corrupt("the member's CRC-32 does not match: the file is damaged"));
        }
        Ok(self.out)
    }

    /// One call of the decompressor: bytes used and produced.
    fn step(&mut self, chunk: &[u8]) -> Result<(usize, usize)> {
        let room = self.size - self.out.len();
        if self.out.capacity() == self.out.len() {
            // One byte more than declared, so that a stream that goes on is noticed and not merely stuck.
            let more = self.out.len().max(STEP).min(room + 1);
            self.out.try_reserve_exact(more).map_err(|_| {
                Error::unsupported("the member does not fit into memory").with("bytes", self.size)
            })?;
        }
        let (before_in, before_out) = (self.state.total_in(), self.out.len());
        let status = self
            .state
            .decompress_vec(chunk, &mut self.out, FlushDecompress::None)
            .map_err(|error| Error::corrupt("the member is no deflated data").with("cause", error))?;
        self.crc.update(&self.out[before_out..]);
        self.ended = status == Status::StreamEnd;
        if self.out.len() > self.size {
            return Err(
                Error::corrupt("the member inflates to more than it declares").with("declared", self.size)
            );
        }
        Ok(((self.state.total_in() - before_in) as usize, self.out.len() - before_out))
    }
}
