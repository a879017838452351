//! What the ward's days are written in, and the order in which all of it happened: one act of one person after the other.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use store::UrgentPolicy;

use super::clinic::{HANDOVER, TEAMS, TEMPLATES};
use super::{days_before, today};

/// Minutes of an hour and of a day.
pub(super) const HOUR: u32 = 60;
pub(super) const DAY: u32 = 24 * HOUR;

/// How many minutes ago the database was made.
pub(super) const MADE: u32 = 4 * DAY + 10 * HOUR;

/// Somebody who has not done anything for so long has signed out in between,
const AWAY: u32 = 25;
/// so long after the last act.
const LINGERS: u32 = 3;

/// A conversation.
pub(super) struct Talk {
    /// How many minutes ago it began.
    pub(super) begun: u32,
    /// Who began it.
    pub(super) by: &'static str,
    /// No two have the same.
    pub(super) subject: &'static str,
    pub(super) body: &'static str,
    /// People and teams whom it is for.
    pub(super) to: &'static [&'static str],
    pub(super) urgent: Option<UrgentPolicy>,
    /// What came of it.
    then: &'static [Then],
}

/// A conversation for nobody in particular.
pub(super) const fn talk(
    begun: u32,
    by: &'static str,
    subject: &'static str,
    body: &'static str,
    then: &'static [Then],
) -> Talk {
    Talk { begun, by, subject, body, to: &[], urgent: None, then }
}

impl Talk {
    pub(super) const fn to(self, to: &'static [&'static str]) -> Talk {
        Talk { to, ..self }
    }

    pub(super) const fn urgent(self, policy: UrgentPolicy) -> Talk {
        Talk { urgent: Some(policy), ..self }
    }
}

/// What came of a conversation, so many minutes after the step before.
#[derive(Clone, Copy)]
pub(super) enum Then {
    /// Somebody opened and answered it.
    Reply(u32, &'static str, &'static str),
    /// These opened it.
    Opened(u32, &'static [&'static str]),
    /// Its author deleted the first message.
    Delete(u32, &'static str),
    /// Somebody said that the conversation is done.
    Done(u32, &'static str),
    /// Somebody said that what the message asks for is done.
    DutyDone(u32, &'static str),
    /// Somebody takes what it asks of a team.
    Taken(u32, &'static str),
    /// Somebody is on the way: it is urgent.
    OnMyWay(u32, &'static str),
}

/// A team and who is or was in it; who comes first has made it.
pub(super) struct Team(pub(super) &'static str, pub(super) &'static [Stay]);

/// Who, since how many minutes ago, and until how many minutes ago.
pub(super) struct Stay(pub(super) &'static str, pub(super) u32, pub(super) Option<u32>);

/// A template; its rows as they are typed.
pub(super) struct Template {
    pub(super) minutes_ago: u32,
    pub(super) by: &'static str,
    pub(super) name: &'static str,
    pub(super) rows: &'static str,
}

/// A form that was filled: the label and the text of each row, and who opened all of it so many minutes later.
pub(super) struct Handover {
    pub(super) minutes_ago: u32,
    pub(super) by: &'static str,
    pub(super) template: &'static str,
    pub(super) subject: &'static str,
    pub(super) rows: &'static [(&'static str, &'static str)],
    pub(super) opened: (u32, &'static [&'static str]),
}

/// One act of one person.
pub(super) struct Step {
    pub(super) minutes_ago: u32,
    pub(super) by: &'static str,
    pub(super) act: Act,
}

#[derive(Clone, Copy)]
pub(super) enum Act {
    SignIn,
    SignOut,
    MakeTeam(&'static str),
    JoinTeam(&'static str),
    LeaveTeam(&'static str),
    MakeTemplate(&'static Template),
    SendHandover(&'static Handover),
    OpenHandover,
    Begin(&'static Talk),
    /// In the conversation of this subject.
    In(&'static str, TalkAct),
}

#[derive(Clone, Copy)]
pub(super) enum TalkAct {
    Open,
    Reply(&'static str),
    Delete,
    Done,
    DutyDone,
    Take,
    OnMyWay,
}

/// All conversations.
pub(super) fn talks() -> impl Iterator<Item = &'static Talk> {
    days_before::TALKS.iter().chain(today::TALKS)
}

/// All that anybody did, in the order of time; what would not have happened yet is left out.
pub(super) fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = TEAMS.iter().flat_map(team).collect();
    steps.extend(TEMPLATES.iter().map(|template| step(template.minutes_ago, template.by, Act::MakeTemplate(template))));
    steps.push(step(HANDOVER.minutes_ago, HANDOVER.by, Act::SendHandover(&HANDOVER)));
    let (later, readers) = HANDOVER.opened;
    steps.extend(readers.iter().map(|by| step(HANDOVER.minutes_ago - later, by, Act::OpenHandover)));
    steps.extend(talks().flat_map(talk_steps));
    steps.extend(sessions(&steps));
    // Stable: what happened in the same minute stays in its order.
    steps.sort_by_key(|step| {
        let rank = match step.act {
            Act::SignIn => 0,
            Act::SignOut => 2,
            _ => 1,
        };
        (Reverse(step.minutes_ago), rank)
    });
    steps
}

fn step(minutes_ago: u32, by: &'static str, act: Act) -> Step {
    Step { minutes_ago, by, act }
}

fn team(Team(name, stays): &'static Team) -> Vec<Step> {
    let mut steps = Vec::new();
    for (number, Stay(who, since, until)) in stays.iter().enumerate() {
        let comes = if number == 0 { Act::MakeTeam(name) } else { Act::JoinTeam(name) };
        steps.push(step(*since, who, comes));
        steps.extend(until.map(|until| step(until, who, Act::LeaveTeam(name))));
    }
    steps
}

fn talk_steps(talk: &'static Talk) -> Vec<Step> {
    let mut ago = talk.begun;
    let mut steps = vec![step(ago, talk.by, Act::Begin(talk))];
    for then in talk.then {
        let (minutes, acts): (u32, Vec<(&'static str, TalkAct)>) = match *then {
            Then::Reply(minutes, by, body) => (minutes, vec![(by, TalkAct::Open), (by, TalkAct::Reply(body))]),
            Then::Opened(minutes, by) => (minutes, by.iter().map(|by| (*by, TalkAct::Open)).collect()),
            Then::Delete(minutes, by) => (minutes, vec![(by, TalkAct::Delete)]),
            Then::Done(minutes, by) => (minutes, vec![(by, TalkAct::Done)]),
            Then::DutyDone(minutes, by) => (minutes, vec![(by, TalkAct::DutyDone)]),
            Then::Taken(minutes, by) => (minutes, vec![(by, TalkAct::Take)]),
            Then::OnMyWay(minutes, by) => (minutes, vec![(by, TalkAct::OnMyWay)]),
        };
        let Some(later) = ago.checked_sub(minutes) else { break };
        ago = later;
        steps.extend(acts.into_iter().map(|(by, act)| step(ago, by, Act::In(talk.subject, act))));
    }
    steps
}

/// When each signed in and out so as to do all that.
fn sessions(acts: &[Step]) -> Vec<Step> {
    let mut times: BTreeMap<&'static str, Vec<u32>> = BTreeMap::new();
    for act in acts {
        times.entry(act.by).or_default().push(act.minutes_ago);
    }
    let mut steps = Vec::new();
    for (by, mut times) in times {
        times.sort_by_key(|ago| Reverse(*ago));
        for stay in times.chunk_by(|before, next| before - next < AWAY) {
            if let (Some(first), Some(last)) = (stay.first(), stay.last()) {
                steps.push(step(*first, by, Act::SignIn));
                steps.push(step(last.saturating_sub(LINGERS), by, Act::SignOut));
            }
        }
    }
    steps
}
