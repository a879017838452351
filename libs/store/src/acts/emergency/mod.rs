//! Emergency access: an operator on the machine lets a member in while the identity provider is down (HIPAA
//! 164.312(a)(2)(ii)).
//!
//! A grant is a code that opens one session, once, within ten minutes; the session lasts at most as long as the grant says.
//! Grant, use and end each have their audit row, in the transaction of what they record, and grant and use raise
//! SECURITY_ALERT beside it. Codes are compared in the writer's transaction: of two uses at once, one wins.

mod code;
mod ending;
mod grant;

use std::net::IpAddr;
use std::time::Duration;

use rusqlite::OptionalExtension;
use serde_json::{Value, json};

pub use self::code::EmergencyCode;
pub(crate) use self::ending::{end_open_grants, end_open_grants_of_all, end_with_session};
pub use self::grant::{
    EmergencyAlarm, EmergencyGrant, EmergencyRequest, EmergencyUse, GrantState, Granted, LONGEST_MINUTES,
    LONGEST_REASON,
};
use self::grant::{GRANT, grant};
use crate::acts::sign_in::{address_is_disabled, replace, start_session};
use crate::ledger::audit::Entry;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{
    Action, AuditId, Author, Client, EmergencyGrantId, PersonId, SessionToken, StoreError, Timestamp, clip,
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
