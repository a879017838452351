//! How many things somebody may have under way at once: counts by key, which are gone when they reach nothing.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts what is under way for each key.
pub struct AtOnce<K>(Arc<Inner<K>>);

struct Inner<K> {
    of_one: usize,
    of_all: usize,
    under_way: Mutex<UnderWay<K>>,
}

struct UnderWay<K> {
    of: HashMap<K, usize>,
    all: usize,
}

/// What is under way for a key, until it is dropped: one thing, or so many units of something.
pub struct Turn<K: Eq + Hash> {
    inner: Arc<Inner<K>>,
    key: K,
    units: usize,
}

/// Why there is no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The key has as much as one may.
    One,
    /// All keys together have as much as they may.
    All,
}

impl<K: Eq + Hash + Clone> AtOnce<K> {
    /// At most `of_one` for each key, and `of_all` together.
    pub fn new(of_one: usize, of_all: usize) -> Self {
        let under_way = Mutex::new(UnderWay { of: HashMap::new(), all: 0 });
        Self(Arc::new(Inner { of_one, of_all, under_way }))
    }

    /// Begins one more, if there is room for it.
    pub fn begin(&self, key: K) -> Result<Turn<K>, Full> {
        self.begin_units(key, 1)
    }

    /// Takes so many units, if there is room for all of them.
    pub fn begin_units(&self, key: K, units: usize) -> Result<Turn<K>, Full> {
        self.0.take(&key, units)?;
        Ok(Turn { inner: Arc::clone(&self.0), key, units })
    }

    /// How many units are free, for all keys together.
    pub fn free(&self) -> usize {
        self.0.of_all - self.0.lock().all
    }
}

impl<K: Eq + Hash + Clone> Turn<K> {
    /// Takes more, up to so many units in all. What it has stays, also where there is no room for more.
    pub fn grow_to(&mut self, units: usize) -> Result<(), Full> {
        let more = units.saturating_sub(self.units);
        self.inner.take(&self.key, more)?;
        self.units += more;
        Ok(())
    }
}

impl<K: Eq + Hash + Clone> Inner<K> {
    fn take(&self, key: &K, units: usize) -> Result<(), Full> {
        let mut under_way = self.lock();
        let count = under_way.of.get(key).copied().unwrap_or(0);
        if units > self.of_one - count {
            return Err(Full::One);
        }
        if units > self.of_all - under_way.all {
            return Err(Full::All);
        }
        under_way.of.insert(key.clone(), count + units);
        under_way.all += units;
        Ok(())
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
        under_way.all -= self.units;
        if let Some(count) = under_way.of.get_mut(&self.key) {
            *count -= self.units;
            if *count == 0 {
                under_way.of.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However things begin, grow and end: never more than allowed of one or of all, never refused while there is room, and
        /// nothing is remembered of those who have nothing under way.
        #[test]
        fn as_many_as_there_is_room_for(
            steps in prop::collection::vec((0..6_u8, any::<prop::sample::Index>(), 0..3_u8, 1..3_usize), 0..200)
        ) {
            let at_once = AtOnce::new(3, 10);
            let mut turns: Vec<(u8, Turn<u8>)> = Vec::new();
            for (key, which, what, units) in steps {
                let all: usize = turns.iter().map(|(_, turn)| turn.units).sum();
                let of = |key: u8| turns.iter().filter(|(of, _)| *of == key).map(|(_, turn)| turn.units).sum::<usize>();
                let room = |key: u8, more: usize| match (of(key) + more <= 3, all + more <= 10) {
                    (false, _) => Err(Full::One),
                    (true, false) => Err(Full::All),
                    (true, true) => Ok(()),
                };
                prop_assert_eq!(at_once.free(), 10 - all);
                if what == 0 || turns.is_empty() {
                    let expected = room(key, units);
                    let turn = at_once.begin_units(key, units);
                    prop_assert_eq!(turn.as_ref().map(|_| ()).map_err(|full| *full), expected);
                    turns.extend(turn.ok().map(|turn| (key, turn)));
                } else if what == 1 {
                    let which = which.index(turns.len());
                    let more = units.saturating_sub(turns[which].1.units);
                    let expected = room(turns[which].0, more);
                    prop_assert_eq!(turns[which].1.grow_to(units), expected);
                } else {
                    drop(turns.swap_remove(which.index(turns.len())));
                }
            }
            drop(turns);
            let under_way = at_once.0.lock();
            prop_assert!(under_way.of.is_empty() && under_way.all == 0);
        }
    }
}
