//! Whom messages are for, as their pages show it.

use rusqlite::{Connection, OptionalExtension};

use super::DutyAct;
use crate::store::Store;
use crate::types::{Action, Author, MessageId, PersonId, StoreError, TeamId, Timestamp};

/// That a message is or was for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DutyView {
    /// Who.
    pub person: Author,
    /// As one of this team, and what it is called today; None for somebody who was named.
    pub team: Option<(TeamId, String)>,
    /// It was so when the message was sent. Otherwise it was passed on to this person later.
    pub at_sending: bool,
    /// How it ended; None while it is open.
    pub ended: Option<DutyEnd>,
}

/// How a duty ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DutyEnd {
    /// What ended it.
    pub act: DutyAct,
    /// Who did it; None for an operator.
    pub by: Option<Author>,
    /// When.
    pub at: Timestamp,
}

/// Who of those whom a message is to be for can be reached now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Those who have no open session, by their numbers.
    pub away: Vec<Author>,
    /// How many have one.
    pub present: usize,
}

impl Store {
    /// Whom each of these messages is or was for: those who were named, then the teams; nothing for most.
    pub async fn duties(&self, messages: Vec<MessageId>) -> Result<Vec<Vec<DutyView>>, StoreError> {
        self.look_up(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            messages.into_iter().map(|message| duty_views(&snapshot, message)).collect()
        })
        .await
    }

    /// Who of these people, and of the members of these teams other than the sender, has an open session. Who was switched
    /// off is left out.
    pub async fn reach(
        &self,
        sender: PersonId,
        people: Vec<PersonId>,
        teams: Vec<TeamId>,
    ) -> Result<Reach, StoreError> {
        self.look_up(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut asked = people;
            for team in teams {
                asked.extend(super::members(&snapshot, team)?.into_iter().filter(|member| *member != sender));
            }
            asked.sort_unstable();
            asked.dedup();
            let mut select = snapshot.prepare_cached(
                "SELECT p.id, p.name, p.email, \
                 EXISTS (SELECT 1 FROM session s WHERE s.person_id = p.id AND s.ended_at IS NULL) \
                 FROM person p WHERE p.id = ?1 AND p.disabled_at IS NULL",
            )?;
            let mut reach = Reach::default();
            for person in asked {
                let found = select.query_row([person], |row| Ok((Author::from_row(row, 0)?, row.get(3)?)));
                match found.optional()? {
                    Some((_, true)) => reach.present += 1,
                    Some((person, false)) => reach.away.push(person),
                    None => {}
                }
            }
            Ok(reach)
        })
        .await
    }
}

/// Whom a message is or was for.
pub(in crate::acts) fn duty_views(connection: &Connection, message: MessageId) -> Result<Vec<DutyView>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT d.team_id, t.name, p.id, p.name, p.email, s.action = 'MESSAGE_CREATE', e.action, e.at, \
         o.id, o.name, o.email FROM duty d CROSS JOIN person p ON p.id = d.person_id \
         CROSS JOIN audit_log s ON s.id = d.since_by LEFT JOIN team t ON t.id = d.team_id \
         LEFT JOIN audit_log e ON e.id = d.ended_by LEFT JOIN person o ON o.id = e.person_id \
         WHERE d.message_id = ?1 ORDER BY d.team_id, d.since_by, p.name COLLATE NOCASE, p.id",
    )?;
    let found = select.query_map([message], |row| {
        let (team, name) = (TeamId::new(row.get(0)?), row.get::<_, Option<String>>(1)?);
        let by = if row.get::<_, Option<i64>>(8)?.is_some() { Some(Author::from_row(row, 8)?) } else { None };
        let ended = match row.get::<_, Option<String>>(6)? {
            None => None,
            Some(action) => Some(DutyEnd { act: act_of(&action), by, at: row.get(7)? }),
        };
        Ok(DutyView {
            person: Author::from_row(row, 2)?,
            team: team.map(|team| (team, name.unwrap_or_default())),
            at_sending: row.get(5)?,
            ended,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn act_of(action: &str) -> DutyAct {
    match Action::parse(action) {
        Some(Action::DutyTaken) => DutyAct::Taken,
        Some(Action::UrgentCannot) => DutyAct::Cannot,
        Some(Action::DutyMoved) => DutyAct::SwitchedOff,
        Some(Action::MessageDelete) => DutyAct::Deleted,
        Some(Action::MessageCreate) => DutyAct::Replied,
        _ => DutyAct::Done,
    }
}
