//! Limits how often the same line is logged, so that what goes on for long does not flood the log.

use std::time::{Duration, Instant};

/// The same line is logged once in this time, also where its reason comes and goes.
pub(crate) const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// When something was last said, so that it is not said again too soon.
#[derive(Default)]
pub(crate) struct LogThrottle {
    last: Option<Instant>,
}

impl LogThrottle {
    /// Whether it may be said now; then it counts as said.
    pub(crate) fn allows(&mut self, now: Instant, pause: Duration) -> bool {
        let may = self.last.is_none_or(|last| now.duration_since(last) >= pause);
        if may {
            self.last = Some(now);
        }
        may
    }
}
