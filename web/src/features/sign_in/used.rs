//! Which attempts have come back already: each is good once.
//!
//! An attempt travels in its browser's cookie, so the browser can show it again, and each time would cost the provider a
//! question and the audit log a row. Memory is bounded: the oldest are forgotten once more than a generation have come after
//! them, which takes three hundred addresses within the ten minutes that an attempt is good for. A start of the program
//! forgets them too. One that is forgotten may come back once more, and is proved or refused as before.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// Attempts in each of two generations: half a megabyte in all.
const GENERATION: usize = 16_384;

/// Remembers attempts by a hash of their state, under a key that nobody knows.
#[derive(Default)]
pub struct UsedAttempts {
    hasher: RandomState,
    used: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl UsedAttempts {
    /// Uses the attempt with this `state`; false when it was used before.
    pub fn first_use(&self, state: &str) -> bool {
        let hash = self.hasher.hash_one(state);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.old.contains(&hash) || !used.young.insert(hash) {
            return false;
        }
        if used.young.len() >= GENERATION {
            used.old = std::mem::take(&mut used.young);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_good_once_and_memory_is_bounded() {
        let used = UsedAttempts::default();
        assert!(used.first_use("one") && used.first_use("other"));
        assert!(!used.first_use("one") && !used.first_use("other"));
        for number in 0..10 * GENERATION {
            assert!(used.first_use(&number.to_string()));
            if number + 2 < GENERATION {
                assert!(!used.first_use("one"), "after {number}");
            }
        }
        let kept = used.used.lock().unwrap();
        assert!(kept.young.len() + kept.old.len() <= 2 * GENERATION);
    }
}
