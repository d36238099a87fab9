//! Dividing work among threads.

use std::num::NonZero;
use std::ops::Range;
use std::thread;

/// The runs of `count` items that one thread each works on: as many as there are processors, but none of fewer
/// than `least` items.
pub fn runs(count: usize, least: usize) -> Vec<Range<usize>> {
    // To count the processors reads files of the control group, some 20 microseconds.
    let processors = || thread::available_parallelism().map_or(1, NonZero::get);
    let most = count / least.max(1);
    let runs = if most > 1 { processors().min(most) } else { 1 };
    (0..runs).map(|run| run * count / runs..(run + 1) * count / runs).collect()
}

/// Calls `work` for every part, each on a thread of its own, the last on this one. Results are in the parts' order.
pub fn map<P: Send, T: Send>(parts: Vec<P>, work: impl Fn(P) -> T + Sync) -> Vec<T> {
    let mut parts = parts;
    let Some(last) = parts.pop() else { return Vec::new() };
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        let own = work(last);
        let mut results: Vec<T> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        results.push(own);
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_everything_once_in_order() {
        for count in [0, 1, 7, 1_000] {
            for least in [0, 1, 10, 5_000] {
                let runs = runs(count, least);
                assert_eq!(
                    runs.iter().cloned().flatten().collect::<Vec<_>>(),
                    (0..count).collect::<Vec<_>>()
                );
                assert!(runs.len() == 1 || runs.iter().all(|run| run.len() >= least));
            }
        }
    }

    #[test]
    fn results_come_in_the_order_of_the_parts() {
        assert_eq!(
            map((0..9).collect(), |part: usize| part * 2),
            (0..9).map(|part| part * 2).collect::<Vec<_>>()
        );
    }
}
