//! Sessions: who is signed in, until when, and the check that every act makes.
//!
//! A session ends for good: by signing out, by one of two limits, by the person being disabled, by a new sign-in in the
//! same browser, or from another session of the same person. Reading a session writes nothing, so a limit that has
//! passed is reported before the sweep ([`Store::expire_sessions`]) writes it down; the store remembers what it
//! reported, and a clock set back brings no session to life. A clock set back behind a session's own last activity ends
//! it: how long it was idle is unknown.

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use crate::acts::emergency::end_with_session;
use crate::ledger::audit::Entry;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{
    Action, Actor, EndReason, PersonId, Session, SessionId, SessionLimits, SessionState, SessionToken, StoreError,
    Timestamp, TokenHash,
};

/// A session's row, with what decides whether it is live.
pub(crate) struct StoredSession {
    pub(crate) session: Session,
    pub(crate) ended: Option<(EndReason, Timestamp)>,
    pub(crate) disabled: bool,
}

const STORED_SESSION: &str = "SELECT s.id, s.person_id, p.name, p.email, s.csrf_token, s.started_at, s.last_active_at, \
     s.end_reason, s.ended_at, p.disabled_at IS NOT NULL, e.session_until, \
     (SELECT id FROM audit_head) \
     FROM session s JOIN person p ON p.id = s.person_id LEFT JOIN emergency_grant e ON e.session_id = s.id \
     WHERE s.token_hash = ?1";

fn stored_session(row: &Row<'_>) -> rusqlite::Result<StoredSession> {
    let session = Session {
        id: row.get(0)?,
        person: row.get(1)?,
        person_name: row.get(2)?,
        person_email: row.get(3)?,
        csrf_token: row.get(4)?,
        started_at: row.get(5)?,
        last_active_at: row.get(6)?,
        emergency_until: row.get(10)?,
        as_of: row.get(11)?,
    };
    let ended = match (row.get(7)?, row.get(8)?) {
        (Some(reason), Some(at)) => Some((reason, at)),
        _ => None,
    };
    Ok(StoredSession { session, ended, disabled: row.get(9)? })
}

pub(crate) fn find_session(connection: &Connection, hash: TokenHash) -> Result<Option<StoredSession>, StoreError> {
    let mut select = connection.prepare_cached(STORED_SESSION)?;
    Ok(select.query_row([hash], stored_session).optional()?)
}

impl Store {
    /// What a token stands for at `at`. Reads only. A session past a limit is reported as ended even before the sweep
    /// wrote it down, and from then on.
    pub async fn session(
        &self,
        token: &SessionToken,
        limits: SessionLimits,
        at: Timestamp,
    ) -> Result<SessionState, StoreError> {
        let hash = token.hash();
        let Some(found) = self.look_up(move |connection| find_session(connection, hash)).await? else {
            return Ok(SessionState::Unknown);
        };
        let session = found.session;
        if let Some((reason, _)) = found.ended {
            return Ok(SessionState::Ended(reason));
        }
        if found.disabled {
            return Ok(SessionState::Ended(EndReason::Disabled));
        }
        let mut expired = self.expired();
        if let Some(reason) = expired.get(&session.id) {
            return Ok(SessionState::Ended(*reason));
        }
        match limits.passed(session.started_at, session.last_active_at, session.emergency_until, at) {
            Some((reason, _)) => {
                expired.insert(session.id, reason);
                Ok(SessionState::Ended(reason))
            }
            None => Ok(SessionState::Live(session)),
        }
    }

    /// Notes that the person did something at `at`: never backwards, and [`StoreError::SessionEnded`] for a session
    /// that has ended. Bookkeeping of an act that is audited itself; it has no row of its own.
    pub async fn touch_session(&self, id: SessionId, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |write| {
            let mut update = write.connection.prepare_cached(
                "UPDATE session SET last_active_at = max(last_active_at, ?2) WHERE id = ?1 AND ended_at IS NULL",
            )?;
            if update.execute((id, at))? == 1 { Ok(()) } else { Err(StoreError::SessionEnded) }
        })
        .await
    }

    /// Ends the actor's session: LOGOUT.
    pub async fn sign_out(&self, actor: Actor, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            end_session(write, actor.session, EndReason::SignedOut, at)?;
            write.append(Entry {
                at,
                person: Some(actor.person),
                action: Action::Logout,
                message: None,
                details: json!({ "session": actor.session }),
                ip: Some(actor.ip),
            })?;
            Ok(())
        })
        .await
    }

    /// Ends every session that is past a limit, or was reported so, with a row SESSION_EXPIRED each; gives how many.
    /// Takes the write lock only where there is one.
    pub async fn expire_sessions(&self, limits: SessionLimits) -> Result<usize, StoreError> {
        let clock = self.clock();
        self.expire_sessions_by(limits, move || clock.now()).await
    }

    /// The same by another clock. It is asked after the sessions were read: to one that was active later than a time
    /// from before, a clock that was set back would seem to have happened.
    pub(crate) async fn expire_sessions_by(
        &self,
        limits: SessionLimits,
        now: impl Fn() -> Timestamp + Clone + Send + 'static,
    ) -> Result<usize, StoreError> {
        let reported = self.expired().clone();
        let overdue = move |connection: &Connection| -> Result<(Vec<Overdue>, Timestamp), StoreError> {
            let mut select = connection.prepare_cached(
                "SELECT s.id, s.person_id, s.started_at, s.last_active_at, e.session_until FROM session s \
                 LEFT JOIN emergency_grant e ON e.session_id = s.id WHERE s.ended_at IS NULL ORDER BY s.id",
            )?;
            let live = select
                .query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?
                .collect::<Result<Vec<_>, _>>()?;
            let at = now();
            let overdue = live.into_iter().filter_map(|(id, person, started_at, last_active_at, emergency_until)| {
                let passed = limits.passed(started_at, last_active_at, emergency_until, at).map(|(reason, _)| reason);
                let reason = reported.get(&id).copied().or(passed)?;
                Some(Overdue { id, person, last_active_at, reason })
            });
            Ok((overdue.collect(), at))
        };
        let look = overdue.clone();
        if self.read(move |connection| look(connection)).await?.0.is_empty() {
            // What was reported has been ended otherwise since.
            self.forget_ended().await?;
            return Ok(0);
        }
        let ended = self
            .write(move |write| {
                let (overdue, at) = overdue(write.connection)?;
                end_each(write, &overdue, at)?;
                Ok(overdue.len())
            })
            .await?;
        self.forget_ended().await?;
        Ok(ended)
    }

    /// Drops from memory the reported sessions that are written down as ended.
    async fn forget_ended(&self) -> Result<(), StoreError> {
        let reported: Vec<SessionId> = self.expired().keys().copied().collect();
        if reported.is_empty() {
            return Ok(());
        }
        let ended = self
            .read(move |connection| {
                let mut select =
                    connection.prepare_cached("SELECT 1 FROM session WHERE id = ?1 AND ended_at IS NULL")?;
                let mut ended = Vec::new();
                for id in reported {
                    if !select.exists([id])? {
                        ended.push(id);
                    }
                }
                Ok(ended)
            })
            .await?;
        let mut expired = self.expired();
        for id in ended {
            expired.remove(&id);
        }
        Ok(())
    }
}

struct Overdue {
    id: SessionId,
    person: PersonId,
    last_active_at: Timestamp,
    reason: EndReason,
}

/// Ends every session that is live, with a row SESSION_EXPIRED each; gives how many.
pub(crate) fn end_all(write: &mut Write<'_>, reason: EndReason, at: Timestamp) -> Result<usize, StoreError> {
    let live: Vec<Overdue> = {
        let mut select = write
            .connection
            .prepare_cached("SELECT id, person_id, last_active_at FROM session WHERE ended_at IS NULL ORDER BY id")?;
        let rows = select.query_map((), |row| {
            Ok(Overdue { id: row.get(0)?, person: row.get(1)?, last_active_at: row.get(2)?, reason })
        })?;
        rows.collect::<Result<_, _>>()?
    };
    end_each(write, &live, at)?;
    Ok(live.len())
}

fn end_each(write: &mut Write<'_>, sessions: &[Overdue], at: Timestamp) -> Result<(), StoreError> {
    for session in sessions {
        end_session(write, session.id, session.reason, at)?;
        write.append(Entry {
            at,
            person: Some(session.person),
            action: Action::SessionExpired,
            message: None,
            details: json!({
                "session": session.id,
                "reason": session.reason.as_str(),
                "last_active": session.last_active_at.to_rfc3339(),
            }),
            ip: None,
        })?;
    }
    Ok(())
}

/// The check that every act makes in its own transaction.
pub(crate) fn require_live(write: &Write<'_>, actor: Actor) -> Result<(), StoreError> {
    let mut select = write.connection.prepare_cached(
        "SELECT 1 FROM session s JOIN person p ON p.id = s.person_id \
         WHERE s.id = ?1 AND s.person_id = ?2 AND s.ended_at IS NULL AND p.disabled_at IS NULL",
    )?;
    if select.exists((actor.session, actor.person))? { Ok(()) } else { Err(StoreError::SessionEnded) }
}

/// Ends a live session; its audit row is the caller's to write. An emergency access ends with its session, and has a row
/// of its own.
pub(crate) fn end_session(
    write: &mut Write<'_>,
    id: SessionId,
    reason: EndReason,
    at: Timestamp,
) -> Result<(), StoreError> {
    let mut update = write
        .connection
        .prepare_cached("UPDATE session SET ended_at = ?2, end_reason = ?3 WHERE id = ?1 AND ended_at IS NULL")?;
    update.execute((id, at, reason.as_str()))?;
    drop(update);
    end_with_session(write, id, reason, at)
}

/// The live sessions of a person.
pub(crate) fn live_sessions(write: &Write<'_>, person: PersonId) -> Result<Vec<SessionId>, StoreError> {
    let mut select = write
        .connection
        .prepare_cached("SELECT id FROM session WHERE person_id = ?1 AND ended_at IS NULL ORDER BY id")?;
    let ids = select.query_map([person], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
