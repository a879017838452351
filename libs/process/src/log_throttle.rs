//! Log lines about what others can make happen as often as they like: the first is written at once, and what follows it is
//! counted and reported in one line. So a flood of refusals is a few lines, and no line that matters is lost behind it: journald
//! drops what comes too fast, and rotated files go.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the same is reported.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// What was reported lately, and how often it has happened since. Kinds stand in the program's text, so they are few.
#[derive(Default)]
pub struct LogThrottle(Mutex<HashMap<&'static str, Kind>>);

struct Kind {
    reported: Instant,
    since: u64,
}

impl LogThrottle {
    /// Whether to write a line about this one; if not, it is counted.
    pub fn allows(&self, kind: &'static str, now: Instant) -> bool {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kinds.get_mut(kind) {
            Some(known) => known.since += 1,
            None => {
                kinds.insert(kind, Kind { reported: now, since: 0 });
                return true;
            }
        }
        false
    }

    /// What is to be reported now: each kind that has happened again, and how often since it was last reported. A kind that has not
    /// is forgotten, so that the next one is news.
    pub fn due(&self, now: Instant) -> Vec<(&'static str, u64)> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        kinds.retain(|kind, known| {
            if now.saturating_duration_since(known.reported) < REPORT_INTERVAL {
                return true;
            }
            let times = std::mem::take(&mut known.since);
            known.reported = now;
            if times > 0 {
                due.push((*kind, times));
            }
            times > 0
        });
        due
    }

    /// Writes a line for each kind that is to be reported now.
    pub fn report(&self, now: Instant) {
        for (kind, times) in self.due(now) {
            tracing::warn!(kind, times, seconds = REPORT_INTERVAL.as_secs(), "it happened again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_and_then_its_number_every_ten_seconds() {
        let (repeated, start) = (LogThrottle::default(), Instant::now());
        assert!(repeated.allows("form", start));
        assert!((0..399).all(|_| !repeated.allows("form", start)));
        assert!(repeated.allows("callback", start), "another kind");
        assert!(repeated.due(start + REPORT_INTERVAL - Duration::from_millis(1)).is_empty());
        assert_eq!(repeated.due(start + REPORT_INTERVAL), [("form", 399)]);
        assert!(!repeated.allows("form", start + REPORT_INTERVAL), "the flood goes on");
        assert_eq!(repeated.due(start + 2 * REPORT_INTERVAL), [("form", 1)]);
    }

    #[test]
    fn what_has_not_happened_for_ten_seconds_is_news_again() {
        let (repeated, start) = (LogThrottle::default(), Instant::now());
        assert!(repeated.allows("form", start));
        assert!(repeated.due(start + REPORT_INTERVAL).is_empty());
        assert!(repeated.allows("form", start + REPORT_INTERVAL));
    }
}
