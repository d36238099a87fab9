//! Content ids: `milliseconds << 22 | sequence`, so that later values sort after earlier ones and an id is never
//! used twice, by any process.

use std::sync::atomic::{AtomicU64, Ordering};

const SEQUENCE_BITS: u32 = 22;

/// Makes ids for one process.
#[derive(Debug, Default)]
pub struct ContentIds {
    last: AtomicU64,
}

impl ContentIds {
    /// The next id at wall-clock ms `now`. Within a millisecond, and when the clock steps back, ids go on from
    /// the last; a new millisecond begins at a random place, so that processes rarely meet.
    pub fn next(&self, now: u64) -> u64 {
        let random = quiver_io::random_u64() & ((1 << SEQUENCE_BITS) - 1);
        let fresh = now << SEQUENCE_BITS | random;
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = if fresh >> SEQUENCE_BITS > last >> SEQUENCE_BITS { fresh } else { last + 1 };
            match self.last.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return next,
                Err(seen) => last = seen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_even_when_the_clock_steps_back() {
        let ids = ContentIds::default();
        let mut last = 0;
        for now in [1_000, 1_000, 1_001, 900, 1_001, 2_000] {
            let id = ids.next(now);
            assert!(id > last);
            last = id;
        }
    }
}
