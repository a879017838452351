//! What pressure on the connections did, told in one line each few seconds.

use std::time::{Duration, Instant};

/// Lines about pressure are written at most this often.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What was done because there were too many connections.
#[derive(Clone, Copy)]
pub(crate) enum Pressure {
    Evicted,
    Refused,
    PeerEvicted,
    PeerRefused,
    NoPermit,
    SlowReader,
}

/// Adds up what pressure did between lines of the log: a flood must not become one there.
#[derive(Default)]
pub(crate) struct PressureLog {
    counts: [u64; 6],
    last: Option<Instant>,
}

impl PressureLog {
    /// Counts it for the next line.
    pub(crate) fn note(&mut self, what: Pressure) {
        self.counts[what as usize] += 1;
    }

    /// Writes the line, where there is something to say and the last one is long enough ago.
    pub(crate) fn speak(&mut self) {
        let quiet = self.counts.iter().all(|count| *count == 0);
        if quiet || self.last.is_some_and(|last| last.elapsed() < LOG_EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        let [evicted, refused, peer_evicted, peer_refused, no_permit, slow_readers] = std::mem::take(&mut self.counts);
        tracing::warn!(
            evicted,
            refused,
            peer_evicted,
            peer_refused,
            no_permit,
            slow_readers,
            "too many connections: those that keep the site waiting longest are closed"
        );
    }
}
