//! What goes into one call: as many events, oldest first, as the limits of PutLogEvents allow. Pure: the time is an
//! argument.
//!
//! The limits are those of the API reference: 1,048,576 bytes counting the UTF-8 text and 26 bytes an event; 10,000 events;
//! 24 hours between the first and the last; in chronological order; nothing older than 14 days and nothing more than 2
//! hours ahead.

use std::time::Duration;

use store::Timestamp;

use crate::event::EVENT_OVERHEAD;

/// Bytes in one call.
pub const MOST_BYTES: usize = 1_048_576;
/// Events in one call.
pub const MOST_EVENTS: usize = 10_000;
/// Milliseconds between the first and the last event of one call.
pub const LONGEST_SPAN: i64 = 24 * 60 * 60 * 1000;
/// How old an event may be; an hour less than the service's 14 days, so that it is not too old on arrival.
pub const OLDEST: Duration = Duration::from_secs(14 * 24 * 60 * 60 - 60 * 60);
/// How far ahead an event may be; somewhat less than the service's 2 hours, since its clock is not ours.
pub const FURTHEST_AHEAD: Duration = Duration::from_secs(2 * 60 * 60 - 10 * 60);

/// One event to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// The time it is filed under.
    pub stamp: Timestamp,
    /// One line.
    pub text: String,
}

/// How a row's own time stands to what the service takes at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It is filed under its own time.
    Fresh,
    /// It is too old.
    Late,
    /// It is too far ahead.
    Ahead,
}

impl Age {
    /// That of a row written at `at`.
    pub fn of(at: Timestamp, now: Timestamp) -> Age {
        if at < now.minus(OLDEST) {
            Age::Late
        } else if at > now.plus(FURTHEST_AHEAD) {
            Age::Ahead
        } else {
            Age::Fresh
        }
    }
}

/// How many of these events, from the first on, make up one call. An event that is filed before the one in front of it (the
/// clock was set back) is filed under that one's time instead, since the order of the rows counts.
pub fn plan<'a>(events: impl Iterator<Item = &'a mut OutgoingEvent>) -> usize {
    let (mut taken, mut bytes) = (0, 0);
    let mut first_and_last: Option<(Timestamp, Timestamp)> = None;
    for event in events {
        let (first, last) = first_and_last.unwrap_or((event.stamp, event.stamp));
        let stamp = event.stamp.max(last);
        bytes += size(event);
        let span = stamp.as_millis() - first.as_millis();
        // The first one always goes: no event is longer than a call may be.
        if taken > 0 && (taken == MOST_EVENTS || bytes > MOST_BYTES || span > LONGEST_SPAN) {
            break;
        }
        event.stamp = stamp;
        first_and_last = Some((first, stamp));
        taken += 1;
    }
    taken
}

/// What an event counts for.
pub fn size(event: &OutgoingEvent) -> usize {
    event.text.len() + EVENT_OVERHEAD
}

#[cfg(test)]
mod tests;
