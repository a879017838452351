//! Work that comes round by the wall clock, as sessions and grants end by it. A machine that slept, or whose clock was set,
//! does within a second what has become due; a timer would go on as if nothing had been.

use std::time::Duration;

use store::Timestamp;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Comes round each time the wall clock has gone on by a period, or was set back.
#[derive(Debug)]
pub struct WallClockInterval {
    period: Duration,
    last: Option<Timestamp>,
    look: Interval,
}

impl WallClockInterval {
    /// Comes round at once, and from then on after each `period` of more than a second.
    pub fn every(period: Duration) -> Self {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { period, last: None, look }
    }

    /// Resolves when the work is due by the clock that `now` reads, not before a look later than the last time.
    pub async fn tick(&mut self, now: impl Fn() -> Timestamp) {
        loop {
            self.look.tick().await;
            let now = now();
            if self.last.is_none_or(|last| is_due(last, now, self.period)) {
                self.last = Some(now);
                return;
            }
        }
    }
}

fn is_due(last: Timestamp, now: Timestamp, period: Duration) -> bool {
    // Of a clock that was set back: when the work was done last says nothing then.
    now < last || now.since(last) >= period
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn work_is_due_when_the_clock_has_gone_on_or_was_set() {
        let last = Timestamp::now();
        assert!(!is_due(last, last, MINUTE));
        assert!(!is_due(last, last.plus(MINUTE - Duration::from_millis(1)), MINUTE));
        assert!(is_due(last, last.plus(MINUTE), MINUTE));
        assert!(is_due(last, last.plus(60 * MINUTE), MINUTE), "the machine slept");
        assert!(is_due(last, last.minus(Duration::from_millis(1)), MINUTE), "the clock was set back");
    }
}
