//! Trouble that goes on: how it is told without flooding the log, and how long to wait before the next try.

use std::time::{Duration, Instant};

use process::backoff;

/// The same trouble is told once in this time, also where it comes and goes.
pub(crate) const LOUD: Duration = Duration::from_secs(60);
/// It never gives up, since an outage of a week must end with every row shipped; and when the service is back, nobody
/// should wait much longer for their rows.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One kind of trouble, from its first failure to its end, and again.
#[derive(Default)]
pub(crate) struct Trouble {
    failures: u32,
    loud: Loud,
    told: bool,
}

impl Trouble {
    /// Counts a failure; whether it is to be told.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let tell = self.loud.may_speak(now, LOUD);
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

/// When something was last said, so that it is not said again too soon.
#[derive(Default)]
pub(crate) struct Loud {
    last: Option<Instant>,
}

impl Loud {
    /// Whether it may be said now; then it counts as said.
    pub(crate) fn may_speak(&mut self, now: Instant, pause: Duration) -> bool {
        let may = self.last.is_none_or(|last| now.duration_since(last) >= pause);
        if may {
            self.last = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_lasts_is_told_once_a_minute() {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        let said: Vec<u64> = (0..200).filter(|second| trouble.failed(start + Duration::from_secs(*second))).collect();
        assert_eq!(said, [0, 60, 120, 180]);
        assert_eq!((trouble.ended(), trouble.ended()), (Some(200), None));
    }

    #[test]
    fn trouble_that_comes_and_goes_is_told_no_more_often_and_an_end_only_of_what_was_told() {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        for second in 0..130 {
            if trouble.failed(start + Duration::from_secs(second)) {
                begun.push(second);
            }
            if trouble.ended().is_some() {
                ended.push(second);
            }
        }
        assert_eq!((begun, ended), (vec![0, 60, 120], vec![0, 60, 120]));
    }

    #[test]
    fn pauses_grow_while_it_lasts_and_begin_anew() {
        let mut trouble = Trouble::default();
        let now = Instant::now();
        for _ in 0..30 {
            trouble.failed(now);
        }
        assert!((LONGEST_PAUSE / 2..=LONGEST_PAUSE).contains(&trouble.pause()));
        trouble.ended();
        trouble.failed(now);
        assert!(trouble.pause() <= Duration::from_millis(500));
    }
}
