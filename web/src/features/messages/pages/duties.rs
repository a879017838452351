//! Whom a message is for, and what came of it: the part under the message.

use store::{StepKind, UrgentState};

use crate::app::pages::{Shown, Time};

/// Whom a message is for, and what came of it.
pub struct DutiesView {
    /// The teams and people that its sender chose.
    pub whom: Vec<Shown>,
    /// The reader has to do something about it.
    pub for_reader: bool,
    /// Those who have to do something about it and have not opened it; without the reader.
    pub not_yet: Vec<Shown>,
    /// What ended duties, the oldest first. Answers to what is urgent stand there.
    pub ends: Vec<DutyEndView>,
    /// Where it stands, if it is urgent.
    pub urgent: Option<UrgentView>,
    /// What the reader can answer.
    pub buttons: DutyButtons,
}

/// Something that ended duties.
pub struct DutyEndView {
    /// What.
    pub what: DutyEnding,
    /// When.
    pub at: Time,
}

/// What ended duties.
pub enum DutyEnding {
    /// This person has done it.
    Done(Shown),
    /// This person replied.
    Replied(Shown),
    /// This person took what was a team's.
    Taken(Shown),
    /// Somebody may not sign in any more.
    SwitchedOff {
        /// Who.
        whom: Shown,
        /// Whom it is for instead, where it went to others.
        now_for: Vec<Shown>,
    },
}

/// Where an urgent message stands.
pub struct UrgentView {
    /// In general.
    pub state: UrgentState,
    /// The steps that were carried out, those of one kind that follow each other together.
    pub steps: Vec<StepsView>,
    /// What comes next, and when.
    pub next: Option<(StepKind, Time)>,
    /// Who is on the way.
    pub on_the_way: Vec<Shown>,
    /// What was answered, in the order in which it came.
    pub answers: Vec<AnswerView>,
    /// How it is repeated.
    pub policy: &'static str,
}

/// Steps of one kind.
pub struct StepsView {
    /// What they did.
    pub kind: StepKind,
    /// When.
    pub at: Vec<Time>,
}

/// An answer to an urgent message.
pub struct AnswerView {
    /// Whose.
    pub by: Shown,
    /// What.
    pub said: UrgentState,
    /// When.
    pub at: Time,
    /// After which step; None where none had come.
    pub after: Option<(StepKind, Time)>,
}

/// What a reader can answer.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct DutyButtons {
    /// "Done".
    pub done: bool,
    /// "I have seen it": of one that was withdrawn.
    pub seen: bool,
    /// "I take it".
    pub take: bool,
    /// "On my way".
    pub on_my_way: bool,
    /// "Cannot: next, please".
    pub cannot: bool,
}

impl DutyButtons {
    pub(super) fn any(self) -> bool {
        self != Self::default()
    }
}

impl DutiesView {
    /// It is urgent, and nobody has answered.
    pub(super) fn is_waiting(&self) -> bool {
        self.urgent.as_ref().is_some_and(|urgent| urgent.state == UrgentState::Waiting)
    }
}
