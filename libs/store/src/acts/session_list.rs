//! The sessions of one member, as she sees them: which there are, and ending them. Beside it, the rows of sessions
//! that ended long ago are removed.
//!
//! Where a session was started from, and with which browser, stands in the audit row that the sign-in left: the same
//! person, the same millisecond, and the session's number in its details.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use crate::acts::session::{end_session, live_sessions, require_live};
use crate::ledger::audit::Entry;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{Action, Actor, AuditId, EndReason, PersonId, SessionId, SessionLimits, StoreError, Timestamp};

/// How long the row of an ended session is kept: it tells a browser that comes back why it was signed out.
pub const ENDED_SESSION_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A live session, for the member whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSession {
    /// Its number.
    pub id: SessionId,
    /// When the member signed in.
    pub started_at: Timestamp,
    /// When she last did something there.
    pub last_active_at: Timestamp,
    /// The address she signed in from.
    pub ip: Option<String>,
    /// What the browser called itself.
    pub user_agent: Option<String>,
    /// Until when it may last, if it is an emergency access.
    pub emergency_until: Option<Timestamp>,
}

/// What came of ending one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedOne {
    /// It was live, and has ended.
    Ended,
    /// It had ended before.
    Already,
    /// The member has no such session.
    Unknown,
}

/// The index is named: one that begins with the person would go through all that they ever did.
const OWN_SESSIONS: &str = "SELECT s.id, s.started_at, s.last_active_at, a.ip, json_extract(a.details, '$.user_agent'), \
     e.session_until \
     FROM session s LEFT JOIN audit_log a ON a.id = ( \
         SELECT min(b.id) FROM audit_log b INDEXED BY audit_log_at \
         WHERE b.action NOT IN ('AUDIT_VIEW', 'MESSAGE_LIST') AND b.person_id = s.person_id AND b.at = s.started_at \
         AND json_extract(b.details, '$.session') = s.id) \
     LEFT JOIN emergency_grant e ON e.session_id = s.id \
     WHERE s.person_id = ?1 AND s.ended_at IS NULL ORDER BY s.last_active_at DESC, s.id DESC";

/// The sessions that rows say have ended: those of [`Action::ends_session`].
/// The plus keeps SQLite from the index on actions: the new rows are few, all rows of an action are not.
const ENDED: &str = "SELECT json_extract(details, '$.session') FROM audit_log \
     WHERE id > ?1 AND id <= ?2 AND +action IN ('LOGOUT', 'SESSION_EXPIRED', 'SESSION_ENDED')";

impl Store {
    /// The live sessions of a person at `at`, the last active first.
    pub async fn own_sessions(
        &self,
        person: PersonId,
        limits: SessionLimits,
        at: Timestamp,
    ) -> Result<Vec<OwnSession>, StoreError> {
        let mut sessions = self
            .read(move |connection| {
                let mut select = connection.prepare_cached(OWN_SESSIONS)?;
                let rows = select.query_map([person], own_session)?;
                Ok(rows.collect::<Result<Vec<_>, _>>()?)
            })
            .await?;
        // What a look-up has reported as over, or would report, is no session of hers, written down or not.
        let reported = self.expired();
        sessions.retain(|session| {
            let passed = limits.passed(session.started_at, session.last_active_at, session.emergency_until, at);
            passed.is_none() && !reported.contains_key(&session.id)
        });
        Ok(sessions)
    }

    /// Ends another session of the actor's: SESSION_ENDED.
    pub async fn end_own_session(
        &self,
        actor: Actor,
        session: SessionId,
        at: Timestamp,
    ) -> Result<EndedOne, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let mut select = write
                .connection
                .prepare_cached("SELECT ended_at IS NULL FROM session WHERE id = ?1 AND person_id = ?2")?;
            let live = select.query_row((session, actor.person), |row| row.get(0)).optional()?;
            drop(select);
            match live {
                None => Ok(EndedOne::Unknown),
                Some(false) => Ok(EndedOne::Already),
                Some(true) => {
                    end_elsewhere(write, actor, session, at)?;
                    Ok(EndedOne::Ended)
                }
            }
        })
        .await
    }

    /// Ends every session of the actor's but the one she acts in, with a row SESSION_ENDED each; gives how many.
    pub async fn end_other_sessions(&self, actor: Actor, at: Timestamp) -> Result<usize, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let others: Vec<_> =
                live_sessions(write, actor.person)?.into_iter().filter(|id| *id != actor.session).collect();
            for session in &others {
                end_elsewhere(write, actor, *session, at)?;
            }
            Ok(others.len())
        })
        .await
    }

    /// The sessions whose end stands in the audit rows after `after` and up to `up_to`, whichever process ended them.
    pub async fn sessions_ended_between(&self, after: AuditId, up_to: AuditId) -> Result<Vec<SessionId>, StoreError> {
        self.look_up(move |connection| {
            let mut select = connection.prepare_cached(ENDED)?;
            let ids = select.query_map((after, up_to), |row| row.get(0))?;
            Ok(ids.filter_map(Result::transpose).collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Removes the rows of sessions that ended more than [`ENDED_SESSION_KEPT`] before `at`; gives how many. Nothing
    /// refers to them but numbers in the audit log, which keeps start and end of each forever; the row with the
    /// highest number stays, so that no number is given twice. Takes the write lock only where there is one.
    pub async fn remove_old_sessions(&self, at: Timestamp) -> Result<usize, StoreError> {
        const OLD: &str = "ended_at < ?1 AND id < (SELECT max(id) FROM session)";
        let before = at.minus(ENDED_SESSION_KEPT);
        let look = move |connection: &Connection| -> Result<bool, StoreError> {
            Ok(connection.prepare_cached(&format!("SELECT 1 FROM session WHERE {OLD}"))?.exists([before])?)
        };
        if !self.read(look).await? {
            return Ok(0);
        }
        self.write(move |write| {
            let mut delete = write.connection.prepare_cached(&format!("DELETE FROM session WHERE {OLD}"))?;
            Ok(delete.execute([before])?)
        })
        .await
    }
}

fn own_session(row: &Row<'_>) -> rusqlite::Result<OwnSession> {
    Ok(OwnSession {
        id: row.get(0)?,
        started_at: row.get(1)?,
        last_active_at: row.get(2)?,
        ip: row.get(3)?,
        user_agent: row.get(4)?,
        emergency_until: row.get(5)?,
    })
}

fn end_elsewhere(write: &mut Write<'_>, actor: Actor, session: SessionId, at: Timestamp) -> Result<(), StoreError> {
    end_session(write, session, EndReason::Elsewhere, at)?;
    write.append(Entry {
        at,
        person: Some(actor.person),
        action: Action::SessionEnded,
        message: None,
        details: json!({ "session": session, "reason": EndReason::Elsewhere.as_str(), "by_session": actor.session }),
        ip: Some(actor.ip),
    })?;
    Ok(())
}

#[cfg(test)]
mod tests;
