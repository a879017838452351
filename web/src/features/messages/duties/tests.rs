use store::{DutyEnd, StepDone, StepKind, TeamId, UrgentPolicy};

use super::*;

const NAMES: [&str; 6] = ["", "Amina", "Tomáš", "Noor", "Hương", "Linh"];

fn id(number: i64) -> PersonId {
    PersonId::new(number).unwrap()
}

fn author(number: i64) -> Author {
    let name = NAMES[usize::try_from(number).unwrap()];
    Author { id: id(number), name: name.into(), email: format!("{number}@clinic.example") }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(60_000 * minute)
}

fn message(content: MessageContent) -> ConversationMessage {
    ConversationMessage { id: MessageId::new(7).unwrap(), author: author(1), sent_at: at(0), content }
}

/// Of the team "Ward 3", or by name.
fn duty(person: i64, of_team: bool) -> DutyView {
    let team = of_team.then(|| (TeamId::new(3).unwrap(), "Ward 3".to_owned()));
    DutyView { person: author(person), team, at_sending: true, ended: None }
}

fn ended(duty: DutyView, act: DutyAct, by: Option<i64>, minute: i64) -> DutyView {
    DutyView { ended: Some(DutyEnd { act, by: by.map(author), at: at(minute) }), ..duty }
}

fn urgent(state: UrgentState, answers: &[(i64, UrgentState, i64)]) -> UrgentMessage {
    UrgentMessage {
        message: MessageId::new(7).unwrap(),
        root: MessageId::new(7).unwrap(),
        author: author(1),
        sent_at: at(0),
        policy: UrgentPolicy::Fast,
        duties: Vec::new(),
        answers: answers.iter().map(|(who, said, minute)| (author(*who), *said, at(*minute))).collect(),
        steps: vec![
            StepDone { number: 1, kind: StepKind::Reminder, at: at(2) },
            StepDone { number: 2, kind: StepKind::Reminder, at: at(5) },
            StepDone { number: 4, kind: StepKind::Teammates, at: at(15) },
        ],
        state,
        next: Some((StepKind::Everyone, at(20))),
    }
}

fn view(duties: &[DutyView], urgent: Option<&UrgentMessage>, reader: i64) -> DutiesView {
    let message = message(MessageContent::Live("text".into()));
    let readers = [Reader { person: author(2), at: at(1) }];
    About { message: &message, duties, readers: &readers, urgent, reader: id(reader) }.view().unwrap()
}

fn names(shown: &[Shown]) -> Vec<String> {
    shown.iter().map(Shown::to_string).collect()
}

fn told(view: &DutiesView) -> Vec<String> {
    let one = |end: &DutyEndView| match &end.what {
        DutyEnding::Done(by) => format!("done {by}"),
        DutyEnding::Replied(by) => format!("replied {by}"),
        DutyEnding::Taken(by) => format!("taken {by}"),
        DutyEnding::SwitchedOff { whom, now_for } => format!("off {whom}: {}", names(now_for).join(", ")),
    };
    view.ends.iter().map(one).collect()
}

#[test]
fn teams_stand_before_people_and_who_has_not_opened_it_is_named() {
    let duties = [duty(2, false), duty(3, true), duty(4, true), duty(1, true)];
    let shown = view(&duties, None, 3);
    assert_eq!(names(&shown.whom), ["Ward 3", "Tomáš"]);
    assert_eq!(names(&shown.not_yet), ["Hương"], "Tomáš has opened it, Noor reads it, Amina wrote it");
    assert!(shown.for_reader);
    assert!(!view(&duties, None, 5).for_reader);
}

#[test]
fn only_what_is_a_teams_and_others_have_too_can_be_taken() {
    let buttons = |duties: &[DutyView], reader| view(duties, None, reader).buttons;
    let (done, take) = (
        DutyButtons { done: true, ..DutyButtons::default() },
        DutyButtons { done: true, take: true, ..DutyButtons::default() },
    );
    assert_eq!(buttons(&[duty(2, false), duty(3, true), duty(4, true)], 3), take);
    assert_eq!(buttons(&[duty(2, false), duty(3, true), duty(4, true)], 2), done);
    assert_eq!(buttons(&[duty(3, true)], 3), done);
    let taken = [duty(3, true), ended(duty(4, true), DutyAct::Taken, Some(3), 9)];
    assert_eq!(buttons(&taken, 3), done);
    assert_eq!(buttons(&taken, 4), DutyButtons::default());
}

#[test]
fn what_ended_duties_is_told_once_in_its_order() {
    let duties = [
        ended(duty(2, false), DutyAct::SwitchedOff, None, 30),
        ended(duty(3, true), DutyAct::Done, Some(3), 40),
        ended(duty(4, true), DutyAct::Done, Some(3), 40),
        ended(duty(5, false), DutyAct::Replied, Some(5), 10),
        DutyView { at_sending: false, ..duty(1, true) },
    ];
    assert_eq!(told(&view(&duties, None, 3)), ["replied Linh", "off Tomáš: Ward 3", "done Noor"]);
}

#[test]
fn an_answer_to_something_urgent_stands_after_the_step_that_it_followed() {
    let urgent = urgent(UrgentState::OnTheWay, &[(2, UrgentState::Cannot, 1), (3, UrgentState::OnTheWay, 6)]);
    let duties = [ended(duty(2, false), DutyAct::Cannot, Some(2), 1), duty(3, true)];
    let shown = view(&duties, Some(&urgent), 3);
    assert!(told(&shown).is_empty(), "answers stand among the answers");
    let shown = shown.urgent.unwrap();
    let steps: Vec<_> = shown.steps.iter().map(|steps| (steps.kind, steps.at.len())).collect();
    assert_eq!(steps, [(StepKind::Reminder, 2), (StepKind::Teammates, 1)]);
    let after: Vec<_> =
        shown.answers.iter().map(|answer| answer.after.as_ref().map(|(kind, at)| (*kind, at.iso.clone()))).collect();
    assert_eq!(after, [None, Some((StepKind::Reminder, at(5).to_rfc3339()))]);
}

#[test]
fn who_may_answer_something_urgent_is_offered_it() {
    let duties = [duty(2, false)];
    let buttons = |state, reader| {
        let answers = if state == UrgentState::OnTheWay { vec![(3, state, 6)] } else { vec![] };
        let DutyButtons { done, seen, take, on_my_way, cannot } =
            view(&duties, Some(&urgent(state, &answers)), reader).buttons;
        assert!(!take);
        let words = [(done, "done"), (seen, "seen"), (on_my_way, "on my way"), (cannot, "cannot")];
        words.into_iter().filter(|(is_there, _)| *is_there).map(|(_, word)| word).collect::<Vec<_>>()
    };
    assert_eq!(buttons(UrgentState::Waiting, 2), ["done", "on my way", "cannot"]);
    assert_eq!(buttons(UrgentState::Waiting, 1), ["done", "on my way"], "its author");
    assert_eq!(buttons(UrgentState::Waiting, 5), ["on my way"], "anybody on staff");
    assert_eq!(buttons(UrgentState::OnTheWay, 3), ["done", "cannot"], "who is on the way");
    assert_eq!(buttons(UrgentState::Done, 2), ["done"]);
    assert_eq!(buttons(UrgentState::Done, 5), [""; 0]);
    assert_eq!(buttons(UrgentState::Withdrawn, 2), ["seen"]);
    assert_eq!(buttons(UrgentState::Withdrawn, 1), [""; 0]);
}

#[test]
fn of_a_deleted_message_only_what_was_urgent_is_told() {
    let message = message(MessageContent::Deleted(at(9)));
    let duties = [ended(duty(2, false), DutyAct::Deleted, Some(1), 9)];
    let about = About { message: &message, duties: &duties, readers: &[], urgent: None, reader: id(2) };
    assert!(about.view().is_none());
    let withdrawn = urgent(UrgentState::Withdrawn, &[]);
    let duties = [duty(2, false)];
    let shown = About { duties: &duties, urgent: Some(&withdrawn), ..about }.view().unwrap();
    assert!(shown.not_yet.is_empty(), "there is nothing to open");
}
