//! The best few of many.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Keeps the `k` highest-ranked rows offered; of equal ranks the lower row.
pub struct Top {
    k: usize,
    /// The worst on top.
    heap: BinaryHeap<Reverse<Candidate>>,
    /// Ranks below this need no look; NaN while there is room.
    bar: f32,
}

struct Candidate {
    row: u64,
    rank: f32,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.total_cmp(&other.rank).then(other.row.cmp(&self.row))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl Top {
    /// Empty.
    pub fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::new(), bar: f32::NAN }
    }

    /// Takes the row if it is among the best so far. NaN never is.
    #[inline]
    pub fn offer(&mut self, row: u64, rank: f32) {
        if rank < self.bar || rank.is_nan() {
            return;
        }
        // 0 and -0 are one rank.
        self.take(Candidate { row, rank: rank + 0.0 });
    }

    fn take(&mut self, candidate: Candidate) {
        if self.heap.len() < self.k {
            self.heap.push(Reverse(candidate));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate > worst.0
        {
            worst.0 = candidate;
        }
        if self.heap.len() == self.k {
            self.bar = self.heap.peek().map_or(f32::INFINITY, |worst| worst.0.rank);
        }
    }

    /// Takes over what another has.
    pub fn merge(&mut self, other: Self) {
        for Reverse(candidate) in other.heap {
            self.take(candidate);
        }
    }

    /// Rows and ranks, the best first.
    pub fn sorted(self) -> Vec<(u64, f32)> {
        // Ascending order of the reversed is descending order.
        self.heap.into_sorted_vec().into_iter().map(|Reverse(found)| (found.row, found.rank)).collect()
    }
}
