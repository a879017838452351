//! The open duties of somebody who is switched off: they go to the team, or back to the author.

use serde_json::json;

use super::{State, end, give, is_enabled, members};
use crate::ledger::audit::Entry;
use crate::ledger::given_duties;
use crate::sqlite::write::Write;
use crate::types::{Action, AuditId, Duty, DutyAct, MessageId, PersonId, StoreError, TeamId, Timestamp};

/// Moves the open duties of somebody who was just switched off, each message with a DUTY_MOVED row. Gives the messages.
pub(in crate::acts) fn move_duties(
    write: &mut Write<'_>,
    person: PersonId,
    at: Timestamp,
) -> Result<Vec<MessageId>, StoreError> {
    let mut select = write.connection.prepare_cached(
        "SELECT DISTINCT message_id FROM duty WHERE person_id = ?1 AND ended_by IS NULL ORDER BY message_id",
    )?;
    let found = select.query_map([person], |row| row.get(0))?;
    let messages: Vec<MessageId> = found.collect::<Result<_, _>>()?;
    drop(select);
    for message in &messages {
        let given = heirs(write, *message, person)?;
        let mut details = json!({ "person": person });
        given_duties::write_down(&mut details, &given);
        let entry = Entry { at, person: None, action: Action::DutyMoved, message: Some(*message), details, ip: None };
        let row: AuditId = write.append(entry)?;
        // First, so that what is urgent does not end in between for want of anybody.
        give(write, *message, &given, row)?;
        end(write, *message, DutyAct::SwitchedOff, person, row)?;
    }
    Ok(messages)
}

/// The duties that others get instead of this person's.
fn heirs(write: &Write<'_>, message: MessageId, person: PersonId) -> Result<Vec<Duty>, StoreError> {
    let state = State::of(write.connection, message)?;
    let mut author = write.connection.prepare_cached("SELECT author_id FROM message WHERE id = ?1")?;
    let author: PersonId = author.query_row([message], |row| row.get(0))?;
    let has = |duty: &Duty| state.open.contains(duty);
    let mut given: Vec<Duty> = Vec::new();
    for left in state.open.iter().filter(|duty| duty.person == person) {
        let others_of_team =
            left.team.is_some() && state.open.iter().any(|duty| duty.team == left.team && duty.person != person);
        if others_of_team {
            continue;
        }
        let teams = match left.team {
            Some(team) => vec![team],
            None => teams_of(write, person)?,
        };
        let mut found = Vec::new();
        for team in teams {
            let members = members(write.connection, team)?.into_iter().filter(|member| *member != author);
            found = members.map(|person| Duty { team: Some(team), person }).collect();
            if !found.is_empty() {
                break;
            }
        }
        if found.is_empty() && author != person && is_enabled(write.connection, author)? {
            found.push(Duty { team: None, person: author });
        }
        found.retain(|duty| !has(duty) && !given.contains(duty));
        given.extend(found);
    }
    Ok(given)
}

/// The teams somebody is in, in the order in which they were joined.
fn teams_of(write: &Write<'_>, person: PersonId) -> Result<Vec<TeamId>, StoreError> {
    let mut select = write
        .connection
        .prepare_cached("SELECT team_id FROM team_stay WHERE person_id = ?1 AND left_by IS NULL ORDER BY joined_by")?;
    let found = select.query_map([person], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}
