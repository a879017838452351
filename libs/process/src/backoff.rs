//! How long to wait before trying again. Pure: chance comes in as an argument. Whether to give up, and when, is the
//! program's own affair.

use std::time::Duration;

/// The longest first pause; every further one may be twice as long as the one before.
const FIRST: Duration = Duration::from_millis(500);

/// The pause after so many failures in a row, never more than `longest`. `chance` is from 0 to 1, and moves the pause between
/// half of what it may be and all of it, so that machines that failed together do not come back together.
pub fn pause(failures: u32, longest: Duration, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let most = FIRST.saturating_mul(1 << doublings).min(longest);
    most.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

/// A number from 0 to 1.
#[expect(clippy::disallowed_methods, reason = "chance comes from here, and is handed on")]
pub fn chance() -> f64 {
    // Without randomness all machines come back together, which is no reason to stop.
    f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn pauses_double_up_to_the_longest() {
        let longest: Vec<_> = (1..10).map(|failures| pause(failures, MINUTE, 1.0).as_millis()).collect();
        assert_eq!(longest, [500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000]);
        assert_eq!(pause(3, MINUTE, 0.0), Duration::from_secs(1));
        assert_eq!(pause(u32::MAX, MINUTE, 1.0), MINUTE);
    }
}
