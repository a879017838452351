//! An outage that goes on: how it is told without flooding the log, and how long to wait before the next try.

use std::time::{Duration, Instant};

use process::backoff;

use crate::log_throttle::{LOG_INTERVAL, LogThrottle};

/// It never gives up, since an outage of a week must end with every row shipped; and when the service is back, nobody
/// should wait much longer for their rows.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One kind of outage, from its first failure to its end, and again.
#[derive(Default)]
pub(crate) struct Outage {
    failures: u32,
    throttle: LogThrottle,
    told: bool,
}

impl Outage {
    /// Counts a failure; whether it is to be told.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let tell = self.throttle.allows(now, LOG_INTERVAL);
        self.told |= tell;
        tell
    }

    /// How many failures in a row there were.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// How long to wait before the next try.
    pub(crate) fn pause(&self) -> Duration {
        backoff::pause(self.failures, LONGEST_PAUSE, backoff::chance())
    }

    /// All is well. Gives how many failures there were, where their end is to be told: theirs was.
    pub(crate) fn ended(&mut self) -> Option<u32> {
        let failures = std::mem::take(&mut self.failures);
        // When it was told last stays known: a service that answers every other call must not fill the log.
        (failures > 0 && std::mem::take(&mut self.told)).then_some(failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_that_lasts_is_told_once_a_minute() {
        let start = Instant::now();
        let mut outage = Outage::default();
        let said: Vec<u64> = (0..200).filter(|second| outage.failed(start + Duration::from_secs(*second))).collect();
        assert_eq!(said, [0, 60, 120, 180]);
        assert_eq!((outage.ended(), outage.ended()), (Some(200), None));
    }

    #[test]
    fn an_outage_that_comes_and_goes_is_told_no_more_often_and_an_end_only_of_what_was_told() {
        let start = Instant::now();
        let mut outage = Outage::default();
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        for second in 0..130 {
            if outage.failed(start + Duration::from_secs(second)) {
                begun.push(second);
            }
            if outage.ended().is_some() {
                ended.push(second);
            }
        }
        assert_eq!((begun, ended), (vec![0, 60, 120], vec![0, 60, 120]));
    }

    #[test]
    fn pauses_grow_while_it_lasts_and_begin_again() {
        let mut outage = Outage::default();
        let now = Instant::now();
        for _ in 0..30 {
            outage.failed(now);
        }
        assert!((LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(&outage.pause()));
        outage.ended();
        outage.failed(now);
        assert!(outage.pause() <= Duration::from_millis(500));
    }
}
