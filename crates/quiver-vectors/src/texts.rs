//! What stands for a text when it is looked for among those that were embedded before.

use quiver_io::Sha256;

use crate::parallel;

/// Bytes of a text's digest: less than a hundredth of a vector of 384 float32, and still 112 bits.
pub const DIGEST: usize = 14;

/// Fewest bytes of text that are worth a thread.
const BYTES_A_THREAD: usize = 256 * 1024;

/// The beginning of each text's SHA-256, one after the other; in parallel where the texts are long enough.
pub fn digests<S: AsRef<str> + Sync>(texts: &[S]) -> Vec<u8> {
    let bytes: usize = texts.iter().map(|text| text.as_ref().len() + DIGEST).sum();
    let least = texts.len() * BYTES_A_THREAD / bytes.max(1);
    let parts = parallel::runs(texts.len(), least).into_iter().map(|run| &texts[run]).collect();
    parallel::map(parts, |texts: &[S]| {
        let mut out = Vec::with_capacity(texts.len() * DIGEST);
        for text in texts {
            let digest = Sha256::of(text.as_ref().as_bytes());
            out.extend_from_slice(&digest[..DIGEST]);
        }
        out
    })
    .concat()
}

/// Stands for no row.
pub const NONE: u32 = u32::MAX;

/// For each of the digests the number of the first one that equals it.
pub fn firsts(digests: &[u8]) -> Vec<u32> {
    let digests = parts(digests);
    let mut firsts = vec![0; digests.len()];
    for run in in_order(digests).chunk_by(|&a, &b| digest(digests, a) == digest(digests, b)) {
        // Equal ones are in the order of their numbers.
        let first = run.first().copied().unwrap_or_default();
        for &number in run {
            if let Some(slot) = firsts.get_mut(number as usize) {
                *slot = first;
            }
        }
    }
    firsts
}

/// For each of the `wanted` digests the number of the first one among `present` that equals it, or [`NONE`].
pub fn found(wanted: &[u8], present: &[u8]) -> Vec<u32> {
    let (wanted, present) = (parts(wanted), parts(present));
    let order = in_order(present);
    let find = |digest: &[u8; DIGEST]| {
        let at = order.partition_point(|&number| self::digest(present, number) < Some(digest));
        order.get(at).copied().filter(|&number| self::digest(present, number) == Some(digest))
    };
    wanted.iter().map(|digest| find(digest).unwrap_or(NONE)).collect()
}

/// Digests of as many texts as a dataset's rows can be numbered; what is left at the end is no digest.
fn parts(digests: &[u8]) -> &[[u8; DIGEST]] {
    let (parts, _) = digests.as_chunks();
    parts.get(..parts.len().min(NONE as usize)).unwrap_or_default()
}

fn in_order(digests: &[[u8; DIGEST]]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..digests.len()).map(|number| number as u32).collect();
    order.sort_unstable_by_key(|&number| (digest(digests, number), number));
    order
}

fn digest(digests: &[[u8; DIGEST]], number: u32) -> Option<&[u8; DIGEST]> {
    digests.get(number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;

    #[test]
    fn equal_texts_are_found_as_a_search_from_the_start_finds_them() {
        let texts: Vec<String> = (0..500_u32).map(|i| format!("{}", i.wrapping_mul(i) % 97)).collect();
        let (all, some) = (digests(&texts), digests(&texts[250..300]));
        for (number, first) in firsts(&all).into_iter().enumerate() {
            let expected = texts.iter().position(|text| *text == texts[number]);
            assert_eq!(Some(first as usize), expected);
        }
        for (number, row) in found(&all, &some).into_iter().enumerate() {
            let expected = texts[250..300].iter().position(|text| *text == texts[number]);
            assert_eq!((row != NONE).then_some(row as usize), expected);
        }
        assert!(firsts(&[]).is_empty());
        assert_eq!(found(&all[..DIGEST + 3], &[]), [NONE]);
    }

    #[test]
    fn digests_are_those_of_the_texts_in_order() {
        let texts: Vec<String> = (0..5_000).map(|i| format!("{i}").repeat(100)).collect();
        let found = digests(&texts);
        for (text, digest) in texts.iter().zip(found.chunks(DIGEST)) {
            assert_eq!(digest, &sha2::Sha256::digest(text)[..DIGEST]);
        }
        assert_eq!(found.len(), texts.len() * DIGEST);
        // The beginning of the well-known digest of nothing.
        assert_eq!(digests(&[""])[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    }
}
