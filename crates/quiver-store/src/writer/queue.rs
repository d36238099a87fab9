//! Requests on their way to the writer's thread. A commit costs about as much with one request as with a
//! thousand, so requests made in one turn of an event loop are gathered before the thread takes them up.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::after::After;
use super::ops::{Completion, Op};

/// Requests in one transaction.
const GROUP: usize = 1_024;
/// Bytes of packed values in one transaction.
const GROUP_BYTES: usize = 8 << 20;
/// How long a gathered request waits for others at most, however long the turn takes: about a commit's time.
const GATHER: Duration = Duration::from_millis(2);

/// Bytes of packed values that the thread begins with while more are gathered: there is as much to do here as in
/// preparing them. Where nothing is synced they are committed by themselves. A sync takes longer than either and is one
/// for all: there what is gathered meanwhile follows into the same transaction. Half of what JavaScript hands over at
/// once, since there keys and facts count too.
const HEAVY: usize = 16 << 10;

/// What is committed on the thread that asks for it, where nothing is synced: requests and bytes of packed values.
const SHORT: usize = 64;
const SHORT_BYTES: usize = 1 << 20;

/// What to do, and whom to tell.
pub struct Request {
    pub op: Op,
    pub done: Completion,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    /// Bytes of packed values among them.
    bytes: usize,
    /// What other threads have left to do after their commits.
    left: Vec<After>,
    /// Present while more requests are expected to follow soon.
    gathering_since: Option<Instant>,
    /// Something came since the thread last looked.
    busy: bool,
    thread: Thread,
    closed: bool,
}

/// What the writer's thread does. While requests keep coming it looks for overdue ones by itself, so that nobody has
/// to wake it for those that are gathered.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Thread {
    #[default]
    Working,
    Watching,
    Asleep,
}

/// The queue.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    /// Whether commits are synced.
    durable: bool,
}

impl Queue {
    /// An empty one. `durable` = commits are synced.
    pub fn new(durable: bool) -> Self {
        Self { durable, ..Self::default() }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock().requests.len()
    }

    /// Adds a request, without waking the thread. After `close` it comes back.
    pub fn push(&self, request: Request) -> Result<(), Box<Request>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Box::new(request));
        }
        state.add(request);
        Ok(())
    }

    /// Adds a request that waits for others until `flush`, or two milliseconds, unless there is much to do already. After
    /// `close` it comes back.
    pub fn gather(&self, request: Request) -> Result<(), Box<Request>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Box::new(request));
        }
        state.add(request);
        let begins = state.is_much();
        if begins && !self.durable {
            state.gathering_since = None;
        } else {
            state.gathering_since.get_or_insert_with(Instant::now);
        }
        self.wake_if(&state, if begins { Thread::Watching } else { Thread::Asleep });
        Ok(())
    }

    /// Has the thread follow up a commit.
    pub fn push_after(&self, after: After) {
        let mut state = self.lock();
        state.left.push(after);
        self.wake_if(&state, Thread::Watching);
    }

    /// No more requests follow for now.
    pub fn flush(&self) {
        let mut state = self.lock();
        if state.gathering_since.take().is_some() {
            self.wake_if(&state, Thread::Watching);
        }
    }

    /// Has the thread take up what there is.
    pub fn wake(&self) {
        let mut state = self.lock();
        state.gathering_since = None;
        self.wake_if(&state, Thread::Watching);
    }

    /// Wakes the thread if it is no more awake than this.
    fn wake_if(&self, state: &MutexGuard<'_, State>, at_most: Thread) {
        if state.thread == Thread::Asleep || state.thread == at_most {
            self.arrived.notify_one();
        }
    }

    /// Takes no more requests; what is queued is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// For the thread: waits until there is something to do; false after `close`, once all has been taken.
    pub fn wait(&self) -> bool {
        let mut state = self.lock();
        loop {
            let none = state.requests.is_empty() && state.left.is_empty();
            if none && state.closed {
                return false;
            }
            let wait = match state.gathering_since {
                Some(since) if !state.is_much() => remaining(since),
                _ if none => GATHER,
                _ => Duration::ZERO,
            };
            if wait.is_zero() || state.closed || !state.left.is_empty() {
                state.thread = Thread::Working;
                return true;
            }
            if none && !std::mem::take(&mut state.busy) {
                state.thread = Thread::Asleep;
                state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                state.thread = Thread::Watching;
                (state, _) = self.arrived.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Requests that go into one transaction, in the order they came; none when there are none.
    pub fn take_group(&self) -> Option<Vec<Request>> {
        let mut state = self.lock();
        state.gathering_since = None;
        state.take_group(&mut Room::whole())
    }

    /// The same for the thread, which also takes in what is still being gathered. Nobody may wait for who gathers but the
    /// thread: he could be the one.
    pub fn begin_group(&self) -> Option<(Vec<Request>, Following<'_>)> {
        let mut state = self.lock();
        state.end_gathering_if(|since| !self.durable || remaining(since).is_zero());
        let gathering = state.gathering_since;
        let mut room = Room::whole();
        let requests = state.take_group(&mut room)?;
        Some((requests, Following { queue: self, gathering, room }))
    }

    /// What other threads have left to do.
    pub fn take_left(&self) -> Vec<After> {
        std::mem::take(&mut self.lock().left)
    }

    /// Whether what is queued is a few packed values, and nothing is left to do after commits before: files would pile
    /// up beyond the limits if they were removed more slowly than replaced.
    pub fn is_short(&self) -> bool {
        let state = self.lock();
        state.left.is_empty()
            && (1..=SHORT).contains(&weight(&state.requests))
            && state.bytes <= SHORT_BYTES
            && state.requests.iter().all(|request| request.op.packed().is_some())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, request: Request) {
        self.busy = true;
        self.bytes += request.op.packed().unwrap_or(0);
        self.requests.push(request);
    }

    /// Whether it is time to begin, whatever follows.
    fn is_much(&self) -> bool {
        self.bytes >= HEAVY || weight(&self.requests) >= GROUP
    }

    fn end_gathering_if(&mut self, is_over: impl FnOnce(Instant) -> bool) {
        if self.gathering_since.is_some_and(is_over) {
            self.gathering_since = None;
        }
    }

    /// As many as a transaction has room for; one where it is empty.
    fn take_group(&mut self, room: &mut Room) -> Option<Vec<Request>> {
        let is_empty = room.requests == GROUP;
        let mut count = self.requests.iter().take_while(|request| room.admit(&request.op)).count();
        if count == 0 {
            if self.requests.is_empty() || !is_empty {
                return None;
            }
            (count, room.requests) = (1, 0);
        }
        let rest = self.requests.split_off(count);
        let taken = std::mem::replace(&mut self.requests, rest);
        self.bytes -= bytes(&taken);
        Some(taken)
    }
}

/// What a transaction has room for still: requests, and bytes of packed values, of which the last may exceed it.
struct Room {
    requests: usize,
    bytes: usize,
}

impl Room {
    fn whole() -> Self {
        Self { requests: GROUP, bytes: GROUP_BYTES }
    }

    fn is_any(&self) -> bool {
        self.requests > 0 && self.bytes > 0
    }

    /// Gives room to a request; whether there is enough.
    fn admit(&mut self, op: &Op) -> bool {
        let weight = op.weight();
        let fits = weight <= self.requests && self.bytes > 0;
        if fits {
            self.requests -= weight;
            self.bytes = self.bytes.saturating_sub(op.packed().unwrap_or(0));
        }
        fits
    }
}

/// What follows the first requests of a transaction while it is open: those of the same turn of the event loop, in
/// portions that are worth a look. It ends with the turn, or two milliseconds after its first request.
pub struct Following<'q> {
    queue: &'q Queue,
    /// When the turn began to gather; none once it is over.
    gathering: Option<Instant>,
    room: Room,
}

impl Iterator for Following<'_> {
    type Item = Vec<Request>;

    fn next(&mut self) -> Option<Vec<Request>> {
        let since = self.gathering.filter(|_| self.room.is_any())?;
        let mut state = self.queue.lock();
        loop {
            state.end_gathering_if(|current| current == since && remaining(since).is_zero());
            if state.gathering_since != Some(since) || state.closed {
                self.gathering = None;
                break;
            }
            if state.is_much() {
                break;
            }
            state.thread = Thread::Watching;
            (state, _) = self
                .queue
                .arrived
                .wait_timeout(state, remaining(since))
                .unwrap_or_else(PoisonError::into_inner);
            state.thread = Thread::Working;
        }
        state.take_group(&mut self.room)
    }
}

fn remaining(since: Instant) -> Duration {
    GATHER.saturating_sub(since.elapsed())
}

fn weight(requests: &[Request]) -> usize {
    requests.iter().map(|request| request.op.weight()).sum()
}

/// Bytes of packed values.
fn bytes(requests: &[Request]) -> usize {
    requests.iter().filter_map(|request| request.op.packed()).sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::ops::{NewFacts, NewValue, Put};
    use super::super::packed::PackedBytes;
    use super::*;

    fn request() -> Request {
        Request { op: Op::Reclaim, done: Box::new(|_| {}) }
    }

    /// As many puts in one request, each of as many bytes.
    fn puts_of(count: usize, bytes: usize) -> Request {
        let put = || Put {
            namespace: "n".into(),
            key: PackedBytes::copy_of(b"k"),
            facts: NewFacts::default().into(),
            value: NewValue::Inline(PackedBytes::copy_of(&vec![0; bytes])),
            ticket: 0,
            fence: None,
            adoption: None,
        };
        Request { op: Op::PutMany(std::iter::repeat_with(put).take(count).collect()), done: Box::new(|_| {}) }
    }

    fn gather(queue: &Queue) -> bool {
        queue.gather(request()).is_ok()
    }

    fn queue_of(count: usize, more_follow: bool) -> Queue {
        let queue = Queue::default();
        for _ in 0..count {
            let pushed = if more_follow { gather(&queue) } else { queue.push(request()).is_ok() };
            assert!(pushed);
        }
        queue
    }

    fn next_len(queue: &Queue) -> Option<usize> {
        queue.wait().then(|| queue.take_group()).flatten().map(|group| group.len())
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
            assert!(gather(&queue));
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
    fn several_writes_in_one_request_count_as_many() {
        let queue = Queue::default();
        for count in [SHORT, GROUP - SHORT, 2 * GROUP, 1] {
            assert!(queue.push(puts_of(count, 100)).is_ok());
            assert_eq!(queue.is_short(), count == SHORT);
        }
        for requests in [2, 1, 1] {
            assert_eq!(next_len(&queue), Some(requests));
        }
    }

    #[test]
    fn much_work_is_begun_at_once_and_ends_the_gathering_where_nothing_is_synced() {
        for durable in [false, true] {
            let queue = Queue::new(durable);
            assert!(queue.gather(puts_of(2, HEAVY / 2)).is_ok());
            assert_eq!(queue.lock().gathering_since.is_some(), durable);
            assert!(queue.wait());
            let (requests, following) = queue.begin_group().unwrap();
            assert_eq!(requests.len(), 1);
            assert_eq!(following.gathering.is_some(), durable);
            assert!(queue.gather(puts_of(1, HEAVY / 2)).is_ok());
            assert!(queue.lock().gathering_since.is_some(), "what was taken counts no more");
        }
    }

    /// A synced turn of an event loop whose first requests have been taken.
    fn begun(queue: &Queue, first: Request) -> Following<'_> {
        assert!(queue.gather(first).is_ok());
        assert!(queue.wait());
        queue.begin_group().unwrap().1
    }

    fn lengths(following: Following<'_>) -> Vec<usize> {
        following.map(|requests| requests.len()).collect()
    }

    #[test]
    fn what_is_gathered_until_the_flush_follows_into_the_transaction() {
        let queue = Queue::new(true);
        let mut following = begun(&queue, puts_of(1, HEAVY));
        for _ in 0..3 {
            assert!(queue.gather(puts_of(1, HEAVY / 2)).is_ok());
        }
        assert_eq!(following.next().map(|requests| requests.len()), Some(3));
        std::thread::scope(|scope| {
            let rest = scope.spawn(|| lengths(following));
            assert!(gather(&queue));
            queue.flush();
            assert_eq!(rest.join().unwrap(), [1]);
        });
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn it_ends_with_the_turn_and_with_the_time_and_with_whoever_cannot_wait() {
        let queue = Queue::new(true);
        assert_eq!(lengths(begun(&queue, puts_of(1, HEAVY))), [0; 0], "nobody flushed");
        assert!(queue.lock().gathering_since.is_none());

        let following = begun(&queue, puts_of(1, HEAVY));
        queue.flush();
        assert!(gather(&queue));
        assert_eq!(lengths(following), [1], "what is there");
        assert!(queue.lock().gathering_since.is_some(), "of the next turn no more than that");
        queue.flush();

        let following = begun(&queue, puts_of(1, HEAVY));
        assert!(queue.push(request()).is_ok());
        queue.wake();
        assert_eq!(lengths(following), [1]);

        let following = begun(&queue, puts_of(1, HEAVY));
        assert!(gather(&queue));
        queue.close();
        assert_eq!(lengths(following), [1]);
    }

    #[test]
    fn no_more_follow_than_a_group_has_room_for() {
        for (count, size, most) in
            [(GROUP / 4, 100, 4), (GROUP / 3 + 1, 100, 2), (1, GROUP_BYTES / 4, 4), (2 * GROUP, 9, 1)]
        {
            let queue = Queue::new(true);
            let mut following = begun(&queue, puts_of(count, size));
            for portion in 2..=5 {
                assert!(queue.gather(puts_of(count, size)).is_ok());
                assert_eq!(following.next().is_some(), portion <= most, "portion {portion} of {count}");
            }
        }
    }

    #[test]
    fn a_full_transaction_waits_for_nobody() {
        let queue = Queue::new(true);
        let mut following = begun(&queue, puts_of(GROUP, 100));
        assert!(following.next().is_none());
        assert!(
            queue.lock().gathering_since.is_some(),
            "the turn is not over: nobody has waited for its end"
        );
    }

    #[test]
    fn what_comes_without_end_does_not_follow_for_ever() {
        let queue = Queue::new(true);
        let mut following = begun(&queue, puts_of(1, HEAVY));
        std::thread::sleep(GATHER);
        for expected in [true, false] {
            assert!(queue.gather(puts_of(1, HEAVY)).is_ok());
            assert_eq!(following.next().is_some(), expected);
        }
    }

    #[test]
    fn closing_hands_out_what_is_queued_and_takes_nothing_more() {
        let queue = queue_of(2, true);
        queue.close();
        assert!(queue.push(request()).is_err());
        assert_eq!(next_len(&queue), Some(2));
        assert_eq!(next_len(&queue), None);
    }
}
