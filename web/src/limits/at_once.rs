//! How many things somebody may have under way at once: counts by key, which are gone when they reach nothing.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts what is under way for each key.
pub(super) struct AtOnce<K>(Arc<Inner<K>>);

struct Inner<K> {
    of_one: usize,
    of_all: usize,
    under_way: Mutex<UnderWay<K>>,
}

struct UnderWay<K> {
    of: HashMap<K, usize>,
    all: usize,
}

/// One thing under way, until it is dropped.
pub struct Turn<K: Eq + Hash> {
    inner: Arc<Inner<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> AtOnce<K> {
    /// At most `of_one` for each key, and `of_all` together.
    pub(super) fn new(of_one: usize, of_all: usize) -> Self {
        let under_way = Mutex::new(UnderWay { of: HashMap::new(), all: 0 });
        Self(Arc::new(Inner { of_one, of_all, under_way }))
    }

    /// Begins one more, if there is room for it.
    pub(super) fn begin(&self, key: K) -> Option<Turn<K>> {
        let mut under_way = self.0.lock();
        let count = under_way.of.get(&key).copied().unwrap_or(0);
        if count >= self.0.of_one || under_way.all >= self.0.of_all {
            return None;
        }
        under_way.of.insert(key.clone(), count + 1);
        under_way.all += 1;
        Some(Turn { inner: Arc::clone(&self.0), key })
    }
}

impl<K> Inner<K> {
    fn lock(&self) -> MutexGuard<'_, UnderWay<K>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Turn<K> {
    fn drop(&mut self) {
        let mut under_way = self.inner.lock();
        under_way.all -= 1;
        if let Some(count) = under_way.of.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                under_way.of.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However things begin and end: never more than allowed of one or of all, never refused while there is room, and
        /// nothing is remembered of those who have nothing under way.
        #[test]
        fn as_many_as_there_is_room_for(steps in prop::collection::vec((0..6_u8, any::<prop::sample::Index>(), any::<bool>()), 0..200)) {
            let at_once = AtOnce::new(3, 10);
            let mut turns: Vec<(u8, Turn<u8>)> = Vec::new();
            for (key, which, ends) in steps {
                if ends && !turns.is_empty() {
                    drop(turns.swap_remove(which.index(turns.len())));
                    continue;
                }
                let room = turns.len() < 10 && turns.iter().filter(|(of, _)| *of == key).count() < 3;
                let turn = at_once.begin(key);
                prop_assert_eq!(turn.is_some(), room);
                turns.extend(turn.map(|turn| (key, turn)));
            }
            drop(turns);
            let under_way = at_once.0.lock();
            prop_assert!(under_way.of.is_empty() && under_way.all == 0);
        }
    }
}
