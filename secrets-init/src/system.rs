//! The one place of this program that asks the system for time and randomness. There is no store to ask, and no test needs to
//! know a token beforehand.

use std::time::SystemTime;

/// The time by this machine's clock, as AWS gives the end of credentials.
#[expect(clippy::disallowed_methods, reason = "the one place of this program that asks the system")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Overwrites all of `bytes` with random ones that are fit for secrets.
#[expect(clippy::disallowed_methods, reason = "the one place of this program that asks the system")]
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(bytes)
}
