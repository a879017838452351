//! What a store takes from outside: the time, and randomness for tokens, salts and ids. Handed in, so that tests move
//! the one and know the other; the real ones are the only place of this crate that asks the system.

use std::fmt;
use std::sync::Arc;

use super::Timestamp;

/// Tells the time.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Gives random bytes.
pub trait Random: fmt::Debug + Send + Sync {
    /// Overwrites all of `bytes` with random ones that are fit for secrets.
    ///
    /// # Panics
    /// Where there is no randomness. No token can be made safely then, and going on without one would be worse than stopping.
    fn fill(&self, bytes: &mut [u8]);
}

/// This machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

/// The operating system's randomness.
#[derive(Clone, Copy, Debug)]
pub struct SystemRandom;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(chrono::Utc::now().timestamp_millis())
    }
}

impl Random for SystemRandom {
    /// Linux does not fail here once it has booted.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    #[expect(clippy::expect_used, reason = "see the trait")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

/// Where a store takes time and randomness from. Cloning gives another handle to the same.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The randomness.
    pub random: Arc<dyn Random>,
}

impl Default for Environment {
    /// The system's.
    fn default() -> Self {
        Environment { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }
}

/// `N` random bytes.
pub(crate) fn random_bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}
