//! Duties: a message is for people and teams. Addressing gives them duties, never access: everybody on staff reads everything.
//!
//! What is kept of it follows from the log by the rules of [`OpenDuties`], and the check of the whole chain holds it against
//! that.

mod answer;
mod marks;
mod moved;
mod view;

use rusqlite::{Connection, OptionalExtension};

pub(super) use self::answer::end_by_reply;
pub use self::answer::{DutyChange, UrgentAnswer};
pub use self::marks::OwnDuties;
pub(super) use self::moved::move_duties;
pub(super) use self::view::duty_views;
pub use self::view::{DutyEnd, DutyView, Reach};
use crate::sqlite::write::Write;
use crate::types::{
    Addressed, AuditId, Duty, DutyAct, MessageId, OpenDuties, PersonId, StoreError, TeamId, UrgentPolicy,
};

/// Why a message cannot be for those whom its sender chose. Nothing was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// There is no such person, or the person was switched off.
    Person(PersonId),
    /// Nobody but the author is in this team, or there is no such team.
    EmptyTeam(TeamId),
    /// It is urgent, and for nobody.
    Nobody,
    /// There are more people and teams than [`Addressed::MAX`].
    TooMany,
}

/// The duties that a message of this author gives.
pub(super) fn resolve(
    connection: &Connection,
    author: PersonId,
    addressed: &Addressed,
) -> Result<Result<Vec<Duty>, AddressError>, StoreError> {
    if addressed.urgent.is_some() && addressed.is_empty() {
        return Ok(Err(AddressError::Nobody));
    }
    if addressed.people.len() + addressed.teams.len() > Addressed::MAX {
        return Ok(Err(AddressError::TooMany));
    }
    let mut duties = Vec::new();
    for person in &addressed.people {
        if !is_enabled(connection, *person)? {
            return Ok(Err(AddressError::Person(*person)));
        }
        duties.push(Duty { team: None, person: *person });
    }
    for team in &addressed.teams {
        let members = members(connection, *team)?;
        let before = duties.len();
        duties.extend(
            members.into_iter().filter(|member| *member != author).map(|person| Duty { team: Some(*team), person }),
        );
        if duties.len() == before {
            return Ok(Err(AddressError::EmptyTeam(*team)));
        }
    }
    Ok(Ok(duties))
}

/// Gives duties by an audit row.
pub(super) fn give(write: &Write<'_>, message: MessageId, duties: &[Duty], row: AuditId) -> Result<(), StoreError> {
    let mut insert = write
        .connection
        .prepare_cached("INSERT INTO duty (message_id, team_id, person_id, since_by) VALUES (?1, ?2, ?3, ?4)")?;
    for duty in duties {
        write.duties_changed.set(true);
        insert.execute((message, team_number(duty.team), duty.person, row))?;
    }
    Ok(())
}

/// Ends the open duties that an act ends, by its audit row; and what is urgent, where nobody has to do anything any more.
pub(super) fn end(
    write: &Write<'_>,
    message: MessageId,
    act: DutyAct,
    person: PersonId,
    row: AuditId,
) -> Result<Vec<Duty>, StoreError> {
    let state = State::of(write.connection, message)?;
    let ended = state.duties().ended_by(act, person);
    let mut update = write.connection.prepare_cached(
        "UPDATE duty SET ended_by = ?4 WHERE person_id = ?1 AND message_id = ?2 AND team_id = ?3 AND ended_by IS NULL",
    )?;
    for duty in &ended {
        write.duties_changed.set(true);
        update.execute((duty.person, message, team_number(duty.team), row))?;
    }
    drop(update);
    let is_done = act == DutyAct::Done || state.was_done || state.withdrawn;
    if state.urgent && is_done && ended.len() == state.open.len() {
        let mut update = write
            .connection
            .prepare_cached("UPDATE urgent SET ended_by = ?2 WHERE message_id = ?1 AND ended_by IS NULL")?;
        update.execute((message, row))?;
    }
    Ok(ended)
}

/// Whom a message was for when it was sent, as its sender chose.
pub(super) fn addressed_at_sending(connection: &Connection, message: MessageId) -> Result<Addressed, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT d.team_id, d.person_id FROM duty d CROSS JOIN audit_log a ON a.id = d.since_by \
         WHERE d.message_id = ?1 AND a.action = 'MESSAGE_CREATE'",
    )?;
    let mut addressed = Addressed::default();
    let mut rows = select.query([message])?;
    while let Some(row) = rows.next()? {
        match TeamId::new(row.get(0)?) {
            Some(team) => addressed.teams.insert(team),
            None => addressed.people.insert(row.get(1)?),
        };
    }
    let mut urgent = connection.prepare_cached("SELECT policy FROM urgent WHERE message_id = ?1")?;
    let policy: Option<String> = urgent.query_row([message], |row| row.get(0)).optional()?;
    addressed.urgent = policy.as_deref().and_then(UrgentPolicy::parse);
    Ok(addressed)
}

/// What is known of a message that is for somebody.
pub(super) struct State {
    pub(super) open: Vec<Duty>,
    /// It is urgent, and not everything about it is over.
    pub(super) urgent: bool,
    withdrawn: bool,
    was_done: bool,
}

impl State {
    pub(super) fn of(connection: &Connection, message: MessageId) -> Result<Self, StoreError> {
        let mut open = connection
            .prepare_cached("SELECT team_id, person_id FROM duty WHERE message_id = ?1 AND ended_by IS NULL")?;
        let open = open.query_map([message], |row| Ok(Duty { team: TeamId::new(row.get(0)?), person: row.get(1)? }))?;
        let open = open.collect::<Result<_, _>>()?;
        let mut urgent = connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM message_deletion WHERE message_id = ?1), EXISTS (SELECT 1 FROM audit_log \
             WHERE message_id = ?1 AND action = 'DUTY_DONE' AND action NOT IN ('MESSAGE_CREATE', 'MESSAGE_VIEW')) \
             FROM urgent WHERE message_id = ?1",
        )?;
        let found: Option<(bool, bool)> =
            urgent.query_row([message], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (withdrawn, was_done) = found.unwrap_or_default();
        Ok(Self { open, urgent: found.is_some(), withdrawn, was_done })
    }

    pub(super) fn duties(&self) -> OpenDuties<'_> {
        OpenDuties { urgent: self.urgent, withdrawn: self.withdrawn, open: &self.open }
    }

    pub(super) fn is_for(&self, person: PersonId) -> bool {
        self.open.iter().any(|duty| duty.person == person)
    }
}

/// As it stands in the table: 0 for somebody who was named.
pub(super) fn team_number(team: Option<TeamId>) -> i64 {
    team.map_or(0, TeamId::get)
}

/// Who is in a team and may sign in.
pub(super) fn members(connection: &Connection, team: TeamId) -> Result<Vec<PersonId>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT s.person_id FROM team_stay s CROSS JOIN person p ON p.id = s.person_id \
         WHERE s.team_id = ?1 AND s.left_by IS NULL AND p.disabled_at IS NULL ORDER BY s.person_id",
    )?;
    let found = select.query_map([team], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub(super) fn is_enabled(connection: &Connection, person: PersonId) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached("SELECT 1 FROM person WHERE id = ?1 AND disabled_at IS NULL")?;
    Ok(select.exists([person])?)
}

#[cfg(test)]
pub(super) mod tests;
