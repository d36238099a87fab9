//! The order of calls on one key. A value that goes to a file is ready later than a small one that was set after
//! it; a ticket drawn at the call decides which of them stays.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tickets and, for keys with a write under way, the newest that took effect.
#[derive(Debug, Default)]
pub struct Order {
    next: AtomicU64,
    under_way: Mutex<HashMap<u64, UnderWay>>,
}

#[derive(Debug, Default)]
struct UnderWay {
    writes: u32,
    newest: u64,
}

/// Keeps the order of one key while a write of it is being prepared.
#[derive(Debug, Clone, Copy)]
pub struct Preparing {
    hash: u64,
}

impl Order {
    /// A place in the order of calls, from now on.
    pub fn draw(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A write of this key takes time from now on; `finish` when it is committed or given up.
    pub fn begin(&self, namespace: &str, key: &[u8]) -> Preparing {
        let hash = hash(namespace, key);
        self.lock().entry(hash).or_default().writes += 1;
        Preparing { hash }
    }

    /// The write is committed or given up.
    pub fn finish(&self, write: Preparing) {
        let mut under_way = self.lock();
        if let Some(state) = under_way.get_mut(&write.hash) {
            state.writes -= 1;
            if state.writes == 0 {
                under_way.remove(&write.hash);
            }
        }
    }

    /// Where a write of the key is under way: how the key is known here, and the newest call on it that took effect.
    pub fn newest(&self, namespace: &str, key: &[u8]) -> Option<(u64, u64)> {
        let under_way = self.lock();
        if under_way.is_empty() {
            return None;
        }
        let hash = hash(namespace, key);
        under_way.get(&hash).map(|state| (hash, state.newest))
    }

    /// Calls took effect, which is once they are committed: one that is tried again must not have overtaken itself, nor
    /// one that failed any other.
    pub fn note(&self, effects: impl IntoIterator<Item = (u64, u64)>) {
        let mut under_way = self.lock();
        for (hash, ticket) in effects {
            if let Some(state) = under_way.get_mut(&hash) {
                state.newest = state.newest.max(ticket);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, UnderWay>> {
        self.under_way.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn hash(namespace: &str, key: &[u8]) -> u64 {
    quiver_io::sum64(namespace.as_bytes()).rotate_left(17) ^ quiver_io::sum64(key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_write_does_not_undo_what_was_called_after_it() {
        let order = Order::default();
        let write = order.begin("n", b"k");
        let slow = order.draw();
        let fast = order.draw();
        let (hash, newest) = order.newest("n", b"k").unwrap();
        assert!(newest < slow && slow < fast);
        order.note([(hash, fast), (hash, slow)]);
        assert_eq!(order.newest("n", b"k"), Some((hash, fast)));
        assert_eq!(order.newest("n", b"other"), None);
        order.finish(write);
        assert!(order.lock().is_empty());
    }
}
