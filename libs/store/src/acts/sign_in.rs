//! Signing in: the person is made or brought up to date, the browser's old session ended, a new one started and the
//! whole of it recorded, in one transaction. Sign-ins that came to nothing are in [`refused`].

pub(crate) mod refused;

use std::net::IpAddr;

use rusqlite::OptionalExtension;
use serde_json::json;

use self::refused::deny;
use crate::acts::failed_sign_ins::FailedSignIn;
use crate::acts::session::{end_session, find_session};
use crate::acts::unread::begin_reading;
use crate::ledger::audit::Entry;
use crate::ledger::who::Who;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{
    Action, Client, EndReason, Identity, PersonId, Session, SessionId, SessionToken, StoreError, Timestamp, clip,
    csrf_token, random_bytes,
};

/// How much of what the provider or the browser says goes into a row: an e-mail address has at most 254 characters.
const CLIP: usize = 320;

/// What came of a sign-in.
#[derive(Debug)]
pub enum SignIn {
    /// A session has started.
    SignedIn {
        /// The secret for the browser's cookie.
        token: SessionToken,
        /// The session.
        session: Session,
    },
    /// The person is locked out.
    Disabled,
}

impl Store {
    /// Signs a person in whom the provider vouched for and the staff rule lets in. `replacing` is the token this browser
    /// had before; its session ends (SESSION_ENDED). LOGIN, or LOGIN_DENIED for a person who is disabled, and then perhaps
    /// SECURITY_ALERT.
    pub async fn sign_in(
        &self,
        identity: Identity,
        replacing: Option<SessionToken>,
        client: Client,
        at: Timestamp,
    ) -> Result<SignIn, StoreError> {
        let (failures, counted) = (self.failed_sign_ins(), self.failed_sign_ins());
        let result = self.write(move |write| {
            let known = find_person(write, &identity)?;
            if known.as_ref().is_some_and(|known| known.disabled) || address_is_disabled(write, &identity.email)? {
                let person = known.map(|known| known.id);
                deny(write, person, &identity, "disabled", client.ip, at)?;
                let failure = FailedSignIn { ip: client.ip, account: Some(&identity), person, at };
                return Ok((SignIn::Disabled, counted.count(write, &failure)?));
            }
            if let Some(token) = replacing {
                replace(write, &token, client.ip, at)?;
            }
            let Kept { id: person, new_person, changed, who } = keep_person(write, known, &identity, at)?;
            let token = SessionToken::random(write.random());
            let session = start_session(write, person, &identity.name, &identity.email, &token, at)?;
            let login = Entry {
                at,
                person: Some(person),
                action: Action::Login,
                message: None,
                details: json!({
                    "who": who,
                    "new_person": new_person,
                    "changed": changed,
                    "session": session.id,
                    "user_agent": clip(&client.user_agent, CLIP),
                }),
                ip: Some(client.ip),
            };
            write.append_personal(login, &json!({ "email": clip(&identity.email, CLIP) }))?;
            Ok((SignIn::SignedIn { token, session }, Vec::new()))
        });
        failures.settle(result.await)
    }
}

struct Known {
    id: PersonId,
    /// None only where somebody has taken it away or spoilt it, which the check of the chain finds.
    salt: Option<[u8; 16]>,
    email: String,
    name: String,
    disabled: bool,
}

fn find_person(write: &Write<'_>, identity: &Identity) -> Result<Option<Known>, StoreError> {
    let mut select = write.connection.prepare_cached(
        "SELECT id, salt, email, name, disabled_at IS NOT NULL FROM person WHERE issuer = ?1 AND subject = ?2",
    )?;
    let known = select.query_row((&identity.issuer, &identity.subject), |row| {
        Ok(Known {
            id: row.get(0)?,
            salt: row.get(1).unwrap_or(None),
            email: row.get(2)?,
            name: row.get(3)?,
            disabled: row.get(4)?,
        })
    });
    Ok(known.optional()?)
}

/// Staff are disabled by address: the same address under a new account must not slip through.
pub(crate) fn address_is_disabled(write: &Write<'_>, email: &str) -> Result<bool, StoreError> {
    let mut select = write
        .connection
        .prepare_cached("SELECT 1 FROM person WHERE email = ?1 COLLATE NOCASE AND disabled_at IS NOT NULL")?;
    Ok(select.exists([email])?)
}

pub(crate) fn replace(
    write: &mut Write<'_>,
    token: &SessionToken,
    ip: IpAddr,
    at: Timestamp,
) -> Result<(), StoreError> {
    let Some(old) = find_session(write.connection, token.hash())?.filter(|old| old.ended.is_none()) else {
        return Ok(());
    };
    end_session(write, old.session.id, EndReason::Replaced, at)?;
    write.append(Entry {
        at,
        person: Some(old.session.person),
        action: Action::SessionEnded,
        message: None,
        details: json!({ "session": old.session.id, "reason": EndReason::Replaced.as_str() }),
        ip: Some(ip),
    })?;
    Ok(())
}

/// A person, as they are now.
struct Kept {
    id: PersonId,
    new_person: bool,
    /// What is new since the last sign-in.
    changed: Vec<&'static str>,
    who: Who,
}

fn keep_person(
    write: &Write<'_>,
    known: Option<Known>,
    identity: &Identity,
    at: Timestamp,
) -> Result<Kept, StoreError> {
    let who = |id, salt| {
        let Identity { issuer, subject, email, name } = identity;
        Who::of(id, salt, (issuer, subject), (email, name))
    };
    let salt = known.as_ref().and_then(|known| known.salt).unwrap_or_else(|| random_bytes(write.random()));
    let Some(known) = known else {
        let mut insert = write.connection.prepare_cached(
            "INSERT INTO person (issuer, subject, email, name, created_at, last_sign_in_at, salt) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6) RETURNING id",
        )?;
        let values = (&identity.issuer, &identity.subject, &identity.email, &identity.name, at, salt);
        let id = insert.query_row(values, |row| row.get(0))?;
        begin_reading(write, id)?;
        return Ok(Kept { id, new_person: true, changed: Vec::new(), who: who(id, &salt) });
    };
    let mut changed = Vec::new();
    if known.email != identity.email {
        changed.push("email");
    }
    if known.name != identity.name {
        changed.push("name");
    }
    let mut update = write
        .connection
        .prepare_cached("UPDATE person SET email = ?2, name = ?3, last_sign_in_at = ?4, salt = ?5 WHERE id = ?1")?;
    update.execute((known.id, &identity.email, &identity.name, at, salt))?;
    Ok(Kept { id: known.id, new_person: false, changed, who: who(known.id, &salt) })
}

pub(crate) fn start_session(
    write: &Write<'_>,
    person: PersonId,
    name: &str,
    email: &str,
    token: &SessionToken,
    at: Timestamp,
) -> Result<Session, StoreError> {
    let csrf_token = csrf_token(write.random());
    let mut insert = write.connection.prepare_cached(
        "INSERT INTO session (token_hash, person_id, csrf_token, started_at, last_active_at) \
         VALUES (?1, ?2, ?3, ?4, ?4) RETURNING id",
    )?;
    let id: SessionId = insert.query_row((token.hash(), person, &csrf_token, at), |row| row.get(0))?;
    Ok(Session {
        id,
        person,
        person_name: name.to_owned(),
        person_email: email.to_owned(),
        csrf_token,
        started_at: at,
        last_active_at: at,
        emergency_until: None,
        as_of: write.head.id,
    })
}

#[cfg(test)]
mod tests;
