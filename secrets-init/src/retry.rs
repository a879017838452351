//! How long to wait before trying again, and when to give up. Pure: time and chance come in as arguments.
//!
//! At boot, network, role and clock may be a minute late; the pauses grow so that a machine that waits for its network
//! does not hammer the one thing that is up, and differ by chance so that machines started together do not call together.

use std::time::Duration;

use process::backoff;

/// No pause is longer: when the network comes, nobody should wait much longer for the site.
const LONGEST: Duration = Duration::from_secs(8);

/// The pause after so many failures, `elapsed` after the start, or `None` when it would reach the deadline. `chance` is
/// from 0 to 1 and moves the pause between half of what it may be and all of it.
pub(crate) fn pause(failures: u32, elapsed: Duration, deadline: Duration, chance: f64) -> Option<Duration> {
    let pause = backoff::pause(failures, LONGEST, chance);
    (elapsed + pause < deadline).then_some(pause)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Half of the longest first pause.
    const LEAST: Duration = Duration::from_millis(250);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn pauses_double_up_to_the_longest() {
        let longest: Vec<_> = (1..8).map(|failures| pause(failures, Duration::ZERO, HOUR, 1.0).unwrap()).collect();
        let expected = [500, 1000, 2000, 4000, 8000, 8000, 8000].map(Duration::from_millis);
        assert_eq!(longest, expected);
        assert_eq!(pause(3, Duration::ZERO, HOUR, 0.0), Some(Duration::from_secs(1)));
        assert_eq!(pause(u32::MAX, Duration::ZERO, HOUR, 1.0), Some(LONGEST));
    }

    #[test]
    fn a_pause_that_would_reach_the_deadline_is_the_end() {
        let deadline = Duration::from_secs(2);
        assert_eq!(pause(1, Duration::from_millis(1499), deadline, 1.0), Some(LEAST * 2));
        assert_eq!(pause(1, Duration::from_millis(1500), deadline, 1.0), None);
        assert_eq!(pause(1, HOUR, deadline, 0.0), None);
    }

    proptest! {
        #[test]
        fn whatever_happens_it_ends_at_the_deadline(chances in proptest::collection::vec(0.0..=1.0, 1..400), seconds in 1_u64..=3600) {
            let deadline = Duration::from_secs(seconds);
            let mut elapsed = Duration::ZERO;
            for (failures, chance) in (1..).zip(chances) {
                let Some(pause) = pause(failures, elapsed, deadline, chance) else { return Ok(()) };
                prop_assert!(pause >= LEAST && pause <= LONGEST);
                elapsed += pause;
                prop_assert!(elapsed < deadline);
            }
        }
    }
}
