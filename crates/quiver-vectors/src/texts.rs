//! What stands for a text when it is looked for among those that were embedded before.

use sha2::{Digest, Sha256};

use crate::parallel;

/// Bytes of a text's digest.
pub const DIGEST: usize = 16;

/// Fewest bytes of text that are worth a thread.
const BYTES_A_THREAD: usize = 256 * 1024;

/// The first half of each text's SHA-256, one after the other; in parallel where the texts are long enough.
pub fn digests<S: AsRef<str> + Sync>(texts: &[S]) -> Vec<u8> {
    let bytes: usize = texts.iter().map(|text| text.as_ref().len() + DIGEST).sum();
    let least = texts.len() * BYTES_A_THREAD / bytes.max(1);
    let parts = parallel::runs(texts.len(), least).into_iter().map(|run| &texts[run]).collect();
    parallel::map(parts, |texts: &[S]| {
        let mut out = Vec::with_capacity(texts.len() * DIGEST);
        for text in texts {
            let digest: [u8; 32] = Sha256::digest(text.as_ref()).into();
            out.extend_from_slice(&digest[..DIGEST]);
        }
        out
    })
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_texts_in_order() {
        let texts: Vec<String> = (0..5_000).map(|i| format!("{i}").repeat(100)).collect();
        let found = digests(&texts);
        for (text, digest) in texts.iter().zip(found.chunks(DIGEST)) {
            assert_eq!(digest, &Sha256::digest(text)[..DIGEST]);
        }
        assert_eq!(found.len(), texts.len() * DIGEST);
        // The beginning of the well-known digest of nothing.
        assert_eq!(digests(&[""])[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    }
}
