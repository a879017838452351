use proptest::prelude::*;

use super::*;

fn minute(minutes: u64) -> Timestamp {
    Timestamp::from_millis(1_795_381_805_123).plus(Duration::from_secs(60 * minutes))
}

fn urgent(policy: UrgentPolicy, handed_on: &[HandedOn]) -> Urgent<'_> {
    Urgent { policy, sent_at: minute(0), carried_out: 0, handed_on, stopped: false, has_teammates: true }
}

/// What is carried out by a program that looks at each of these minutes.
fn carried_out(mut urgent: Urgent<'_>, minutes: impl IntoIterator<Item = u64>) -> Vec<(u64, usize, StepKind)> {
    let mut found = Vec::new();
    for now in minutes {
        if let NextStep::Due { number, kind } = urgent.next(minute(now)) {
            assert!(number > urgent.carried_out, "a step comes once, and in its order");
            urgent.carried_out = number;
            found.push((now, number, kind));
        }
    }
    found
}

#[test]
fn each_step_comes_in_its_minute() {
    use StepKind::*;
    let all = carried_out(urgent(UrgentPolicy::Fast, &[]), 0..200);
    let expected = [
        (2, 1, Reminder),
        (5, 2, Reminder),
        (10, 3, Reminder),
        (15, 4, Teammates),
        (20, 5, Everyone),
        (30, 6, Unanswered),
    ];
    assert_eq!(all, expected);
    let minutes_of = |policy| carried_out(urgent(policy, &[]), 0..200).into_iter().map(|(minute, ..)| minute);
    assert!(minutes_of(UrgentPolicy::Steady).eq([5, 15, 30, 45, 60, 90]));
    assert!(minutes_of(UrgentPolicy::Once).eq([5, 15, 30, 45]));
    let after = Urgent { carried_out: 6, ..urgent(UrgentPolicy::Fast, &[]) };
    assert_eq!(after.next(minute(500)), NextStep::None);
    assert_eq!(urgent(UrgentPolicy::Steady, &[]).next(minute(0)), NextStep::At(minute(5)));
}

#[test]
fn after_an_hour_asleep_the_highest_one_that_is_due_is_carried_out_and_no_other() {
    let asleep = carried_out(urgent(UrgentPolicy::Fast, &[]), [0, 60, 61, 120]);
    assert_eq!(asleep, [(60, 6, StepKind::Unanswered)]);
    let asleep = carried_out(urgent(UrgentPolicy::Steady, &[]), [0, 61, 62, 120]);
    assert_eq!(asleep, [(61, 5, StepKind::Everyone), (120, 6, StepKind::Unanswered)]);
}

#[test]
fn where_no_teammate_is_there_everyone_is_asked_instead() {
    let alone = Urgent { has_teammates: false, ..urgent(UrgentPolicy::Once, &[]) };
    let found = carried_out(alone, 0..100);
    assert_eq!(found, [(5, 1, StepKind::Reminder), (15, 3, StepKind::Everyone), (45, 4, StepKind::Unanswered)]);
}

#[test]
fn who_cannot_hands_it_on_at_once_and_the_rest_follows_as_far_behind() {
    use StepKind::*;
    let handed = [HandedOn { at: minute(3), after: 1 }, HandedOn { at: minute(4), after: 1 }];
    let found = carried_out(Urgent { carried_out: 1, ..urgent(UrgentPolicy::Fast, &handed) }, 3..100);
    assert_eq!(found, [(3, 4, Teammates), (8, 5, Everyone), (18, 6, Unanswered)]);
    // One of the teammates cannot either.
    let handed = [HandedOn { at: minute(3), after: 1 }, HandedOn { at: minute(5), after: 4 }];
    let found = carried_out(Urgent { carried_out: 4, ..urgent(UrgentPolicy::Fast, &handed) }, 5..100);
    assert_eq!(found, [(5, 5, Everyone), (15, 6, Unanswered)]);
}

#[test]
fn an_answer_stops_it() {
    let stopped = Urgent { stopped: true, ..urgent(UrgentPolicy::Fast, &[]) };
    assert_eq!(stopped.next(minute(500)), NextStep::None);
}

#[test]
fn policies_have_names_and_grow_towards_telling_the_author() {
    for policy in UrgentPolicy::ALL {
        assert_eq!(UrgentPolicy::parse(policy.as_str()), Some(policy));
        let steps = policy.steps();
        assert!(steps.windows(2).all(|pair| pair[0].minutes < pair[1].minutes), "{policy:?}");
        let kinds: Vec<_> = steps.iter().map(|step| step.kind).filter(|kind| *kind != StepKind::Reminder).collect();
        assert_eq!(kinds, [StepKind::Teammates, StepKind::Everyone, StepKind::Unanswered], "{policy:?}");
    }
    assert_eq!(UrgentPolicy::parse("never"), None);
    let names = UrgentPolicy::Once.steps().iter().map(|step| step.kind.as_str());
    assert!(names.eq(["reminder", "teammates", "everyone", "unanswered"]));
}

/// The minutes after the sending at which each step is due, as a clerk with a list would work it out.
fn by_the_list(policy: UrgentPolicy, handed_on: &[HandedOn]) -> Vec<u64> {
    let mut due: Vec<u64> = policy.steps().iter().map(|step| step.minutes).collect();
    let newest = handed_on.iter().map(|handed| handed.after).max();
    let others = policy.steps().iter().position(|step| step.kind == StepKind::Teammates).unwrap();
    if let Some(newest) = newest {
        let first = newest.max(others);
        let at = handed_on.iter().filter(|handed| handed.after == newest).map(|handed| handed.at).min().unwrap();
        let at = at.since(minute(0)).as_secs() / 60;
        for number in (first..due.len()).rev() {
            due[number] = at + policy.steps()[number].minutes - policy.steps()[first].minutes;
        }
    }
    due
}

proptest! {
    /// Whenever a program looks, and whatever was answered: what is due by the list is carried out, once and in order.
    #[test]
    fn what_is_carried_out_is_what_a_list_says(
        which in 0..3_usize,
        looks in proptest::collection::vec(0..200_u64, 1..30),
        handed in proptest::collection::vec((0..200_u64, 0..6_usize), 0..4),
        has_teammates: bool,
    ) {
        let policy = UrgentPolicy::ALL[which];
        let handed_on: Vec<_> = handed.iter().map(|(at, after)| HandedOn { at: minute(*at), after: *after }).collect();
        let list = by_the_list(policy, &handed_on);
        let mut carried_out = 0;
        // The clock may jump in either direction.
        for now in looks {
            let known = Urgent { carried_out, has_teammates, ..urgent(policy, &handed_on) };
            let due = (carried_out..list.len()).rev().find(|number| list[*number] <= now).map(|number| number + 1);
            let asked = due.map(|number| match policy.steps()[number - 1].kind {
                StepKind::Teammates if !has_teammates => number + 1,
                _ => number,
            });
            match (known.next(minute(now)), asked) {
                (NextStep::Due { number, kind }, Some(expected)) => {
                    prop_assert_eq!(number, expected);
                    prop_assert_eq!(kind, policy.steps()[number - 1].kind);
                    carried_out = number;
                }
                (NextStep::At(time), None) => {
                    let next = list[carried_out..].iter().min().copied();
                    prop_assert_eq!(Some(time), next.map(minute));
                    prop_assert!(time > minute(now));
                }
                (NextStep::None, None) => prop_assert_eq!(carried_out, list.len()),
                (found, expected) => prop_assert!(false, "{:?} where {:?} is due", found, expected),
            }
        }
    }
}
