//! A clock that goes on by itself, and that a test moves further.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use store::{Clock, Environment, Timestamp};

/// This machine's clock, ahead by what a test has added to it. Cloning gives another handle to the same.
#[derive(Clone, Debug, Default)]
pub struct MovableClock {
    ahead_millis: Arc<AtomicU64>,
}

impl MovableClock {
    /// Lets so much time pass at once, to the millisecond.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).expect("a time that a test can mean");
        self.ahead_millis.fetch_add(millis, Ordering::Relaxed);
    }

    /// What a store with this clock is opened with.
    pub fn environment(&self) -> Environment {
        Environment { clock: Arc::new(self.clone()), ..Environment::default() }
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Timestamp {
        Timestamp::now().plus(Duration::from_millis(self.ahead_millis.load(Ordering::Relaxed)))
    }
}
