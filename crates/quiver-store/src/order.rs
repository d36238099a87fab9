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

    /// Whether a request takes effect: false when a later call on the key has already.
    pub fn admit(&self, namespace: &str, key: &[u8], ticket: u64) -> bool {
        let mut under_way = self.lock();
        if under_way.is_empty() {
            return true;
        }
        let Some(state) = under_way.get_mut(&hash(namespace, key)) else { return true };
        let admitted = ticket > state.newest;
        state.newest = state.newest.max(ticket);
        admitted
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, UnderWay>> {
        self.under_way.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn hash(namespace: &str, key: &[u8]) -> u64 {
    quiver_io::sum64(namespace.as_bytes()).rotate_left(17) ^ quiver_io::sum64(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_write_does_not_undo_what_was_called_after_it() {
        let order = Order::default();
        let write = order.begin("n", b"k");
        let slow = order.draw();
        let fast = order.draw();
        assert!(order.admit("n", b"k", fast));
        assert!(!order.admit("n", b"k", slow));
        assert!(order.admit("n", b"other", slow));
        order.finish(write);
        assert!(order.lock().is_empty());
    }
}
