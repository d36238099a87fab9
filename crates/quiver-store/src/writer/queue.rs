//! Requests on their way to the writer's thread. A commit costs about as much with one request as with a
//! thousand, so requests made in one turn of an event loop are gathered before the thread takes them up.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ops::{Completion, NewValue, Op};

/// Requests in one transaction.
const GROUP: usize = 1_024;
/// Bytes of packed values in one transaction.
const GROUP_BYTES: usize = 8 << 20;
/// How long a gathered request waits for others at most, however long the turn takes: about a commit's time.
const GATHER: Duration = Duration::from_millis(2);

/// What to do, and whom to tell.
pub struct Request {
    pub op: Op,
    pub done: Completion,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    /// Present while more requests are expected to follow soon.
    gathering_since: Option<Instant>,
    closed: bool,
}

/// The queue.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

impl Queue {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().requests.len()
    }

    /// Adds a request. With `more_follow` it waits for them until `flush`, or two milliseconds. After `close` the
    /// request comes back.
    pub fn push(&self, request: Request, more_follow: bool) -> Result<(), Box<Request>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Box::new(request));
        }
        if more_follow {
            state.gathering_since.get_or_insert_with(Instant::now);
        }
        state.requests.push(request);
        let first = state.requests.len() == 1;
        drop(state);
        // One that is gathered needs nobody awake but for the first, whose wait is timed.
        if first || !more_follow {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// No more requests follow for now.
    pub fn flush(&self) {
        if self.lock().gathering_since.take().is_some() {
            self.arrived.notify_one();
        }
    }

    /// Takes no more requests; what is queued is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Waits for requests; those that go into one transaction, in the order they came. None after `close`, once
    /// all have been handed out.
    pub fn next_group(&self) -> Option<Vec<Request>> {
        let mut state = self.lock();
        loop {
            if state.requests.is_empty() {
                if state.closed {
                    return None;
                }
                state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let left =
                state.gathering_since.map_or(Duration::ZERO, |since| GATHER.saturating_sub(since.elapsed()));
            if left.is_zero() || state.closed || state.requests.len() >= GROUP {
                state.gathering_since = None;
                return Some(take_group(&mut state.requests));
            }
            (state, _) = self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_group(requests: &mut Vec<Request>) -> Vec<Request> {
    let mut bytes = 0;
    let count = requests
        .iter()
        .take(GROUP)
        .take_while(|request| {
            let before = bytes;
            if let Op::Put(put) = &request.op
                && let NewValue::Inline(value) = &put.value
            {
                bytes += value.len();
            }
            before < GROUP_BYTES
        })
        .count();
    let rest = requests.split_off(count);
    std::mem::replace(requests, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request { op: Op::Reclaim, done: Box::new(|_| {}) }
    }

    fn queue_of(count: usize, more_follow: bool) -> Queue {
        let queue = Queue::default();
        for _ in 0..count {
            assert!(queue.push(request(), more_follow).is_ok());
        }
        queue
    }

    fn next_len(queue: &Queue) -> Option<usize> {
        queue.next_group().map(|group| group.len())
    }

    #[test]
    fn gathered_requests_wait_for_each_other_but_not_for_ever() {
        let queue = std::sync::Arc::new(queue_of(1, true));
        let thread = std::thread::spawn({
            let queue = std::sync::Arc::clone(&queue);
            move || next_len(&queue)
        });
        assert_eq!(thread.join().ok().flatten(), Some(1), "nobody flushed");
        for _ in 0..3 {
            assert!(queue.push(request(), true).is_ok());
        }
        queue.flush();
        assert_eq!(next_len(&queue), Some(3));
    }

    #[test]
    fn a_group_is_bounded_and_the_rest_keeps_its_turn() {
        let queue = queue_of(GROUP + 5, false);
        assert_eq!(next_len(&queue), Some(GROUP));
        assert_eq!(next_len(&queue), Some(5));
    }

    #[test]
    fn closing_hands_out_what_is_queued_and_takes_nothing_more() {
        let queue = queue_of(2, true);
        queue.close();
        assert!(queue.push(request(), false).is_err());
        assert_eq!(next_len(&queue), Some(2));
        assert_eq!(next_len(&queue), None);
    }
}
