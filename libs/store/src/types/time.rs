//! Points in time: UTC milliseconds inside, RFC 3339 outside.
//!
//! The text form is part of the audit chain (an auditor hashes the text that was shipped), so there is exactly one way
//! to write a time: always UTC, always three decimals, always `Z`. The range is cut to the years 0000 to 9999, where
//! that form is defined.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Clock, SystemClock};

/// 0000-01-01T00:00:00.000Z
const EARLIEST: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z
const LATEST: i64 = 253_402_300_799_999;

/// UTC milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time by this machine's clock, for tests and where there is no store: a caller that has one asks
    /// [`Store::now`](crate::Store::now).
    pub fn now() -> Self {
        SystemClock.now()
    }

    /// A time from its milliseconds; one outside the years 0000 to 9999 becomes the nearest inside.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(EARLIEST, LATEST))
    }

    /// Milliseconds since 1970, negative before.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// The time `span` later.
    pub fn plus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(span)))
    }

    /// The time `span` earlier.
    pub fn minus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(millis(span)))
    }

    /// How long after `earlier` this is; zero where it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As `2026-11-22T21:10:05.123Z`.
    pub fn to_rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// Reads any RFC 3339 time, whatever its offset; what is finer than a millisecond is dropped.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let parsed = DateTime::parse_from_rfc3339(text).ok()?;
        Some(Self::from_millis(parsed.timestamp_millis()))
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_form_has_three_decimals_and_a_z() {
        let at = Timestamp::from_millis(1_795_381_805_123);
        assert_eq!(at.to_rfc3339(), "2026-11-22T21:10:05.123Z");
        assert_eq!(Timestamp::from_millis(0).to_rfc3339(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn the_ends_of_the_range_are_still_four_digit_years() {
        assert_eq!(Timestamp::from_millis(i64::MIN).to_rfc3339(), "0000-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_rfc3339(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::MAX).as_millis(), LATEST);
    }

    #[test]
    fn other_offsets_are_read_as_utc() {
        let at = Timestamp::parse_rfc3339("2026-11-22T22:10:05.123456+01:00").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-11-22T21:10:05.123Z");
        assert_eq!(Timestamp::parse_rfc3339("2026-11-22"), None);
    }

    #[test]
    fn a_span_against_the_clock_is_zero() {
        let early = Timestamp::from_millis(1_000);
        assert_eq!(early.since(early.plus(Duration::from_secs(5))), Duration::ZERO);
        assert_eq!(early.plus(Duration::from_secs(5)).since(early), Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn every_time_survives_its_text(millis in EARLIEST..=LATEST) {
            let at = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::parse_rfc3339(&at.to_rfc3339()), Some(at));
        }
    }
}
