//! Pages with messages that are for somebody.

use store::{PersonId, StepKind, TeamId, UrgentPolicy, UrgentState};

use super::*;

/// Two things are for the reader, one of them urgent; another is urgent for others.
pub(super) fn marks() -> Arc<DutyMarks> {
    let roots = |ids: &'static [i64]| ids.iter().filter_map(|id| MessageId::new(*id));
    Arc::new(DutyMarks {
        for_reader: roots(&[990, 984]).collect(),
        open: 3,
        urgent: Arc::new(roots(&[990, 987]).collect()),
    })
}

fn team(id: i64, name: &str, members: &[&str]) -> TeamChoice {
    TeamChoice {
        id: TeamId::new(id).unwrap(),
        name: name.into(),
        members: members.iter().map(|name| (*name).into()).collect(),
        can_be_asked: !members.is_empty(),
        chosen: false,
    }
}

fn person(id: i64, name: &str) -> PersonChoice {
    PersonChoice { id: PersonId::new(id).unwrap(), name: name.into(), email: None, chosen: false }
}

/// Nobody is chosen.
pub(super) fn recipients() -> RecipientsForm {
    let email = Some("bruno.keller@clinic.example".into());
    RecipientsForm {
        teams: vec![team(1, "On call", &[]), team(2, "Ward 3", &["Chiara Rossi", "李小龙"])],
        people: vec![
            PersonChoice { email, ..person(2, "Bruno Keller") },
            person(4, "Amina Diallo"),
            person(5, LONG_WORD),
            person(6, "李小龙"),
        ],
        ..RecipientsForm::default()
    }
}

/// A team and somebody by name, urgent.
fn urgent_recipients(error: Option<RecipientsError>) -> RecipientsForm {
    let mut recipients = recipients();
    recipients.teams.push(team(3, HOSTILE, &[HOSTILE]));
    recipients.people.push(PersonChoice { email: Some(HOSTILE.into()), ..person(7, HOSTILE) });
    recipients.teams[1].chosen = true;
    recipients.people[3].chosen = true;
    RecipientsForm { urgent: Some(UrgentPolicy::Steady), aware: "4 6".into(), error, ..recipients }
}

fn duties(for_reader: bool) -> DutiesView {
    DutiesView {
        whom: vec!["Ward 3".into(), HOSTILE.into()],
        for_reader,
        not_yet: vec!["Chiara Rossi".into(), HOSTILE.into()],
        ends: Vec::new(),
        urgent: None,
        buttons: DutyButtons { done: for_reader, take: for_reader, ..DutyButtons::default() },
    }
}

/// One that is done by now, with all that can end a duty.
fn ended_duties() -> DutiesView {
    let end = |what| DutyEndView { what, at: now() };
    let switched_off = DutyEnding::SwitchedOff { whom: HOSTILE.into(), now_for: vec!["Ward 3".into(), HOSTILE.into()] };
    let taken = DutyEnding::Taken("Chiara Rossi".into());
    let ends = vec![
        end(switched_off),
        end(taken),
        end(DutyEnding::Replied(HOSTILE.into())),
        end(DutyEnding::Done("李小龙".into())),
    ];
    DutiesView { ends, not_yet: Vec::new(), ..duties(false) }
}

fn urgent_duties(state: UrgentState) -> DutiesView {
    let answer = |by: &str, said, after| AnswerView { by: by.into(), said, at: now(), after };
    let goes_on = matches!(state, UrgentState::Waiting | UrgentState::OnTheWay);
    let mut answers = vec![answer(HOSTILE, UrgentState::Cannot, None)];
    if matches!(state, UrgentState::OnTheWay | UrgentState::Done) {
        answers.push(answer("Chiara Rossi", UrgentState::OnTheWay, Some((StepKind::Reminder, now()))));
    }
    if state == UrgentState::Done {
        answers.push(answer("Chiara Rossi", state, Some((StepKind::Reminder, now()))));
    }
    let steps = vec![
        StepsView { kind: StepKind::Reminder, at: vec![earlier(), now()] },
        StepsView { kind: StepKind::Teammates, at: vec![now()] },
    ];
    let next = (state == UrgentState::Waiting).then(|| (StepKind::Everyone, now()));
    let is_withdrawn = state == UrgentState::Withdrawn;
    DutiesView {
        urgent: Some(UrgentView {
            state,
            steps,
            next,
            answers,
            on_the_way: vec!["Chiara Rossi".into()],
            policy: policy_words(UrgentPolicy::Fast),
        }),
        buttons: DutyButtons {
            done: !is_withdrawn,
            seen: is_withdrawn,
            take: false,
            on_my_way: goes_on,
            cannot: goes_on,
        },
        ..duties(true)
    }
}

/// Messages for somebody, in every state.
fn conversation_for_somebody() -> ConversationPage {
    let one = |id, duties| ConversationMessageView {
        duties: Some(duties),
        readers: readers(2),
        ..view(id, "Bruno Keller", "Please check bed 4.", false)
    };
    let gone = MessageContentView::Deleted { at: now() };
    let withdrawn = one(996, urgent_duties(UrgentState::Withdrawn));
    ConversationPage {
        messages: vec![
            one(990, duties(true)),
            one(991, duties(false)),
            one(992, ended_duties()),
            one(993, urgent_duties(UrgentState::Waiting)),
            one(994, urgent_duties(UrgentState::OnTheWay)),
            one(995, urgent_duties(UrgentState::Done)),
            ConversationMessageView { content: gone, ..withdrawn },
        ],
        replies: 6,
        reply: ReplyForm { recipients: urgent_recipients(Some(RecipientsError::Nobody)), ..reply("") },
        ..message(SUBJECT, BODY, false)
    }
}

/// Every such page, by the name of its file.
pub(super) fn all() -> Vec<(&'static str, String)> {
    let html = |page: &dyn askama::DynTemplate| page.dyn_render().unwrap();
    vec![
        ("inbox-for-me-0", html(&InboxPage { tab: Tab::ForMe, updates_url: None, ..inbox(0) })),
        ("conversation-for", html(&conversation_for_somebody())),
        ("compose-alone", html(&ComposePage { recipients: RecipientsForm::default(), ..compose(SUBJECT, BODY) })),
        ("compose-for", html(&ComposePage { recipients: urgent_recipients(None), ..compose(SUBJECT, BODY) })),
        (
            "compose-away",
            html(&ComposePage {
                recipients: urgent_recipients(Some(RecipientsError::Away {
                    names: vec![HOSTILE.into(), "李小龙".into()],
                    present: 3,
                })),
                ..compose(SUBJECT, BODY)
            }),
        ),
        (
            "compose-person",
            html(&ComposePage {
                recipients: RecipientsForm {
                    error: Some(RecipientsError::Person(Some(HOSTILE.into()))),
                    left_out: vec![HOSTILE.into()],
                    ..recipients()
                },
                ..compose(SUBJECT, BODY)
            }),
        ),
        (
            "compose-team",
            html(&ComposePage {
                recipients: RecipientsForm { error: Some(RecipientsError::Team(Some(HOSTILE.into()))), ..recipients() },
                ..compose(SUBJECT, BODY)
            }),
        ),
        (
            "compose-too-many",
            html(&ComposePage {
                recipients: RecipientsForm { error: Some(RecipientsError::TooMany), ..recipients() },
                ..compose(SUBJECT, BODY)
            }),
        ),
    ]
}
