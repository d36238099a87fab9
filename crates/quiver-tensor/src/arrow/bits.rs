//! Bit maps, the lowest bit of each byte first, as validity and bools lie in Arrow.

use crate::error::{Error, Result};

/// Whether bit `index` is set; false beyond the end.
pub(super) fn is_set(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// How many of the bits `start..start + count` are set; those beyond the end are not.
pub fn count_ones(bits: &[u8], start: usize, count: usize) -> usize {
    (start..start.saturating_add(count)).filter(|&index| is_set(bits, index)).count()
}

/// Writes the bits from `start` on as bytes of 0 and 1, as many as `out` is long. `OutOfRange` when there are fewer.
pub fn expand(bits: &[u8], start: usize, out: &mut [u8]) -> Result<()> {
    let end = start.checked_add(out.len()).filter(|&end| end.div_ceil(8) <= bits.len());
    if end.is_none() && !out.is_empty() {
        return Err(Error::new(crate::ErrorKind::OutOfRange, "there are fewer bits than asked for"));
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from(is_set(bits, start + i));
    }
    Ok(())
}

/// The last bits of a growing bit map, until they make a byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Partial {
    byte: u8,
    bits: u8,
}

impl Partial {
    pub(super) fn from_parts(byte: u8, bits: u8) -> Self {
        Self { byte, bits: bits % 8 }
    }

    pub(super) fn parts(self) -> (u8, u8) {
        (self.byte, self.bits)
    }

    /// Takes `count` bits and returns the bytes they complete.
    pub(super) fn push(&mut self, count: usize, bit: impl Fn(usize) -> bool) -> Vec<u8> {
        let mut done = Vec::with_capacity(count.div_ceil(8));
        for i in 0..count {
            self.byte |= u8::from(bit(i)) << self.bits;
            self.bits += 1;
            if self.bits == 8 {
                done.push(self.byte);
                *self = Self::default();
            }
        }
        done
    }

    /// The byte that is not full yet.
    pub(super) fn rest(self) -> Option<u8> {
        (self.bits > 0).then_some(self.byte)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_pushed_in_any_pieces_come_back(bools in prop::collection::vec(any::<bool>(), 0..100), cut in 0_usize..100) {
            let cut = cut.min(bools.len());
            let mut partial = Partial::default();
            let mut bits = partial.push(cut, |i| bools[i]);
            bits.extend(partial.push(bools.len() - cut, |i| bools[cut + i]));
            bits.extend(partial.rest());
            let mut bytes = vec![9; bools.len()];
            expand(&bits, 0, &mut bytes).unwrap();
            prop_assert_eq!(bytes, bools.iter().map(|&bit| u8::from(bit)).collect::<Vec<_>>());
            let ones = bools[cut..].iter().filter(|&&bit| bit).count();
            prop_assert_eq!(count_ones(&bits, cut, bools.len() - cut), ones);
        }
    }
}
