//! The exact nearest rows of a table of vectors: every row is compared, nothing is approximated.
//!
//! Rows are read once, however many queries there are, and divided among threads. Of equal scores the lower row
//! comes first. A score is the sum over 32 lanes that are added up in one fixed order, so that all processors with
//! fused multiply-add get the same bits; others round twice an element.

mod kernels;
mod top;

use std::ops::Range;

use crate::error::{Error, Result};
use crate::parallel;
use kernels::Kernels;
use top::Top;

/// Fewest bytes of rows that are worth a thread.
const BYTES_A_THREAD: usize = 512 * 1024;

/// Elements that a thread multiplies, or decodes, before it asks again whether to go on: about a millisecond.
const ELEMENTS_A_STEP: usize = 4 << 20;

/// How a row is compared with a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The dot product; the greatest are nearest.
    Dot,
    /// The cosine of the angle; the greatest are nearest. A vector of zeros has cosine 0 with everything.
    Cosine,
    /// The Euclidean distance; the least are nearest.
    Euclidean,
}

/// Rows one after the other, without gaps, as they are stored.
#[derive(Debug, Clone, Copy)]
pub enum Elements<'a> {
    /// Single precision.
    Float32(&'a [f32]),
    /// The bits of half precision.
    Float16(&'a [u16]),
    /// Quantised: an element stands for `(value - zero_point) * scale`.
    Int8 {
        /// As stored.
        values: &'a [i8],
        /// Of one step.
        scale: f32,
        /// The value that stands for zero.
        zero_point: i8,
    },
}

impl Elements<'_> {
    /// `range` lies within the elements.
    fn part(self, range: Range<usize>) -> Self {
        match self {
            Self::Float32(values) => Self::Float32(&values[range]),
            Self::Float16(values) => Self::Float16(&values[range]),
            Self::Int8 { values, scale, zero_point } => {
                Self::Int8 { values: &values[range], scale, zero_point }
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Float32(values) => values.len(),
            Self::Float16(values) => values.len(),
            Self::Int8 { values, .. } => values.len(),
        }
    }

    fn item_size(&self) -> usize {
        match self {
            Self::Float32(_) => 4,
            Self::Float16(_) => 2,
            Self::Int8 { .. } => 1,
        }
    }
}

/// A row that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its number, counted over all blocks.
    pub row: u64,
    /// Its dot product, cosine or distance.
    pub score: f32,
}

/// The `k` nearest rows for each query, nearest first; fewer when there are fewer rows. `blocks` follow each other as
/// one table of vectors of `dimension` elements; `queries` holds whole vectors. Rows whose score is no number are
/// never found. Ends with `Aborted` soon after `should_stop`, which each thread asks once a millisecond or so, said so.
pub fn nearest(
    blocks: &[Elements],
    dimension: usize,
    queries: &[f32],
    k: usize,
    metric: Metric,
    should_stop: &(impl Fn() -> bool + Sync),
) -> Result<Vec<Vec<Neighbour>>> {
    if dimension == 0 {
        return Err(Error::Dimension { limit: usize::MAX, found: 0 });
    }
    whole_vectors("queries", queries.len(), dimension)?;
    for block in blocks {
        whole_vectors("a block", block.len(), dimension)?;
    }
    let search = Search {
        dimension,
        queries: queries.chunks_exact(dimension).map(|query| Query::new(query, metric)).collect(),
        k,
        metric,
        kernels: Kernels::of_this_processor(),
    };
    let mut found: Vec<Top> = search.queries.iter().map(|_| Top::new(k)).collect();
    for part in parallel::map(divide(blocks, dimension), |part| search.scan(&part, should_stop)) {
        for (whole, part) in found.iter_mut().zip(part?) {
            whole.merge(part);
        }
    }
    Ok(found.into_iter().map(|top| search.neighbours(top)).collect())
}

fn whole_vectors(what: &'static str, found: usize, dimension: usize) -> Result<()> {
    if found.is_multiple_of(dimension) {
        return Ok(());
    }
    Err(Error::Length { what, expected: found.next_multiple_of(dimension), found })
}

/// Rows of one block that one thread looks at, and the number of the first.
struct Piece<'a> {
    first: u64,
    rows: Elements<'a>,
}

impl<'a> Piece<'a> {
    /// The same in pieces of at most so many rows.
    fn steps(&self, dimension: usize, most: usize) -> impl Iterator<Item = Piece<'a>> {
        let (first, rows) = (self.first, self.rows);
        let count = rows.len() / dimension;
        (0..count).step_by(most).map(move |start| {
            let end = count.min(start.saturating_add(most));
            Piece { first: first + start as u64, rows: rows.part(start * dimension..end * dimension) }
        })
    }
}

/// One list of pieces a thread.
fn divide<'a>(blocks: &[Elements<'a>], dimension: usize) -> Vec<Vec<Piece<'a>>> {
    let rows: usize = blocks.iter().map(|block| block.len() / dimension).sum();
    let widest = blocks.iter().map(Elements::item_size).max().unwrap_or(1);
    let least = BYTES_A_THREAD / dimension.saturating_mul(widest).max(1);
    parallel::runs(rows, least)
        .into_iter()
        .map(|run| {
            let mut start = 0;
            let mut pieces = Vec::new();
            for block in blocks {
                let count = block.len() / dimension;
                let from = run.start.clamp(start, start + count) - start;
                let to = run.end.clamp(start, start + count) - start;
                if from < to {
                    let rows = block.part(from * dimension..to * dimension);
                    pieces.push(Piece { first: (start + from) as u64, rows });
                }
                start += count;
            }
            pieces
        })
        .collect()
}

/// One vector to look for.
struct Query<'a> {
    values: &'a [f32],
    /// What a row's score is divided by, beside the row's own length.
    length: f32,
}

impl<'a> Query<'a> {
    fn new(values: &'a [f32], metric: Metric) -> Self {
        let square = || values.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>();
        Self { values, length: if metric == Metric::Cosine { square().sqrt() as f32 } else { 1.0 } }
    }
}

struct Search<'a> {
    dimension: usize,
    queries: Vec<Query<'a>>,
    k: usize,
    metric: Metric,
    kernels: Kernels,
}

impl Search<'_> {
    fn scan(&self, pieces: &[Piece], should_stop: &impl Fn() -> bool) -> Result<Vec<Top>> {
        let mut tops: Vec<Top> = self.queries.iter().map(|_| Top::new(self.k)).collect();
        let mut decoded = vec![0.0; self.dimension];
        let most = (ELEMENTS_A_STEP / (self.dimension * self.queries.len().max(1))).max(1);
        for piece in pieces.iter().flat_map(|piece| piece.steps(self.dimension, most)) {
            if should_stop() {
                return Err(Error::Dataset(quiver_dataset::Error::Aborted));
            }
            let numbers = piece.first..;
            match piece.rows {
                Elements::Float32(values) => {
                    for (number, row) in numbers.zip(values.chunks_exact(self.dimension)) {
                        self.compare(number, row, &mut tops);
                    }
                }
                Elements::Float16(values) => {
                    for (number, row) in numbers.zip(values.chunks_exact(self.dimension)) {
                        self.kernels.decode_float16(row, &mut decoded);
                        self.compare(number, &decoded, &mut tops);
                    }
                }
                Elements::Int8 { values, scale, zero_point } => {
                    for (number, row) in numbers.zip(values.chunks_exact(self.dimension)) {
                        self.kernels.decode_int8(row, scale, zero_point, &mut decoded);
                        self.compare(number, &decoded, &mut tops);
                    }
                }
            }
        }
        Ok(tops)
    }

    /// Offers a row to every query's list. Greater is nearer in a list, so distances are negated.
    fn compare(&self, number: u64, row: &[f32], tops: &mut [Top]) {
        let length = if self.metric == Metric::Cosine { self.kernels.dot(row, row).sqrt() } else { 1.0 };
        for (query, top) in self.queries.iter().zip(tops) {
            let rank = match self.metric {
                Metric::Dot => self.kernels.dot(row, query.values),
                Metric::Cosine if length * query.length == 0.0 => 0.0,
                Metric::Cosine => self.kernels.dot(row, query.values) / (length * query.length),
                Metric::Euclidean => -self.kernels.square_distance(row, query.values),
            };
            top.offer(number, rank);
        }
    }

    fn neighbours(&self, top: Top) -> Vec<Neighbour> {
        top.sorted()
            .into_iter()
            .map(|(row, rank)| Neighbour {
                row,
                score: if self.metric == Metric::Euclidean { (-rank).max(0.0).sqrt() } else { rank },
            })
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use half::f16;
    use proptest::prelude::*;

    const METRICS: [Metric; 3] = [Metric::Dot, Metric::Cosine, Metric::Euclidean];

    /// The same in double precision, by sorting everything.
    fn naive(rows: &[f32], dimension: usize, query: &[f32], metric: Metric) -> Vec<(u64, f64)> {
        let dot = |left: &[f32], right: &[f32]| -> f64 {
            left.iter().zip(right).map(|(&left, &right)| f64::from(left) * f64::from(right)).sum()
        };
        let mut scored: Vec<(u64, f64)> = (0..)
            .zip(rows.chunks(dimension))
            .map(|(number, row)| {
                let lengths = (dot(row, row) * dot(query, query)).sqrt();
                let score = match metric {
                    Metric::Dot => dot(row, query),
                    Metric::Cosine if lengths == 0.0 => 0.0,
                    Metric::Cosine => dot(row, query) / lengths,
                    Metric::Euclidean => {
                        let gaps: Vec<f32> = row.iter().zip(query).map(|(row, query)| row - query).collect();
                        -dot(&gaps, &gaps).sqrt()
                    }
                };
                // 0 and -0 are one score.
                (number, score + 0.0)
            })
            .collect();
        scored.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
        scored
    }

    fn small_numbers(count: usize) -> impl Strategy<Value = Vec<f32>> {
        // Multiples of an eighth: sums of their products are exact in both precisions, so that ties are ties.
        proptest::collection::vec((-16_i8..=16).prop_map(|step| f32::from(step) / 8.0), count)
    }

    proptest! {
        #[test]
        fn equals_sorting_everything(
            (dimension, rows, queries) in (1_usize..70, 0_usize..40, 1_usize..4).prop_flat_map(|(dimension, rows, queries)| {
                (Just(dimension), small_numbers(rows * dimension), small_numbers(queries * dimension))
            }),
            k in 0_usize..12, cut in 0_usize..40,
        ) {
            let (first, second) = rows.split_at((cut * dimension).min(rows.len()));
            let blocks = [Elements::Float32(first), Elements::Float32(second)];
            let halves: Vec<u16> = rows.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
            let bytes: Vec<i8> = rows.iter().map(|&value| (value * 8.0 + 3.0) as i8).collect();
            let quantised = [Elements::Int8 { values: &bytes, scale: 0.125, zero_point: 3 }];
            for metric in METRICS {
                for blocks in [&blocks[..], &[Elements::Float16(&halves)], &quantised] {
                    let found = nearest(blocks, dimension, &queries, k, metric, &|| false).unwrap();
                    for (query, found) in queries.chunks(dimension).zip(found) {
                        let expected = naive(&rows, dimension, query, metric);
                        prop_assert_eq!(found.len(), k.min(expected.len()));
                        for (found, (row, score)) in found.iter().zip(&expected) {
                            let score = if metric == Metric::Euclidean { -score } else { *score };
                            prop_assert!((f64::from(found.score) - score).abs() < 1e-5);
                            // Roots and quotients are rounded, so that only exact metrics decide ties alike.
                            if metric != Metric::Cosine {
                                prop_assert_eq!(found.row, *row);
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn many_rows_are_divided_and_ties_go_to_the_lower_row() {
        let rows: Vec<f32> = (0..300_000).flat_map(|row| [(row % 1_000) as f32, 1.0]).collect();
        let found = nearest(&[Elements::Float32(&rows)], 2, &[1.0, 0.0], 301, Metric::Dot, &|| false)
            .unwrap()
            .remove(0);
        let expected: Vec<u64> =
            (0..300).map(|turn| turn * 1_000 + 999).chain(std::iter::once(998)).collect();
        assert_eq!(found.iter().map(|found| found.row).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn rows_that_are_no_numbers_are_never_found() {
        let rows = [f32::NAN, 1.0, 2.0, 3.0];
        for metric in METRICS {
            let found =
                nearest(&[Elements::Float32(&rows)], 2, &[1.0, 1.0], 5, metric, &|| false).unwrap().remove(0);
            assert_eq!(found.iter().map(|found| found.row).collect::<Vec<_>>(), [1]);
        }
    }

    #[test]
    fn refuses_lengths_that_do_not_fit() {
        let blocks = [Elements::Float32(&[0.0; 7])];
        assert!(nearest(&blocks, 0, &[], 1, Metric::Dot, &|| false).is_err());
        assert!(nearest(&blocks, 2, &[0.0; 2], 1, Metric::Dot, &|| false).is_err());
        assert!(nearest(&[], 2, &[0.0; 3], 1, Metric::Dot, &|| false).is_err());
        assert_eq!(nearest(&[], 2, &[0.0; 2], 1, Metric::Dot, &|| false).unwrap(), [vec![]]);
    }

    #[test]
    fn a_search_asks_at_every_step_whether_to_go_on() {
        let rows = vec![1.0_f32; 40 << 20];
        let asked = AtomicUsize::new(0);
        let stop_at = |limit: usize| {
            asked.store(0, Ordering::Relaxed);
            let should_stop = || asked.fetch_add(1, Ordering::Relaxed) + 1 >= limit;
            nearest(&[Elements::Float32(&rows)], 256, &rows[..256], 1, Metric::Dot, &should_stop)
        };
        assert_eq!(stop_at(usize::MAX).unwrap().concat()[0].row, 0);
        assert!(asked.load(Ordering::Relaxed) >= 10, "{asked:?}");
        assert_eq!(stop_at(3).unwrap_err().code(), "ERR_QUIVER_ABORTED");
        // The thread that hears it, and each of the others once.
        let threads = std::thread::available_parallelism().unwrap().get();
        assert!(asked.load(Ordering::Relaxed) <= 2 + threads, "{asked:?}");
    }
}
