//! Drafts: one half-written message per person, kept in the encrypted database and nowhere else.
//!
//! A draft may also be kept for a session that just ran out: the person was typing, and the token proves whose text it
//! is. It cannot be read back without signing in.

use std::net::IpAddr;
use std::time::Duration;

use rusqlite::OptionalExtension;
use serde_json::{Value, json};

use crate::audit::{Action, Entry, clip};
use crate::error::StoreError;
use crate::id::PersonId;
use crate::session::{Actor, SessionLimits, find_session, require_live};
use crate::store::Store;
use crate::text::IdempotencyKey;
use crate::time::Timestamp;
use crate::token::SessionToken;
use crate::writer::{Erased, Write};

/// For how long after its end a session may still hand in a draft: a page left open over a shift.
const AFTER_END: Duration = Duration::from_secs(12 * 60 * 60);

/// Zero bytes before the text, so that the text lies on overflow pages only: see the schema.
const FILLER: [u8; 4096] = [0; 4096];

/// A half-written message, as typed. Debug does not show the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// The key it will be sent under.
    pub key: IdempotencyKey,
    /// The subject so far.
    pub subject: String,
    /// The body so far.
    pub body: String,
    /// When it was last kept.
    pub saved_at: Timestamp,
}

impl Draft {
    /// The most characters of a subject that are kept; what is longer is cut off.
    pub const MAX_SUBJECT_CHARS: usize = 1_000;
    /// The most characters of a body that are kept; what is longer is cut off.
    pub const MAX_BODY_CHARS: usize = 40_000;
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Draft({} and {} bytes)", self.subject.len(), self.body.len())
    }
}

impl Store {
    /// Keeps the actor's half-written message instead of the one before: DRAFT_SAVED. One that was sent already, and one
    /// that has not changed, is not kept and not recorded.
    pub async fn save_draft(&self, actor: Actor, draft: Draft) -> Result<(), StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            keep(write, actor.person, actor.ip, &draft, json!({}))
        })
        .await
    }

    /// The same for a session that ended by the idle or absolute limit at most 12 hours ago. False: the token is not of
    /// such a session, or a draft was kept since that session ended, which stays.
    pub async fn save_draft_of_ended_session(
        &self,
        token: &SessionToken,
        ip: IpAddr,
        limits: SessionLimits,
        draft: Draft,
    ) -> Result<bool, StoreError> {
        let hash = token.hash();
        let reported = self.expired().clone();
        self.write(move |write| {
            let at = draft.saved_at;
            let Some(found) = find_session(write.connection, hash)?.filter(|found| !found.disabled) else {
                return Ok(false);
            };
            let session = found.session;
            let ended = found
                .ended
                .or_else(|| limits.passed(session.started_at, session.last_active_at, session.emergency_until, at))
                .or_else(|| reported.get(&session.id).map(|reason| (*reason, at)));
            let Some((_, ended_at)) = ended.filter(|(reason, _)| reason.is_time_limit()) else {
                return Ok(false);
            };
            let newer =
                current(write, session.person)?.is_some_and(|kept| kept.saved_at > ended_at && kept.key != draft.key);
            if at.since(ended_at) > AFTER_END || newer {
                return Ok(false);
            }
            let details = json!({ "session": session.id, "after_session_end": true });
            keep(write, session.person, ip, &draft, details)?;
            Ok(true)
        })
        .await
    }

    /// A person's half-written message.
    pub async fn draft(&self, person: PersonId) -> Result<Option<Draft>, StoreError> {
        self.look_up(move |connection| find(connection, person)).await
    }

    /// Throws the actor's half-written message away: DRAFT_DISCARDED, if there was one.
    pub async fn discard_draft(&self, actor: Actor, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let mut delete = write.connection.prepare_cached("DELETE FROM draft WHERE person_id = ?1")?;
            if delete.execute([actor.person])? == 1 {
                write.erased(Erased::AtRest);
                let (person, ip) = (Some(actor.person), Some(actor.ip));
                let action = Action::DraftDiscarded;
                write.append(Entry { at, person, action, message: None, details: json!({}), ip })?;
            }
            Ok(())
        })
        .await
    }
}

fn current(write: &Write<'_>, person: PersonId) -> Result<Option<Draft>, StoreError> {
    find(write.connection, person)
}

fn find(connection: &rusqlite::Connection, person: PersonId) -> Result<Option<Draft>, StoreError> {
    let mut select =
        connection.prepare_cached("SELECT idempotency_key, subject, body, saved_at FROM draft WHERE person_id = ?1")?;
    let draft = select.query_row([person], |row| {
        let key = IdempotencyKey(row.get(0)?);
        Ok(Draft { key, subject: row.get(1)?, body: row.get(2)?, saved_at: row.get(3)? })
    });
    Ok(draft.optional()?)
}

fn keep(write: &mut Write<'_>, person: PersonId, ip: IpAddr, draft: &Draft, details: Value) -> Result<(), StoreError> {
    let subject = clip(&draft.subject, Draft::MAX_SUBJECT_CHARS);
    let body = clip(&draft.body, Draft::MAX_BODY_CHARS);
    let before = current(write, person)?;
    let unchanged =
        before.as_ref().is_some_and(|kept| kept.key == draft.key && kept.subject == subject && kept.body == body);
    let mut sent =
        write.connection.prepare_cached("SELECT 1 FROM message_key WHERE author_id = ?1 AND idempotency_key = ?2")?;
    if unchanged || sent.exists((person, draft.key.0))? {
        return Ok(());
    }
    let mut upsert = write.connection.prepare_cached(
        "INSERT INTO draft (person_id, filler, saved_at, idempotency_key, subject, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (person_id) DO UPDATE SET saved_at = excluded.saved_at, \
         idempotency_key = excluded.idempotency_key, subject = excluded.subject, body = excluded.body",
    )?;
    upsert.execute((person, FILLER, draft.saved_at, draft.key.0, subject, body))?;
    if before.is_some() {
        write.erased(Erased::AtRest);
    }
    let (at, ip) = (draft.saved_at, Some(ip));
    write.append(Entry { at, person: Some(person), action: Action::DraftSaved, message: None, details, ip })?;
    Ok(())
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
