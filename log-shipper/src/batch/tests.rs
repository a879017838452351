use proptest::prelude::*;

use super::*;

const START: i64 = 1_790_000_000_000;

fn event(millis: i64, length: usize) -> OutgoingEvent {
    OutgoingEvent { stamp: Timestamp::from_millis(START + millis), text: "x".repeat(length) }
}

fn planned(events: &mut [OutgoingEvent]) -> usize {
    plan(events.iter_mut())
}

#[test]
fn exactly_the_bytes_of_a_call_fit_and_one_more_does_not() {
    let quarter = MOST_BYTES / 4 - EVENT_OVERHEAD;
    assert_eq!(planned(&mut vec![event(0, quarter); 4]), 4);
    assert_eq!(planned(&mut vec![event(0, quarter); 5]), 4);
    let mut one_more = vec![event(0, quarter); 4];
    one_more[3].text.push('x');
    assert_eq!(planned(&mut one_more), 3);
}

#[test]
fn bytes_are_those_of_utf_8() {
    let mut events = vec![event(0, 0); 2];
    events[0].text = "€".repeat((MOST_BYTES - 2 * EVENT_OVERHEAD) / 3);
    let left = MOST_BYTES - size(&events[0]) - EVENT_OVERHEAD;
    events[1].text = "x".repeat(left);
    assert_eq!(planned(&mut events), 2);
    events[1].text.push('x');
    assert_eq!(planned(&mut events), 1);
}

#[test]
fn exactly_the_events_of_a_call_fit_and_one_more_does_not() {
    assert_eq!(planned(&mut vec![event(0, 1); MOST_EVENTS]), MOST_EVENTS);
    assert_eq!(planned(&mut vec![event(0, 1); MOST_EVENTS + 1]), MOST_EVENTS);
}

#[test]
fn exactly_a_day_fits_and_a_millisecond_more_does_not() {
    assert_eq!(planned(&mut [event(0, 1), event(LONGEST_SPAN, 1)]), 2);
    assert_eq!(planned(&mut [event(0, 1), event(LONGEST_SPAN + 1, 1)]), 1);
}

#[test]
fn a_clock_that_was_set_back_does_not_change_the_order() {
    let mut events = [event(100, 1), event(50, 2), event(70, 3), event(200, 4)];
    assert_eq!(planned(&mut events), 4);
    let stamps: Vec<_> = events.iter().map(|event| event.stamp.as_millis() - START).collect();
    assert_eq!(stamps, [100, 100, 100, 200]);
}

#[test]
fn nothing_makes_no_batch() {
    assert_eq!(planned(&mut []), 0);
}

#[test]
fn a_row_is_late_or_ahead_just_past_the_margins() {
    let now = Timestamp::from_millis(START);
    let moment = Duration::from_millis(1);
    assert_eq!(Age::of(now.minus(OLDEST), now), Age::Fresh);
    assert_eq!(Age::of(now.minus(OLDEST + moment), now), Age::Late);
    assert_eq!(Age::of(now.plus(FURTHEST_AHEAD), now), Age::Fresh);
    assert_eq!(Age::of(now.plus(FURTHEST_AHEAD + moment), now), Age::Ahead);
    // Within what the service takes, with room for a clock that is not ours.
    assert!(OLDEST < Duration::from_secs(14 * 86_400) && FURTHEST_AHEAD < Duration::from_secs(7_200));
}

/// Cuts events into batches as the shipper does, and checks each against the limits, written out once more.
fn cut(events: &mut [OutgoingEvent]) -> Vec<usize> {
    let lengths: Vec<_> = events.iter().map(|event| event.text.len()).collect();
    let (mut rest, mut counts, mut seen) = (events, Vec::new(), Vec::new());
    while !rest.is_empty() {
        let count = planned(rest);
        let (batch, after) = rest.split_at_mut(count);
        let bytes: usize = batch.iter().map(|event| event.text.len() + 26).sum();
        assert!((1..=10_000).contains(&count) && bytes <= 1_048_576);
        assert!(batch.is_sorted_by_key(|event| event.stamp));
        let span = |last: &OutgoingEvent| last.stamp.as_millis() - batch[0].stamp.as_millis();
        assert!(span(batch.last().unwrap()) <= 86_400_000);
        if let Some(next) = after.first() {
            let fits = bytes + next.text.len() + 26 <= 1_048_576 && count < 10_000 && span(next) <= 86_400_000;
            assert!(!fits, "the next one would have fitted");
        }
        seen.extend(batch.iter().map(|event| event.text.len()));
        counts.push(count);
        rest = after;
    }
    assert_eq!(seen, lengths, "an event was lost or moved");
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Bytes that come within three of a call's limit, cut into any number of events.
    #[test]
    fn at_the_limit_of_bytes(over in -3..=3_i64, cuts in proptest::collection::btree_set(1..1_000_usize, 3..8)) {
        // Every event of the batch but the last takes its share; the last one takes what is left to the limit, and `over`.
        let shares: Vec<usize> = cuts.iter().copied().collect();
        let mut events: Vec<_> = shares.iter().map(|share| event(0, share * 131)).collect();
        let used: usize = events.iter().map(size).sum();
        let left = i64::try_from(MOST_BYTES - used - EVENT_OVERHEAD).unwrap() + over;
        events.push(event(0, usize::try_from(left).unwrap()));
        events.push(event(0, 1));
        let all = events.len();
        // 27 bytes that are left hold another event of one byte; here at most 3 are.
        prop_assert_eq!(cut(&mut events), if over <= 0 { vec![all - 1, 1] } else { vec![all - 2, 2 ] });
    }

    /// Events that come within three of a call's limit, whatever time passes between them within a day.
    #[test]
    fn at_the_limit_of_events(over in -3..=3_i64, step in 0..8_639_i64) {
        let count = usize::try_from(10_000 + over).unwrap();
        let mut events: Vec<_> = (0..count).map(|index| event(i64::try_from(index).unwrap() * step, 1)).collect();
        prop_assert_eq!(cut(&mut events), if over <= 0 { vec![count] } else { vec![10_000, count - 10_000] });
    }

    /// A last event that comes within three milliseconds of a day after the first, with any events between, in any order.
    #[test]
    fn at_the_limit_of_time(over in -3..=3_i64, between in proptest::collection::vec(0..86_399_000_i64, 0..20)) {
        let mut events = vec![event(0, 1)];
        events.extend(between.iter().map(|millis| event(*millis, 1)));
        events.push(event(86_400_000 + over, 1));
        let all = events.len();
        prop_assert_eq!(cut(&mut events), if over <= 0 { vec![all] } else { vec![all - 1, 1] });
    }

    /// A row around the oldest and the newest time that is sent as its own.
    #[test]
    fn at_the_limits_of_age(off in -2_000..2_000_i64) {
        let now = Timestamp::from_millis(START);
        // 14 days less an hour; 2 hours less ten minutes.
        prop_assert_eq!(Age::of(Timestamp::from_millis(START - 1_206_000_000 + off), now) == Age::Late, off < 0);
        prop_assert_eq!(Age::of(Timestamp::from_millis(START + 6_600_000 + off), now) == Age::Ahead, off > 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Cut into batches, any events keep their order, lose none, and no batch passes a limit or could have been longer.
    #[test]
    fn batches_keep_to_every_limit_and_are_as_long_as_they_may_be(
        rows in proptest::collection::vec((-40_000_000..40_000_000_i64, prop_oneof![1..40_usize, 200_000..262_118_usize]), 1..60),
    ) {
        let mut at = 0;
        let mut events: Vec<_> = rows.iter().map(|(step, length)| { at += step; event(at, *length) }).collect();
        cut(&mut events);
    }
}
