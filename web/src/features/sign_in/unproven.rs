//! Failed sign-ins of which nothing proves that they began at the identity provider: no code, a code that it does not know, an
//! error that anybody can write into the address, a provider that does not answer. Anybody can make as many as they like, and
//! the audit log keeps its rows forever, so at most one row a minute stands for all of them. The first is written at once.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use store::{UnprovenSignIns, client_network};

/// A row stands for the failures of so long.
pub const ROW_EVERY: Duration = Duration::from_secs(60);
/// Addresses that are told apart within that time; of more, only the failures are counted.
const MOST_ADDRESSES: usize = 4_096;

/// Sums failures up until their row is due.
#[derive(Default)]
pub struct Unproven(Mutex<State>);

#[derive(Default)]
struct State {
    last_row: Option<Instant>,
    sum: Sum,
}

#[derive(Default)]
struct Sum {
    failures: u64,
    reasons: BTreeMap<&'static str, u64>,
    /// By network: the first address that was seen of it, and the failures.
    addresses: HashMap<IpAddr, (IpAddr, u64)>,
}

impl Unproven {
    /// Counts a failure. Gives what is to be written down now, if a row is due.
    pub fn failed(&self, reason: &'static str, ip: IpAddr, now: Instant) -> Option<UnprovenSignIns> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = &mut state.sum;
        sum.failures += 1;
        *sum.reasons.entry(reason).or_default() += 1;
        let network = client_network(ip);
        if sum.addresses.len() < MOST_ADDRESSES || sum.addresses.contains_key(&network) {
            sum.addresses.entry(network).or_insert((ip, 0)).1 += 1;
        }
        state.take_when_due(now)
    }

    /// What is to be written down now, if a row is due.
    pub fn due(&self, now: Instant) -> Option<UnprovenSignIns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take_when_due(now)
    }

    /// What there is, due or not: the program stops.
    pub fn rest(&self) -> Option<UnprovenSignIns> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).sum).into_row()
    }
}

impl State {
    fn take_when_due(&mut self, now: Instant) -> Option<UnprovenSignIns> {
        if self.last_row.is_some_and(|last| now.saturating_duration_since(last) < ROW_EVERY) {
            return None;
        }
        let row = std::mem::take(&mut self.sum).into_row()?;
        self.last_row = Some(now);
        Some(row)
    }
}

impl Sum {
    fn into_row(self) -> Option<UnprovenSignIns> {
        let (ip, from_ip) = *self.addresses.values().max_by_key(|(ip, failures)| (*failures, *ip))?;
        Some(UnprovenSignIns {
            failures: self.failures,
            reasons: self.reasons.into_iter().collect(),
            addresses: self.addresses.len(),
            ip,
            from_ip,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(number: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, number])
    }

    #[test]
    fn the_first_is_a_row_at_once_and_a_minutes_worth_is_one() {
        let (unproven, start) = (Unproven::default(), Instant::now());
        let first = unproven.failed("no_code", ip(1), start).unwrap();
        assert_eq!((first.failures, first.reasons, first.ip), (1, vec![("no_code", 1)], ip(1)));
        for number in 0..100 {
            let reason = if number < 60 { "invalid_grant" } else { "no_code" };
            let address = if number % 2 == 0 { ip(7) } else { ip(number) };
            assert_eq!(unproven.failed(reason, address, start + Duration::from_millis(number.into())), None);
        }
        assert_eq!(unproven.due(start + ROW_EVERY - Duration::from_millis(1)), None);
        let sum = unproven.due(start + ROW_EVERY).unwrap();
        assert_eq!((sum.failures, sum.reasons), (100, vec![("invalid_grant", 60), ("no_code", 40)]));
        assert_eq!((sum.addresses, sum.ip, sum.from_ip), (50, ip(7), 51));
        assert_eq!(unproven.due(start + 2 * ROW_EVERY), None, "nothing has happened");
        assert!(unproven.failed("no_code", ip(1), start + 2 * ROW_EVERY).is_some());
        assert_eq!(unproven.failed("no_code", ip(1), start + 2 * ROW_EVERY), None);
        assert_eq!(unproven.rest().unwrap().failures, 1);
        assert_eq!(unproven.rest(), None);
    }

    #[test]
    fn more_addresses_than_are_told_apart_are_counted_all_the_same() {
        let (unproven, start) = (Unproven::default(), Instant::now());
        for number in 0..10_000_u32 {
            unproven.failed("no_code", IpAddr::from(number.to_be_bytes()), start);
        }
        // One of those that are told apart goes on being counted by itself.
        let known = IpAddr::from(7_u32.to_be_bytes());
        for _ in 0..5 {
            unproven.failed("no_code", known, start);
        }
        let sum = unproven.rest().unwrap();
        assert_eq!((sum.failures, sum.addresses), (9_999 + 5, MOST_ADDRESSES));
        assert_eq!((sum.ip, sum.from_ip), (known, 6));
    }
}
