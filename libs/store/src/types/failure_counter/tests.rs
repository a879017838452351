use proptest::prelude::*;

use super::*;
use crate::testing::*;

const MINUTE: i64 = 60_000;

fn v4(last: u8) -> FailureSource {
    FailureSource::Network(IpAddr::from([192, 0, 2, last]))
}

#[test]
fn the_tenth_failure_within_the_window_is_due_and_no_other_before_it_is_over() {
    let mut counter = FailureCounter::new(100);
    let due: Vec<bool> = (0..30).map(|second| counter.failed(v4(1), at(second * 1_000))).collect();
    assert_eq!(due.iter().filter(|due| **due).count(), 1);
    assert!(due[9]);
    assert!(!counter.failed(v4(1), at(9_000 + 5 * MINUTE - 1)), "the alert still stands");
    let again: Vec<bool> = (0..10).map(|_| counter.failed(v4(1), at(9_000 + 5 * MINUTE))).collect();
    assert_eq!(again.iter().filter(|due| **due).count(), 1, "{again:?}");
}

#[test]
fn slow_failures_and_those_of_others_are_not_added_up() {
    let mut counter = FailureCounter::new(100);
    assert!((0..100).all(|n| !counter.failed(v4(1), at(n * 34_000))), "nine in any five minutes");
    let mut counter = FailureCounter::new(100);
    assert!((0..90).all(|n| !counter.failed(v4(n % 10), at(i64::from(n)))), "nine from each of ten");
}

#[test]
fn a_whole_64_counts_as_one_address_and_a_mapped_address_as_what_it_maps() {
    let network = |text: &str| client_network(text.parse().unwrap()).to_string();
    assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(network("2001:db8:1:2:ffff::1"), network("2001:db8:1:2::9"));
    assert_ne!(network("2001:db8:1:3::1"), network("2001:db8:1:2::1"));
    assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
}

proptest! {
    /// However many addresses fail, in whatever order: no more are remembered than allowed, and one that fails ten times
    /// in a row is always found out.
    #[test]
    fn memory_is_bounded_and_a_burst_is_never_missed(
        noise in prop::collection::vec((any::<u32>(), 0..20 * MINUTE), 0..400),
        burst_at in 0..20 * MINUTE,
    ) {
        let mut counter = FailureCounter::new(50);
        for (address, time) in noise {
            counter.failed(FailureSource::Network(IpAddr::V4(address.into())), at(time));
            prop_assert!(counter.sources.len() <= 50);
        }
        let burst = FailureSource::account("issuer", "subject");
        let due = (0..10).filter(|n| counter.failed(burst.clone(), at(burst_at + n))).count();
        prop_assert_eq!(due, 1);
        prop_assert!(counter.sources.len() <= 50);
    }
}

#[test]
fn very_many_addresses_fit_and_the_one_that_goes_on_is_not_forgotten() {
    let mut counter = FailureCounter::new(MAX_SOURCES);
    let mut raised = 0;
    for address in 0..200_000_u32 {
        counter.failed(FailureSource::Network(IpAddr::V4(address.into())), at(i64::from(address)));
        raised += i64::from(address % 8_000 == 0 && counter.failed(v4(1), at(i64::from(address))));
        assert!(counter.sources.len() <= MAX_SOURCES);
    }
    assert_eq!(raised, 1);
}
