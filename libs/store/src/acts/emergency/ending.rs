//! How emergency access ends: taken back, unused, with its session, or because nobody may use its code any more.

use rusqlite::OptionalExtension;
use serde_json::{Value, json};

use super::append;
use super::grant::{GRANT, GrantState, grant};
use crate::acts::session::end_session;
use crate::ledger::audit::Entry;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{Action, EmergencyGrantId, EndReason, PersonId, SessionId, StoreError, Timestamp, clip};

impl Store {
    /// Ends a grant, and its session at once: EMERGENCY_ACCESS_ENDED, and SESSION_ENDED where there is one. None where
    /// there is no such grant, false where it was over already.
    pub async fn revoke_emergency_access(
        &self,
        id: EmergencyGrantId,
        operator: &str,
        at: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let operator = clip(operator, 200).to_owned();
        self.write(move |write| {
            let found = write.connection.query_row(&format!("{GRANT} WHERE g.id = ?1"), [id], |row| {
                Ok((grant(row)?, row.get::<_, Option<SessionId>>(13)?))
            });
            let Some((grant, session)) = found.optional()? else {
                return Ok(None);
            };
            if grant.state(at) == GrantState::Ended {
                return Ok(Some(false));
            }
            let by = json!({ "operator": operator });
            match session {
                Some(session) => {
                    end_session(write, session, EndReason::EmergencyRevoked, at)?;
                    let reason = EndReason::EmergencyRevoked.as_str();
                    let details = json!({ "person": grant.person.id, "session": session, "reason": reason });
                    let action = Action::SessionEnded;
                    write.append_personal(Entry { at, person: None, action, message: None, details, ip: None }, &by)?;
                }
                None => {
                    close_grant(write, id, "revoked", at)?;
                    let details = json!({ "grant": id, "person": grant.person.id, "reason": "revoked" });
                    let action = Action::EmergencyAccessEnded;
                    write.append_personal(Entry { at, person: None, action, message: None, details, ip: None }, &by)?;
                }
            }
            Ok(Some(true))
        })
        .await
    }

    /// Writes down the grants whose code nobody used in time: EMERGENCY_ACCESS_ENDED each; gives how many.
    pub async fn expire_emergency_grants(&self, at: Timestamp) -> Result<usize, StoreError> {
        const OVERDUE: &str =
            "SELECT id FROM emergency_grant WHERE ended_at IS NULL AND used_at IS NULL AND code_until <= ?1";
        if !self.read(move |connection| Ok(connection.prepare_cached(OVERDUE)?.exists([at])?)).await? {
            return Ok(0);
        }
        self.write(move |write| {
            let overdue: Vec<EmergencyGrantId> = {
                let mut select = write.connection.prepare_cached(OVERDUE)?;
                let ids = select.query_map([at], |row| row.get(0))?;
                ids.collect::<Result<_, _>>()?
            };
            for id in &overdue {
                end_grant(write, *id, "unused", json!({}), at)?;
            }
            Ok(overdue.len())
        })
        .await
    }
}

/// What ends with a session that a code has opened. Called for every session that ends.
pub(crate) fn end_with_session(
    write: &mut Write<'_>,
    session: SessionId,
    reason: EndReason,
    at: Timestamp,
) -> Result<(), StoreError> {
    let found: Option<EmergencyGrantId> = {
        let mut select = write
            .connection
            .prepare_cached("SELECT id FROM emergency_grant WHERE session_id = ?1 AND ended_at IS NULL")?;
        select.query_row([session], |row| row.get(0)).optional()?
    };
    match found {
        Some(id) => end_grant(write, id, reason.as_str(), json!({ "session": session }), at),
        None => Ok(()),
    }
}

/// Codes of a person who is locked out do not come to life again with the person.
pub(crate) fn end_open_grants(write: &mut Write<'_>, person: PersonId, at: Timestamp) -> Result<(), StoreError> {
    let open = open_grants(write, Some(person))?;
    open.into_iter().try_for_each(|id| end_grant(write, id, EndReason::Disabled.as_str(), json!({}), at))
}

/// A code may have been used after the backup in which it is open.
pub(crate) fn end_open_grants_of_all(write: &mut Write<'_>, at: Timestamp) -> Result<(), StoreError> {
    let open = open_grants(write, None)?;
    open.into_iter().try_for_each(|id| end_grant(write, id, EndReason::Restored.as_str(), json!({}), at))
}

fn open_grants(write: &Write<'_>, person: Option<PersonId>) -> Result<Vec<EmergencyGrantId>, StoreError> {
    let mut select = write.connection.prepare_cached(
        "SELECT id FROM emergency_grant WHERE (?1 IS NULL OR person_id = ?1) AND ended_at IS NULL AND used_at IS NULL",
    )?;
    let ids = select.query_map([person], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

fn end_grant(
    write: &mut Write<'_>,
    id: EmergencyGrantId,
    reason: &str,
    mut details: Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    close_grant(write, id, reason, at)?;
    let person: PersonId =
        write.connection.query_row("SELECT person_id FROM emergency_grant WHERE id = ?1", [id], |row| row.get(0))?;
    details["person"] = json!(person);
    details["grant"] = json!(id);
    details["reason"] = json!(reason);
    append(write, Action::EmergencyAccessEnded, None, None, details, at)
}

fn close_grant(write: &Write<'_>, id: EmergencyGrantId, reason: &str, at: Timestamp) -> Result<(), StoreError> {
    write.connection.execute(
        "UPDATE emergency_grant SET ended_at = ?2, end_reason = ?3 WHERE id = ?1 AND ended_at IS NULL",
        (id, at, reason),
    )?;
    Ok(())
}
