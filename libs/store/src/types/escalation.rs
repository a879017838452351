//! How an urgent message is repeated and passed on until somebody answers: which step comes next, from what is known. Pure: the
//! clock and the database are the caller's.
//!
//! Steps are numbered from 1 in the order of the policy. A step that was passed over, because its time went by while no program
//! ran or because somebody handed the message on, is never made up for: only the highest one that is due is carried out.

use std::time::Duration;

use super::Timestamp;

/// How quickly an urgent message is repeated and passed on. Its sender chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UrgentPolicy {
    /// Reminders after 2, 5 and 10 minutes; everyone on staff is asked after 20.
    Fast,
    /// Reminders after 5, 15 and 30 minutes; everyone on staff is asked after an hour.
    Steady,
    /// One reminder after 5 minutes; everyone on staff is asked after half an hour.
    Once,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// Those whom it is for are reminded.
    Reminder,
    /// Their teammates who are there are asked as well.
    Teammates,
    /// Everyone on staff is asked.
    Everyone,
    /// The author is told that nobody answered. The last step.
    Unanswered,
}

impl StepKind {
    /// As it stands in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            StepKind::Reminder => "reminder",
            StepKind::Teammates => "teammates",
            StepKind::Everyone => "everyone",
            StepKind::Unanswered => "unanswered",
        }
    }
}

/// A step of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    minutes: u64,
}

const fn step(kind: StepKind, minutes: u64) -> Step {
    Step { kind, minutes }
}

// What a step does follows from its number, in pages and in the check of the log: another order of steps is another policy.
const FAST: &[Step] = &[
    step(StepKind::Reminder, 2),
    step(StepKind::Reminder, 5),
    step(StepKind::Reminder, 10),
    step(StepKind::Teammates, 15),
    step(StepKind::Everyone, 20),
    step(StepKind::Unanswered, 30),
];
const STEADY: &[Step] = &[
    step(StepKind::Reminder, 5),
    step(StepKind::Reminder, 15),
    step(StepKind::Reminder, 30),
    step(StepKind::Teammates, 45),
    step(StepKind::Everyone, 60),
    step(StepKind::Unanswered, 90),
];
const ONCE: &[Step] = &[
    step(StepKind::Reminder, 5),
    step(StepKind::Teammates, 15),
    step(StepKind::Everyone, 30),
    step(StepKind::Unanswered, 45),
];

// A policy that is none does not compile.
const _: () = assert!(is_sound(FAST) && is_sound(STEADY) && is_sound(ONCE));

/// Whether each step comes later than the one before, and reminders are followed by teammates, everyone and the author.
const fn is_sound(steps: &[Step]) -> bool {
    let (mut at, mut last) = (0, 0);
    while at < steps.len() {
        let expected = match steps.len() - at {
            3 => matches!(steps[at].kind, StepKind::Teammates),
            2 => matches!(steps[at].kind, StepKind::Everyone),
            1 => matches!(steps[at].kind, StepKind::Unanswered),
            _ => matches!(steps[at].kind, StepKind::Reminder),
        };
        if !expected || steps[at].minutes <= last {
            return false;
        }
        last = steps[at].minutes;
        at += 1;
    }
    steps.len() > 3
}

impl UrgentPolicy {
    /// All of them, in the order in which a sender chooses.
    pub const ALL: [UrgentPolicy; 3] = [UrgentPolicy::Fast, UrgentPolicy::Steady, UrgentPolicy::Once];

    /// As it is stored and written in forms.
    pub fn as_str(self) -> &'static str {
        match self {
            UrgentPolicy::Fast => "fast",
            UrgentPolicy::Steady => "steady",
            UrgentPolicy::Once => "once",
        }
    }

    /// The policy of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == name)
    }

    /// Its steps, in their order.
    pub fn steps(self) -> &'static [Step] {
        match self {
            UrgentPolicy::Fast => FAST,
            UrgentPolicy::Steady => STEADY,
            UrgentPolicy::Once => ONCE,
        }
    }
}

/// That somebody answered "Cannot: next, please".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedOn {
    /// When.
    pub at: Timestamp,
    /// The number of the newest step that had been carried out by then; 0 for none.
    pub after: usize,
}

/// What is known of an urgent message.
#[derive(Clone, Debug)]
pub struct Urgent<'u> {
    /// How it is passed on.
    pub policy: UrgentPolicy,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// The number of the newest step that was carried out; 0 for none.
    pub carried_out: usize,
    /// Who handed it on, in any order.
    pub handed_on: &'u [HandedOn],
    /// Somebody is on the way, it is done, or its author withdrew it.
    pub stopped: bool,
    /// Somebody is there who is a teammate and has no duty yet.
    pub has_teammates: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Nothing any more.
    None,
    /// Nothing before this time.
    At(Timestamp),
    /// This step, now.
    Due {
        /// Its number.
        number: usize,
        /// What it does.
        kind: StepKind,
    },
}

impl Urgent<'_> {
    /// What comes next at `now`.
    pub fn next(&self, now: Timestamp) -> NextStep {
        if self.stopped {
            return NextStep::None;
        }
        let steps = self.policy.steps();
        let ahead = || steps.iter().enumerate().skip(self.carried_out).map(|(before, step)| (before + 1, step));
        let due = ahead().rfind(|(number, _)| self.time_of(*number) <= now);
        match due {
            // Where no teammate can be asked, everyone is.
            Some((number, step)) if step.kind == StepKind::Teammates && !self.has_teammates => {
                match steps.get(number) {
                    Some(next) => NextStep::Due { number: number + 1, kind: next.kind },
                    None => NextStep::None,
                }
            }
            Some((number, step)) => NextStep::Due { number, kind: step.kind },
            None => ahead().map(|(number, _)| self.time_of(number)).min().map_or(NextStep::None, NextStep::At),
        }
    }

    /// When a step is due: its minutes after the sending; or, from the first step on that asks others, after the message was
    /// handed on to them.
    fn time_of(&self, number: usize) -> Timestamp {
        let minutes = |number: usize| self.policy.steps().get(number - 1).map_or(0, |step| step.minutes);
        let after = |from: Timestamp, minutes: u64| from.plus(Duration::from_secs(60 * minutes));
        match self.newest_handing_on() {
            Some((at, first)) if number >= first => after(at, minutes(number) - minutes(first)),
            _ => after(self.sent_at, minutes(number)),
        }
    }

    /// When the message was last handed on, and the number of the step that this made due. Of several before the same step the
    /// first counts.
    fn newest_handing_on(&self) -> Option<(Timestamp, usize)> {
        let newest = self.handed_on.iter().map(|handed| handed.after).max()?;
        let at = self.handed_on.iter().filter(|handed| handed.after == newest).map(|handed| handed.at).min()?;
        let mut ahead = self.policy.steps().iter().enumerate().skip(newest);
        let (before, _) = ahead.find(|(_, step)| step.kind != StepKind::Reminder)?;
        Some((at, before + 1))
    }
}

#[cfg(test)]
mod tests;
