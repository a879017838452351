//! Where a limit keeps its state: a map that never holds more than so many keys.
//!
//! Keys live in two generations. A key that is used moves into the young one; once that is full, it becomes the old one
//! and what the old one held is forgotten. So what was used least lately goes first, in constant time and without a
//! pause for sweeping. Forgetting gives nothing away: anyone who has more addresses than are remembered here is let
//! through as often with fresh ones.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;

/// State for at most twice `generation` keys.
pub(super) struct BoundedState<K> {
    generation: usize,
    maps: Mutex<Generations<K>>,
}

struct Generations<K> {
    young: HashMap<K, Nanos>,
    old: HashMap<K, Nanos>,
}

impl<K> BoundedState<K> {
    /// An empty one, with room for so many keys in each generation.
    pub(super) fn new(generation: usize) -> Self {
        Self { generation, maps: Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }) }
    }

    /// How many keys are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        maps.young.len() + maps.old.len()
    }
}

impl<K: Eq + Hash + Clone> StateStore for BoundedState<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = maps.young.get_mut(key) {
            let (outcome, next) = decide(Some(*state))?;
            *state = next;
            return Ok(outcome);
        }
        let before = maps.old.remove(key);
        let decided = decide(before);
        // A key that is refused has been used, too: it must not be forgotten for knocking on.
        let next = decided.as_ref().map_or(before, |(_, next)| Some(*next));
        if let Some(next) = next {
            if maps.young.len() >= self.generation {
                maps.old = std::mem::take(&mut maps.young);
            }
            maps.young.insert(key.clone(), next);
        }
        decided.map(|(outcome, _)| outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::num::NonZeroU32;
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;
    use governor::middleware::NoOpMiddleware;
    use governor::{Quota, RateLimiter};
    use proptest::prelude::*;

    use super::*;

    type Limiter = RateLimiter<u32, BoundedState<u32>, FakeRelativeClock, NoOpMiddleware<Nanos>>;

    fn limiter(generation: usize, clock: &FakeRelativeClock) -> Limiter {
        let quota = Quota::per_minute(NonZeroU32::new(5).unwrap());
        RateLimiter::new(quota, BoundedState::new(generation), clock.clone())
    }

    proptest! {
        /// Keys that fit are judged exactly as governor's own map judges them, whatever the order and the pauses.
        #[test]
        fn nothing_is_forgotten_while_there_is_room(asks in prop::collection::vec((0..40_u32, 0..20_u64), 1..400)) {
            let clock = FakeRelativeClock::default();
            let bounded = limiter(40, &clock);
            let unbounded = RateLimiter::hashmap_with_clock(Quota::per_minute(NonZeroU32::new(5).unwrap()), clock.clone());
            for (key, pause) in asks {
                clock.advance(Duration::from_secs(pause));
                prop_assert_eq!(bounded.check_key(&key).is_ok(), unbounded.check_key(&key).is_ok());
            }
        }

        /// Whatever is asked: no more keys than allowed, and nobody gets more than five at once and then one in twelve seconds
        /// as long as fewer others than a generation come in between.
        #[test]
        fn memory_is_bounded_and_who_keeps_coming_is_not_forgotten(
            others in prop::collection::vec(1..u32::MAX, 0..600),
            between in 1..9_usize,
        ) {
            let clock = FakeRelativeClock::default();
            let limiter = limiter(10, &clock);
            let mut passed = HashMap::new();
            for chunk in others.chunks(between) {
                *passed.entry(0).or_insert(0) += u32::from(limiter.check_key(&0).is_ok());
                for other in chunk {
                    let _ = limiter.check_key(other);
                }
                clock.advance(Duration::from_millis(100));
            }
            let seconds = u32::try_from(others.chunks(between).len()).unwrap() / 10;
            prop_assert!(passed.values().all(|count| *count <= 6 + seconds / 12));
            prop_assert!(limiter.into_state_store().len() <= 20);
        }
    }

    #[test]
    fn a_million_addresses_take_the_room_of_a_few() {
        let limiter = limiter(1_000, &FakeRelativeClock::default());
        for key in 0..1_000_000 {
            assert!(limiter.check_key(&key).is_ok(), "a first request is always let through");
        }
        assert!(limiter.into_state_store().len() <= 2_000);
    }
}
