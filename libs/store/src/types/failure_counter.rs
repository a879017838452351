//! How many sign-ins failed lately, by address and by account, in bounded memory.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Timestamp, clip};

/// So many failures...
pub(crate) const FAILURES: usize = 10;
/// ... within this time raise an alert, and one alert stands for this long.
pub(crate) const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Addresses and accounts that are remembered. Beyond, those that failed longest ago are forgotten.
pub(crate) const MAX_SOURCES: usize = 10_000;
/// How many characters of an account's names are kept, as in the rows.
pub(crate) const CLIP: usize = 320;

/// What counts as one client: an IPv4 address, or the /64 that an IPv6 address lies in.
pub fn client_network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

/// What failed sign-ins have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum FailureSource {
    Network(IpAddr),
    Account { issuer: String, subject: String },
}

impl FailureSource {
    /// An account; of very long names, the beginning.
    pub(crate) fn account(issuer: &str, subject: &str) -> Self {
        FailureSource::Account { issuer: clip(issuer, CLIP).to_owned(), subject: clip(subject, CLIP).to_owned() }
    }
}

/// The last failures of a source, oldest first, and its last alert.
#[derive(Default)]
struct Recent {
    failures: VecDeque<Timestamp>,
    alerted: Option<Timestamp>,
}

impl Recent {
    fn newest(&self) -> Option<Timestamp> {
        self.failures.back().copied().max(self.alerted)
    }
}

/// Counts failed sign-ins by source, in bounded memory. Times come in any order: a clock can be set back.
pub(crate) struct FailureCounter {
    sources: HashMap<FailureSource, Recent>,
    max_sources: usize,
}

impl FailureCounter {
    pub(crate) fn new(max_sources: usize) -> Self {
        Self { sources: HashMap::new(), max_sources }
    }

    /// Counts a failure; whether an alert is due, which counts as raised from then on.
    pub(crate) fn failed(&mut self, source: FailureSource, at: Timestamp) -> bool {
        let recent = self.entry(source);
        recent.failures.push_back(at);
        if recent.failures.len() > FAILURES {
            recent.failures.pop_front();
        }
        let within = recent.failures.iter().filter(|failure| at.since(**failure) < WINDOW).count();
        let silent = recent.alerted.is_some_and(|alerted| at.since(alerted) < WINDOW);
        let due = within >= FAILURES && !silent;
        if due {
            recent.alerted = Some(at);
        }
        due
    }

    /// Counts so many at once; whether an alert is due. More than make it due need not be counted.
    pub(crate) fn failed_times(&mut self, source: &FailureSource, at: Timestamp, times: u64) -> bool {
        let times = usize::try_from(times).unwrap_or(FAILURES).min(FAILURES);
        (0..times).fold(false, |due, _| self.failed(source.clone(), at) | due)
    }

    /// Takes note of an alert that was raised before.
    pub(crate) fn alerted(&mut self, source: FailureSource, at: Timestamp) {
        let recent = self.entry(source);
        recent.alerted = recent.alerted.max(Some(at));
    }

    fn entry(&mut self, source: FailureSource) -> &mut Recent {
        if self.sources.len() >= self.max_sources && !self.sources.contains_key(&source) {
            self.make_room();
        }
        self.sources.entry(source).or_default()
    }

    /// Forgets the tenth that failed longest ago, so that the next many need no look at all of them.
    fn make_room(&mut self) {
        let mut times: Vec<_> = self.sources.values().map(Recent::newest).collect();
        let tenth = times.len() / 10;
        let (_, oldest, _) = times.select_nth_unstable(tenth);
        let oldest = *oldest;
        self.sources.retain(|_, recent| recent.newest() > oldest);
    }
}

/// The failures of late; empty until it is made from the rows.
#[derive(Default)]
pub(crate) struct FailedSignIns(Mutex<Option<FailureCounter>>);

impl FailedSignIns {
    /// The counter, for as long as the guard is held.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<FailureCounter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
