//! Who this process is, on which boot, and random numbers.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use crate::os;

/// A random number; not for secrets.
pub fn random_u64() -> u64 {
    // Each RandomState is keyed from the system's random source.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u64(0);
    hasher.finish()
}

/// Changes with every boot of the machine; empty where the system doesn't tell.
pub fn boot_id() -> String {
    os::boot_id()
}

/// Tells this process from every other on this host, containers with equal process numbers included: number,
/// start time, and the namespace that the number belongs to.
pub fn process_identity() -> String {
    format!("{}-{}", std::process::id(), os::process_origin())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn random_numbers_differ_across_threads_too() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1_000).map(|_| random_u64()).collect::<Vec<_>>()))
            .collect();
        let numbers: HashSet<u64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(numbers.len(), 4_000);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_identity_is_stable_and_complete() {
        let identity = process_identity();
        assert_eq!(identity, process_identity());
        let parts: Vec<u64> = identity.split('-').map(|part| part.parse().unwrap()).collect();
        assert_eq!((parts.len(), parts[0]), (3, u64::from(std::process::id())));
        assert_eq!(boot_id().len(), 36);
    }
}
