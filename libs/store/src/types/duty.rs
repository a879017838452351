//! Duties: a message is for people and teams. Which of them an act ends; pure, so that the acts and the check of the log follow
//! the same rules.

use std::collections::BTreeSet;

use super::escalation::UrgentPolicy;
use super::{PersonId, TeamId};

/// Whom a message is for, as its sender chose, and whether it is urgent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Addressed {
    /// People by name.
    pub people: BTreeSet<PersonId>,
    /// Teams. Who is in them when the message is sent has the duty.
    pub teams: BTreeSet<TeamId>,
    /// How it is repeated and passed on until somebody answers; None where it is not urgent.
    pub urgent: Option<UrgentPolicy>,
}

impl Addressed {
    /// People and teams that a message can be for.
    pub const MAX: usize = 50;

    /// For nobody in particular.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && self.teams.is_empty()
    }

    /// Reads what [`Addressed`]'s Display writes; what is no part of it is left out.
    pub fn parse(text: &str) -> Self {
        let mut addressed = Self::default();
        for part in text.split_whitespace() {
            match part.split_once(':') {
                Some(("person", id)) => addressed.people.extend(id.parse::<PersonId>()),
                Some(("team", id)) => addressed.teams.extend(id.parse::<TeamId>()),
                Some(("urgent", name)) => addressed.urgent = UrgentPolicy::parse(name),
                _ => {}
            }
        }
        addressed
    }
}

/// `person:2 person:5 team:3 urgent:fast`
impl std::fmt::Display for Addressed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let people = self.people.iter().map(|person| format!("person:{person}"));
        let teams = self.teams.iter().map(|team| format!("team:{team}"));
        let urgent = self.urgent.iter().map(|policy| format!("urgent:{}", policy.as_str()));
        out.write_str(&people.chain(teams).chain(urgent).collect::<Vec<_>>().join(" "))
    }
}

/// That a message is for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duty {
    /// As one of this team; None for somebody who was named.
    pub team: Option<TeamId>,
    /// Who.
    pub person: PersonId,
}

/// What ends duties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DutyAct {
    /// "Done".
    Done,
    /// A reply in the conversation.
    Replied,
    /// "I take it": of a team's duty.
    Taken,
    /// "Cannot: next, please", of an urgent message.
    Cannot,
    /// The person may not sign in any more.
    SwitchedOff,
    /// The message was deleted.
    Deleted,
}

/// A message that is for somebody, as an act finds it.
#[derive(Clone, Debug)]
pub(crate) struct OpenDuties<'d> {
    /// It is urgent.
    pub(crate) urgent: bool,
    /// It is urgent, and was deleted by its author.
    pub(crate) withdrawn: bool,
    /// The duties that are open.
    pub(crate) open: &'d [Duty],
}

impl OpenDuties<'_> {
    /// The duties that an act of this person ends. One answer ends a team's duty; who was named ends the own one alone.
    pub(crate) fn ended_by(&self, act: DutyAct, person: PersonId) -> Vec<Duty> {
        let is_own = |duty: &&Duty| duty.person == person;
        let own_teams: BTreeSet<_> = self.open.iter().filter(is_own).filter_map(|duty| duty.team).collect();
        let has_own = self.open.iter().any(|duty| duty.person == person);
        let ends = |duty: &Duty| {
            let own = duty.person == person;
            let own_team = duty.team.is_some_and(|team| own_teams.contains(&team));
            match act {
                // Everybody whom it was for has to see that it was withdrawn.
                DutyAct::Done if self.withdrawn => own,
                // Who was not asked, and has done what was urgent, has done it for the teams.
                DutyAct::Done if self.urgent && !has_own => duty.team.is_some(),
                DutyAct::Done => own || own_team,
                DutyAct::Replied => !self.urgent && (own || own_team),
                DutyAct::Taken => own_team && !own,
                DutyAct::Cannot | DutyAct::SwitchedOff => own,
                DutyAct::Deleted => !self.urgent,
            }
        };
        self.open.iter().copied().filter(ends).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: i64) -> PersonId {
        PersonId::new(id).unwrap()
    }

    fn duty(team: i64, of: i64) -> Duty {
        Duty { team: TeamId::new(team), person: person(of) }
    }

    /// 1 is named and in team 7, as 2 is; 3 and 4 are in team 8, as 2 is.
    fn open() -> Vec<Duty> {
        vec![duty(0, 1), duty(7, 1), duty(7, 2), duty(8, 2), duty(8, 3), duty(8, 4)]
    }

    fn ended(urgent: bool, act: DutyAct, by: i64) -> Vec<Duty> {
        OpenDuties { urgent, withdrawn: false, open: &open() }.ended_by(act, person(by))
    }

    #[test]
    fn one_answer_ends_a_teams_duty_and_who_was_named_ends_the_own_one() {
        for act in [DutyAct::Done, DutyAct::Replied] {
            assert_eq!(ended(false, act, 3), [duty(8, 2), duty(8, 3), duty(8, 4)]);
            assert_eq!(ended(false, act, 1), [duty(0, 1), duty(7, 1), duty(7, 2)]);
            assert_eq!(ended(false, act, 2), [duty(7, 1), duty(7, 2), duty(8, 2), duty(8, 3), duty(8, 4)]);
            assert_eq!(ended(false, act, 9), []);
        }
    }

    #[test]
    fn a_reply_ends_nothing_that_is_urgent_and_who_was_not_asked_can_do_it_for_the_teams() {
        assert_eq!(ended(true, DutyAct::Replied, 3), []);
        assert_eq!(ended(true, DutyAct::Done, 9), [duty(7, 1), duty(7, 2), duty(8, 2), duty(8, 3), duty(8, 4)]);
        assert_eq!(ended(true, DutyAct::Cannot, 2), [duty(7, 2), duty(8, 2)]);
    }

    #[test]
    fn who_takes_it_leaves_the_duty_of_those_who_were_named() {
        assert_eq!(ended(false, DutyAct::Taken, 2), [duty(7, 1), duty(8, 3), duty(8, 4)]);
        assert_eq!(ended(false, DutyAct::Taken, 9), []);
    }

    #[test]
    fn what_was_withdrawn_is_ended_by_each_alone() {
        let open = open();
        let withdrawn = OpenDuties { urgent: true, withdrawn: true, open: &open };
        assert_eq!(withdrawn.ended_by(DutyAct::Done, person(3)), [duty(8, 3)]);
        assert_eq!(ended(true, DutyAct::Deleted, 9), []);
        assert_eq!(ended(false, DutyAct::Deleted, 9), open);
    }

    #[test]
    fn whom_a_message_is_for_survives_its_text() {
        let addressed = Addressed {
            people: [person(2), person(15)].into(),
            teams: TeamId::new(3).into_iter().collect(),
            urgent: Some(UrgentPolicy::Steady),
        };
        assert_eq!(addressed.to_string(), "person:2 person:15 team:3 urgent:steady");
        assert_eq!(Addressed::parse(&addressed.to_string()), addressed);
        assert_eq!(Addressed::parse("person:0 team:x urgent:never nothing "), Addressed::default());
        assert_eq!(Addressed::default().to_string(), "");
    }
}
