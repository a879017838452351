//! Emergency access: an operator on the machine lets a member in while the identity provider is down (HIPAA
//! 164.312(a)(2)(ii)).
//!
//! A grant is a code that opens one session, once, within ten minutes; the session lasts at most as long as the grant says.
//! Grant, use and end each have their audit row, in the transaction of what they record, and grant and use raise
//! SECURITY_ALERT beside it. Codes are compared in the writer's transaction: of two uses at once, one wins.

mod code;
mod grant;

use std::net::IpAddr;
use std::time::Duration;

use rusqlite::OptionalExtension;
use serde_json::{Value, json};

pub use self::code::EmergencyCode;
pub use self::grant::{
    EmergencyAlarm, EmergencyGrant, EmergencyRequest, EmergencyUse, GrantState, Granted, LONGEST_MINUTES,
    LONGEST_REASON,
};
use self::grant::{GRANT, grant};
use crate::acts::session::end_session;
use crate::acts::sign_in::{address_is_disabled, replace, start_session};
use crate::ledger::audit::Entry;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{
    Action, AuditId, Author, Client, EmergencyGrantId, EndReason, PersonId, SessionId, SessionToken, StoreError,
    Timestamp, clip,
};

/// How long a code can be used.
const CODE_LIFE: Duration = Duration::from_secs(10 * 60);
impl Store {
    /// Gives a member a code: EMERGENCY_ACCESS_GRANTED and SECURITY_ALERT.
    pub async fn grant_emergency_access(
        &self,
        request: EmergencyRequest,
        at: Timestamp,
    ) -> Result<Granted, StoreError> {
        self.write(move |write| {
            let email = request.email.trim();
            let mut select = write.connection.prepare_cached(
                "SELECT id, name, email FROM person WHERE email = ?1 COLLATE NOCASE \
                 ORDER BY last_sign_in_at DESC, id DESC LIMIT 1",
            )?;
            let Some(person) = select.query_row([email], |row| Author::from_row(row, 0)).optional()? else {
                return Ok(Granted::Unknown);
            };
            if address_is_disabled(write, email)? {
                return Ok(Granted::Disabled);
            }
            let (code, until) = (EmergencyCode::random(write.random()), at.plus(CODE_LIFE));
            let (operator, reason) = (clip(&request.operator, 200), clip(&request.reason, LONGEST_REASON));
            let mut insert = write.connection.prepare_cached(
                "INSERT INTO emergency_grant (code_hash, person_id, operator, reason, minutes, granted_at, code_until) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
            )?;
            let values = (code.hash(), person.id, operator, reason, request.minutes, at, until);
            let id: EmergencyGrantId = insert.query_row(values, |row| row.get(0))?;
            let details = json!({
                "grant": id, "person": person.id, "minutes": request.minutes, "code_until": until.to_rfc3339(),
            });
            // The operator who types the reason may name somebody in it.
            let personal = json!({ "email": person.email, "operator": operator, "reason": reason });
            let action = Action::EmergencyAccessGranted;
            write.append_personal(Entry { at, person: None, action, message: None, details, ip: None }, &personal)?;
            alert(write, "emergency_access_granted", id, person.id, None, at)?;
            Ok(Granted::Code { id, code, until, person })
        })
        .await
    }

    /// Starts the session of a code, instead of the browser's own one: EMERGENCY_ACCESS_USED and SECURITY_ALERT. A code
    /// that belongs to a grant and is refused leaves EMERGENCY_ACCESS_REFUSED; one that belongs to none leaves nothing,
    /// since anybody can type anything, and the log is kept forever.
    pub async fn use_emergency_code(
        &self,
        code: EmergencyCode,
        replacing: Option<SessionToken>,
        client: Client,
        at: Timestamp,
    ) -> Result<EmergencyUse, StoreError> {
        self.write(move |write| {
            let found = {
                let mut select = write.connection.prepare_cached(&format!("{GRANT} WHERE g.code_hash = ?1"))?;
                select.query_row([code.hash()], |row| Ok((grant(row)?, row.get::<_, bool>(14)?))).optional()?
            };
            let Some((grant, disabled)) = found else {
                return Ok(EmergencyUse::Refused("unknown"));
            };
            let disabled = disabled || address_is_disabled(write, &grant.person.email)?;
            if let Some(reason) = refusal(&grant, disabled, at) {
                let details = json!({ "grant": grant.id, "reason": reason });
                let ip = Some(client.ip);
                append(write, Action::EmergencyAccessRefused, Some(grant.person.id), ip, details, at)?;
                return Ok(EmergencyUse::Refused(reason));
            }
            if let Some(token) = replacing {
                replace(write, &token, client.ip, at)?;
            }
            let token = SessionToken::random(write.random());
            let until = at.plus(Duration::from_secs(u64::from(grant.minutes) * 60));
            let person = &grant.person;
            let mut session = start_session(write, person.id, &person.name, &person.email, &token, at)?;
            session.emergency_until = Some(until);
            write.connection.execute(
                "UPDATE emergency_grant SET used_at = ?2, session_id = ?3, session_until = ?4 WHERE id = ?1",
                (grant.id, at, session.id, until),
            )?;
            let details = json!({
                "grant": grant.id, "session": session.id, "until": until.to_rfc3339(),
                "user_agent": clip(&client.user_agent, 320),
            });
            append(write, Action::EmergencyAccessUsed, Some(person.id), Some(client.ip), details, at)?;
            alert(write, "emergency_access_used", grant.id, person.id, Some(client.ip), at)?;
            Ok(EmergencyUse::SignedIn { token, session })
        })
        .await
    }

    /// Every grant, the newest first.
    pub async fn emergency_grants(&self) -> Result<Vec<EmergencyGrant>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(&format!("{GRANT} ORDER BY g.id DESC"))?;
            let grants = select.query_map((), grant)?;
            Ok(grants.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The alarms about emergency access in the rows after `after` and up to `up_to` that are not older than `since`,
    /// whichever process raised them.
    pub async fn emergency_alarms(
        &self,
        since: Timestamp,
        after: AuditId,
        up_to: AuditId,
    ) -> Result<Vec<EmergencyAlarm>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, json_extract(details, '$.alarm'), json_extract(details, '$.grant'), \
                 json_extract(details, '$.person') FROM audit_log \
                 WHERE action = 'SECURITY_ALERT' AND at >= ?1 AND id > ?2 AND id <= ?3 \
                 AND json_extract(details, '$.alarm') LIKE 'emergency_access_%' ORDER BY id",
            )?;
            let alarms = select.query_map((since, after, up_to), |row| {
                Ok(EmergencyAlarm { row: row.get(0)?, kind: row.get(1)?, grant: row.get(2)?, person: row.get(3)? })
            })?;
            Ok(alarms.collect::<Result<_, _>>()?)
        })
        .await
    }

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

/// Why a code is refused, in a word.
fn refusal(grant: &EmergencyGrant, disabled: bool, at: Timestamp) -> Option<&'static str> {
    if grant.used_at.is_some() {
        Some("used")
    } else if disabled {
        Some("disabled")
    } else if grant.ended_at.is_some() {
        Some("revoked")
    } else if at >= grant.code_until {
        Some("too_old")
    } else {
        None
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

fn alert(
    write: &mut Write<'_>,
    alarm: &str,
    grant: EmergencyGrantId,
    person: PersonId,
    ip: Option<IpAddr>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let details = json!({ "alarm": alarm, "grant": grant, "person": person });
    append(write, Action::SecurityAlert, None, ip, details, at)
}

fn append(
    write: &mut Write<'_>,
    action: Action,
    person: Option<PersonId>,
    ip: Option<IpAddr>,
    details: Value,
    at: Timestamp,
) -> Result<(), StoreError> {
    write.append(Entry { at, person, action, message: None, details, ip }).map(|_| ())
}

#[cfg(test)]
mod tests;
