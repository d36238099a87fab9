//! Texts as vectors of hashed n-grams: lexical, not semantic. Two texts are near when they share words and parts of
//! words; synonyms are not.
//!
//! Feature hashing after Weinberger, Dasgupta, Langford, Smola, Attenberg, "Feature Hashing for Large Scale
//! Multitask Learning" (ICML 2009): each n-gram goes to one element, with a sign from the same hash, so that
//! collisions cancel on average. A text's n-grams weigh the square root of how often they occur; the vector has
//! length 1. Only exactly rounded operations are used, in a fixed order: all platforms get the same bits.

use std::ops::RangeInclusive;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::error::{Error, Result};
use crate::parallel;

/// Most elements that a vector may have.
pub const MAX_DIMENSION: usize = 1 << 20;
/// Longest n-gram.
pub const MAX_GRAM: usize = 16;

/// Fewest bytes of text that are worth a thread.
const BYTES_A_THREAD: usize = 64 * 1024;
const WORD_SEED: u64 = 1;
const CHARACTER_SEED: u64 = 2;

/// What is counted, checked once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashing {
    dimension: usize,
    words: Option<RangeInclusive<usize>>,
    characters: Option<RangeInclusive<usize>>,
}

impl Hashing {
    /// Vectors of `dimension` elements over n-grams of so many words, and of so many characters within a word and
    /// the marks of its two ends. None counts none of the kind.
    pub fn new(
        dimension: usize,
        words: Option<RangeInclusive<usize>>,
        characters: Option<RangeInclusive<usize>>,
    ) -> Result<Self> {
        if !(1..=MAX_DIMENSION).contains(&dimension) {
            return Err(Error::Dimension { limit: MAX_DIMENSION, found: dimension });
        }
        for (what, grams) in [("words", &words), ("characters", &characters)] {
            let fits = |grams: &RangeInclusive<usize>| {
                *grams.start() >= 1 && !grams.is_empty() && *grams.end() <= MAX_GRAM
            };
            if grams.as_ref().is_some_and(|grams| !fits(grams)) {
                return Err(Error::Grams { what, limit: MAX_GRAM });
            }
        }
        Ok(Self { dimension, words, characters })
    }

    /// Writes the vectors of `texts` into `out`, one after the other, in parallel where the texts are long enough.
    /// A text without a letter or digit becomes zeros.
    pub fn embed<S: AsRef<str> + Sync>(&self, texts: &[S], out: &mut [f32]) -> Result<()> {
        let expected = texts.len().saturating_mul(self.dimension);
        if out.len() != expected {
            return Err(Error::Length { what: "out", expected, found: out.len() });
        }
        let bytes: usize = texts.iter().map(|text| text.as_ref().len()).sum();
        let least = texts.len() * BYTES_A_THREAD / bytes.max(1);
        let mut rest = out;
        let parts = parallel::runs(texts.len(), least)
            .into_iter()
            .map(|run| {
                let (now, later) = std::mem::take(&mut rest).split_at_mut(run.len() * self.dimension);
                rest = later;
                (&texts[run], now)
            })
            .collect();
        parallel::map(parts, |(texts, out): (&[S], &mut [f32])| {
            let mut scratch = Scratch::default();
            for (text, vector) in texts.iter().zip(out.chunks_exact_mut(self.dimension)) {
                self.embed_one(text.as_ref(), &mut scratch, vector);
            }
        });
        Ok(())
    }

    fn embed_one(&self, text: &str, scratch: &mut Scratch, vector: &mut [f32]) {
        scratch.fill(text);
        scratch.grams.clear();
        if let Some(lengths) = &self.words {
            scratch.hash_words(lengths);
        }
        if let Some(lengths) = &self.characters {
            scratch.hash_characters(lengths);
        }
        scratch.grams.sort_unstable();
        vector.fill(0.0);
        for equal in scratch.grams.chunk_by(|left, right| left == right) {
            let weight = (equal.len() as f32).sqrt();
            let Some(&hash) = equal.first() else { continue };
            // The upper half scaled to the dimension picks the element, the lowest bit the sign.
            let element = ((hash >> 32) * self.dimension as u64) >> 32;
            if let Some(value) = vector.get_mut(element as usize) {
                *value += if hash & 1 == 0 { weight } else { -weight };
            }
        }
        normalise(vector);
    }
}

/// Divides by the Euclidean length; zeros stay zeros.
fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt();
    if length > 0.0 {
        for value in vector {
            *value = (f64::from(*value) / length) as f32;
        }
    }
}

/// Memory that is used again from text to text.
#[derive(Default)]
struct Scratch {
    /// The words in lower case, a space before, between and after them.
    text: String,
    /// Where each word lies in `text`.
    words: Vec<(usize, usize)>,
    /// Where the characters of one word start, and where the last ends.
    bounds: Vec<usize>,
    grams: Vec<u64>,
}

impl Scratch {
    fn fill(&mut self, text: &str) {
        self.text.clear();
        self.words.clear();
        self.text.push(' ');
        for word in text.split(|character: char| !character.is_alphanumeric()) {
            if word.is_empty() {
                continue;
            }
            let start = self.text.len();
            self.text.extend(word.chars().flat_map(char::to_lowercase));
            self.words.push((start, self.text.len()));
            self.text.push(' ');
        }
    }

    fn hash_words(&mut self, lengths: &RangeInclusive<usize>) {
        for length in lengths.clone() {
            for run in self.words.windows(length) {
                if let [(start, _), ..] = run
                    && let [.., (_, end)] = run
                {
                    self.grams.push(xxh3_64_with_seed(&self.text.as_bytes()[*start..*end], WORD_SEED));
                }
            }
        }
    }

    fn hash_characters(&mut self, lengths: &RangeInclusive<usize>) {
        for &(start, end) in &self.words {
            // The spaces around a word take part, so that beginnings and ends differ from middles.
            let (start, end) = (start - 1, end + 1);
            self.bounds.clear();
            self.bounds.extend(self.text[start..end].char_indices().map(|(position, _)| start + position));
            self.bounds.push(end);
            for length in lengths.clone() {
                for run in self.bounds.windows(length + 1) {
                    if let [from, .., to] = run {
                        let gram = &self.text.as_bytes()[*from..*to];
                        self.grams.push(xxh3_64_with_seed(gram, CHARACTER_SEED));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn embed(hashing: &Hashing, texts: &[&str]) -> Vec<Vec<f32>> {
        let mut out = vec![f32::NAN; texts.len() * hashing.dimension];
        hashing.embed(texts, &mut out).unwrap();
        out.chunks(hashing.dimension).map(<[f32]>::to_vec).collect()
    }

    fn cosine(left: &[f32], right: &[f32]) -> f32 {
        left.iter().zip(right).map(|(left, right)| left * right).sum()
    }

    fn usual() -> Hashing {
        Hashing::new(384, Some(1..=2), Some(3..=4)).unwrap()
    }

    #[test]
    fn texts_that_share_words_are_near() {
        let [whale, hunt, tea] = embed(
            &usual(),
            &["The white whale!", "they hunted the white whales", "A cup of green tea, please."],
        )
        .try_into()
        .unwrap();
        assert!((cosine(&whale, &whale) - 1.0).abs() < 1e-6);
        assert!(cosine(&whale, &hunt) > 0.4);
        assert!(cosine(&whale, &tea).abs() < 0.2);
    }

    #[test]
    fn case_and_punctuation_make_no_difference_and_order_does() {
        let vectors = embed(&usual(), &["Call me, ISHMAEL.", "call me ishmael", "ishmael call me"]);
        assert_eq!(vectors[0], vectors[1]);
        assert_ne!(vectors[1], vectors[2]);
    }

    #[test]
    fn a_text_without_words_is_zeros() {
        for vector in embed(&usual(), &["", " \n\t", "?!…", "\u{fffd}"]) {
            assert!(vector.iter().all(|&value| value == 0.0));
        }
    }

    #[test]
    fn counts_weigh_as_their_square_root() {
        let words = Hashing::new(1 << 16, Some(1..=1), None).unwrap();
        let mut values: Vec<f32> =
            embed(&words, &["a a a a b"]).remove(0).into_iter().filter(|&value| value != 0.0).collect();
        values.sort_by(|left, right| left.abs().total_cmp(&right.abs()));
        // Weights 1 and 2 over a length of sqrt(5).
        assert_eq!(values.len(), 2);
        assert!((values[0].abs() - 0.447_213_6).abs() < 1e-6 && (values[1].abs() - 0.894_427_2).abs() < 1e-6);
    }

    #[test]
    fn refuses_what_makes_no_vectors() {
        assert!(matches!(Hashing::new(0, Some(1..=1), None), Err(Error::Dimension { .. })));
        assert!(matches!(Hashing::new(MAX_DIMENSION + 1, None, None), Err(Error::Dimension { .. })));
        for grams in [0..=1, RangeInclusive::new(2, 1), 1..=MAX_GRAM + 1] {
            assert!(matches!(Hashing::new(8, Some(grams.clone()), None), Err(Error::Grams { .. })));
            assert!(matches!(Hashing::new(8, None, Some(grams)), Err(Error::Grams { .. })));
        }
        let error = usual().embed(&["text"], &mut [0.0; 383]).unwrap_err();
        assert_eq!(error.to_string(), "out must hold 384 values, not 383");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn division_among_threads_makes_no_difference(
            texts in proptest::collection::vec(".{0,60}", 1..40), repeat in 1_usize..200,
        ) {
            let long: Vec<String> = texts.iter().map(|text| text.repeat(repeat)).collect();
            let hashing = Hashing::new(64, Some(1..=2), Some(2..=3)).unwrap();
            let mut together = vec![0.0; long.len() * 64];
            hashing.embed(&long, &mut together).unwrap();
            for (text, vector) in long.iter().zip(together.chunks(64)) {
                let mut alone = [0.0; 64];
                hashing.embed(&[text], &mut alone).unwrap();
                prop_assert_eq!(vector, alone);
                let length: f32 = vector.iter().map(|value| value * value).sum();
                prop_assert!(length == 0.0 || (length - 1.0).abs() < 1e-5);
            }
        }
    }
}
