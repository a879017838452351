//! Urgent messages: repeated and passed on until somebody answers. What comes next is decided by [`Urgent`], from what the log
//! and the tables say; here it is read and carried out, each step in one transaction with its rows.

mod board;

use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

pub use self::board::{StepDone, UrgentMessage, UrgentState};
use crate::acts::duty::{State, give};
use crate::ledger::audit::Entry;
use crate::ledger::{given_duties, ranges};
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{
    Action, AuditId, Duty, HandedOn, MessageId, NextStep, PersonId, StepKind, StoreError, TeamId, Timestamp, Urgent,
    UrgentPolicy,
};

/// What the log and the tables know of an urgent message.
pub(super) struct Known {
    pub(super) policy: UrgentPolicy,
    pub(super) author: PersonId,
    pub(super) sent_at: Timestamp,
    /// The newest step that is over; 0 for none.
    pub(super) over: usize,
    pub(super) ended_by: Option<AuditId>,
    pub(super) withdrawn: bool,
    /// In the order in which they came.
    pub(super) answers: Vec<Answer>,
}

/// An answer to an urgent message.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) person: PersonId,
    pub(super) action: Action,
    pub(super) at: Timestamp,
    /// The newest step that was over by then.
    pub(super) after: usize,
}

impl Known {
    /// None where the message is not urgent.
    pub(super) fn of(connection: &Connection, message: MessageId) -> Result<Option<Self>, StoreError> {
        let mut select = connection.prepare_cached(
            "SELECT u.policy, m.author_id, m.sent_at, u.ended_by, \
             EXISTS (SELECT 1 FROM message_deletion d WHERE d.message_id = m.id), \
             coalesce((SELECT max(step) FROM urgent_step s WHERE s.message_id = m.id), 0) \
             FROM urgent u JOIN message m ON m.id = u.message_id WHERE u.message_id = ?1",
        )?;
        let found = select.query_row([message], |row| {
            let policy: String = row.get(0)?;
            Ok((policy, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get::<_, u32>(5)?))
        });
        let Some((policy, author, sent_at, ended_by, withdrawn, over)) = found.optional()? else { return Ok(None) };
        let policy = UrgentPolicy::parse(&policy)
            .ok_or_else(|| StoreError::internal("an urgent message has no known policy"))?;
        // The condition of the index audit_log_message is repeated.
        let mut select = connection.prepare_cached(
            "SELECT a.person_id, a.action, a.at, \
             coalesce((SELECT max(step) FROM urgent_step s WHERE s.message_id = ?1 AND s.audit_id < a.id), 0) \
             FROM audit_log a WHERE a.message_id = ?1 AND a.action NOT IN ('MESSAGE_CREATE', 'MESSAGE_VIEW') \
             AND a.action IN ('URGENT_ON_MY_WAY', 'URGENT_CANNOT', 'DUTY_DONE') AND a.person_id IS NOT NULL ORDER BY a.id",
        )?;
        let found = select.query_map([message], |row| {
            let after = row.get::<_, u32>(3)? as usize;
            Ok(Answer { person: row.get(0)?, action: row.get(1)?, at: row.get(2)?, after })
        })?;
        let answers = found.collect::<Result<_, _>>()?;
        Ok(Some(Self { policy, author, sent_at, over: over as usize, ended_by, withdrawn, answers }))
    }

    /// What somebody said last.
    fn newest_answers(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().enumerate().filter_map(|(index, answer)| {
            let later = self.answers.get(index + 1..).unwrap_or_default();
            (!later.iter().any(|other| other.person == answer.person)).then_some(answer)
        })
    }

    pub(super) fn is_on_the_way(&self, person: PersonId) -> bool {
        self.newest_answers().any(|answer| answer.person == person && answer.action == Action::UrgentOnMyWay)
    }

    /// Somebody is on the way, or has done it.
    pub(super) fn is_answered(&self) -> bool {
        self.newest_answers().any(|answer| answer.action != Action::UrgentCannot)
    }

    /// What comes next at `now`.
    pub(super) fn next(&self, now: Timestamp, has_teammates: bool) -> NextStep {
        let cannot = self.answers.iter().filter(|answer| answer.action == Action::UrgentCannot);
        let handed_on: Vec<_> = cannot.map(|answer| HandedOn { at: answer.at, after: answer.after }).collect();
        let urgent = Urgent {
            policy: self.policy,
            sent_at: self.sent_at,
            carried_out: self.over,
            handed_on: &handed_on,
            stopped: self.ended_by.is_some() || self.withdrawn || self.is_answered(),
            has_teammates,
        };
        urgent.next(now)
    }
}

impl Store {
    /// Carries out what is due at `now` of all urgent messages, each message in a transaction of its own; gives what was done.
    /// However many processes call it: each step is carried out once.
    pub async fn carry_out_urgent_steps(&self, now: Timestamp) -> Result<Vec<(MessageId, StepKind)>, StoreError> {
        let due = self
            .look_up(move |connection| {
                let snapshot = connection.unchecked_transaction()?;
                let mut due = Vec::new();
                for message in open_messages(&snapshot)? {
                    let known = Known::of(&snapshot, message)?;
                    if known.is_some_and(|known| matches!(known.next(now, true), NextStep::Due { .. })) {
                        due.push(message);
                    }
                }
                Ok(due)
            })
            .await?;
        let mut done = Vec::new();
        for message in due {
            // What is due is decided again in there: somebody may have answered, or another process was faster.
            let step = self.write_duties(move |write| carry_out(write, message, now)).await?;
            done.extend(step.map(|kind| (message, kind)));
        }
        Ok(done)
    }
}

/// The urgent messages about which not everything is over, the oldest first.
pub(super) fn open_messages(connection: &Connection) -> Result<Vec<MessageId>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT message_id FROM urgent WHERE ended_by IS NULL ORDER BY message_id")?;
    let found = select.query_map((), |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Carries out the step of a message that is due, if one is.
pub(super) fn carry_out(
    write: &mut Write<'_>,
    message: MessageId,
    now: Timestamp,
) -> Result<Option<StepKind>, StoreError> {
    let Some(known) = Known::of(write.connection, message)? else { return Ok(None) };
    let teammates = teammates(write.connection, message, known.author)?;
    let NextStep::Due { number, kind } = known.next(now, !teammates.is_empty()) else { return Ok(None) };
    let mut entry = |action, details| {
        write.append(Entry { at: now, person: None, action, message: Some(message), details, ip: None })
    };
    let skipped: Vec<usize> = (known.over + 1..number).collect();
    let mut over = Vec::new();
    if !skipped.is_empty() {
        let steps = ranges::format(skipped.iter().filter_map(|step| i64::try_from(*step).ok()).collect());
        let row = entry(Action::UrgentStepsSkipped, json!({ "steps": steps }))?;
        over.extend(skipped.into_iter().map(|step| (step, row)));
    }
    let given = if kind == StepKind::Teammates { teammates } else { Vec::new() };
    let mut details = json!({ "step": number, "kind": kind.as_str() });
    given_duties::write_down(&mut details, &given);
    let row = entry(Action::UrgentStep, details)?;
    over.push((number, row));
    write.duties_changed.set(true);
    let mut insert =
        write.connection.prepare_cached("INSERT INTO urgent_step (message_id, step, audit_id) VALUES (?1, ?2, ?3)")?;
    for (step, row) in over {
        let step = i64::try_from(step).map_err(|_| StoreError::internal("a step has no number"))?;
        insert.execute((message, step, row))?;
    }
    drop(insert);
    give(write, message, &given, row)?;
    Ok(Some(kind))
}

/// Those who are in a team with somebody whom the message is or was for, have a session, and no duty of this message yet.
fn teammates(connection: &Connection, message: MessageId, author: PersonId) -> Result<Vec<Duty>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT min(t.team_id), t.person_id FROM team_stay t CROSS JOIN person p ON p.id = t.person_id \
         WHERE t.left_by IS NULL AND p.disabled_at IS NULL AND t.person_id <> ?2 AND t.team_id IN \
         (SELECT d.team_id FROM duty d WHERE d.message_id = ?1 UNION SELECT o.team_id FROM duty d \
          CROSS JOIN team_stay o ON o.person_id = d.person_id AND o.left_by IS NULL WHERE d.message_id = ?1) \
         AND NOT EXISTS (SELECT 1 FROM duty d WHERE d.message_id = ?1 AND d.person_id = t.person_id) \
         AND EXISTS (SELECT 1 FROM session s WHERE s.person_id = t.person_id AND s.ended_at IS NULL) \
         GROUP BY t.person_id ORDER BY 1, 2",
    )?;
    let found =
        select.query_map((message, author), |row| Ok(Duty { team: TeamId::new(row.get(0)?), person: row.get(1)? }))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A message that is sent is urgent.
pub(super) fn begin(write: &Write<'_>, message: MessageId, policy: UrgentPolicy) -> Result<(), StoreError> {
    write.duties_changed.set(true);
    let mut insert = write.connection.prepare_cached("INSERT INTO urgent (message_id, policy) VALUES (?1, ?2)")?;
    insert.execute((message, policy.as_str()))?;
    Ok(())
}

/// Its author deletes an urgent message: URGENT_WITHDRAWN. Nothing where it is not urgent, or over.
pub(super) fn withdraw(
    write: &mut Write<'_>,
    message: MessageId,
    author: PersonId,
    ip: std::net::IpAddr,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Some(known) = Known::of(write.connection, message)?.filter(|known| known.ended_by.is_none()) else {
        return Ok(());
    };
    write.duties_changed.set(true);
    let (action, details) = (Action::UrgentWithdrawn, json!({ "after_step": known.over }));
    let (person, ip) = (Some(author), Some(ip));
    let row = write.append(Entry { at, person, action, message: Some(message), details, ip })?;
    if State::of(write.connection, message)?.open.is_empty() {
        let mut update = write.connection.prepare_cached("UPDATE urgent SET ended_by = ?2 WHERE message_id = ?1")?;
        update.execute((message, row))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
