//! Drafts: a half-written message for each conversation of a person, and one that begins a conversation, kept in the encrypted
//! database and nowhere else.
//!
//! A draft may also be kept for a session that just ran out: the person was typing, and the token proves whose text it
//! is. It cannot be read back without signing in. Which draft a page may replace is in [`version`].

pub(crate) mod version;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use rusqlite::OptionalExtension;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::version::{DraftVersion, Seen};
use crate::acts::conversation::root_of;
use crate::acts::session::{find_session, require_live};
use crate::ledger::audit::Entry;
use crate::sqlite::write::{Erased, Write};
use crate::store::Store;
use crate::types::{
    Action, Actor, Addressed, EndReason, IdempotencyKey, MessageId, PersonId, Session, SessionId, SessionLimits,
    SessionToken, StoreError, Timestamp, TokenHash, clip,
};

/// For how long after its end a session may still hand in a draft: a page left open over a shift.
pub(super) const AFTER_END: Duration = Duration::from_secs(12 * 60 * 60);

/// Zero bytes before the text, so that the text lies on overflow pages only: see the schema.
pub(super) const FILLER: [u8; 4096] = [0; 4096];

/// A half-written message, as typed. Debug does not show the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// The first message of the conversation that it replies to; None for one that begins a conversation.
    pub conversation: Option<MessageId>,
    /// The key it will be sent under.
    pub key: IdempotencyKey,
    /// The subject so far.
    pub subject: String,
    /// The body so far.
    pub body: String,
    /// Whom it would be for.
    pub addressed: Addressed,
    /// When it was last kept.
    pub saved_at: Timestamp,
}

impl Draft {
    /// The most characters of a subject that are kept; what is longer is cut off.
    pub const MAX_SUBJECT_CHARS: usize = 1_000;
    /// The most characters of a body that are kept; what is longer is cut off.
    pub const MAX_BODY_CHARS: usize = 40_000;
}

/// What became of a draft that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftSaved {
    /// It is kept.
    Kept(DraftVersion),
    /// Another one is there that its page has not seen; that one stays.
    Other(Draft),
    /// There is no such conversation; it is not kept.
    NoConversation,
    /// A message was sent under its key before, so that it is no draft any more; it is not kept.
    Sent,
}

impl Draft {
    /// The version that this one is, as it is stored.
    pub fn version(&self) -> DraftVersion {
        let mut hash = Sha256::new();
        hash.update(self.key.0);
        // With their lengths, so that no other texts read as the same bytes.
        hash.update(self.subject.len().to_be_bytes());
        hash.update(&self.subject);
        hash.update(self.body.len().to_be_bytes());
        hash.update(&self.body);
        hash.update(self.addressed.to_string());
        DraftVersion::of(&hash.finalize().into())
    }
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Draft({} and {} bytes)", self.subject.len(), self.body.len())
    }
}

impl Store {
    /// Keeps the actor's half-written message instead of the one that was `seen`: DRAFT_SAVED. One that has not changed is
    /// not recorded again.
    pub async fn save_draft(&self, actor: Actor, draft: Draft, seen: Seen) -> Result<DraftSaved, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            keep(write, actor.person, actor.ip, draft, seen, json!({}))
        })
        .await
    }

    /// The same for a session that ended by the idle or absolute limit at most 12 hours ago. False: the token is not of
    /// such a session, a draft was kept since that session ended, or its page has not seen the one that is there: that one
    /// stays.
    pub async fn save_draft_of_ended_session(
        &self,
        token: &SessionToken,
        ip: IpAddr,
        limits: SessionLimits,
        draft: Draft,
        seen: Seen,
    ) -> Result<bool, StoreError> {
        let hash = token.hash();
        let reported = self.expired().clone();
        self.write(move |write| {
            let at = draft.saved_at;
            let Some((session, ended_at)) = ended_session(write, hash, limits, at, &reported)? else {
                return Ok(false);
            };
            let newer = current(write, session.person, draft.conversation)?
                .is_some_and(|kept| kept.saved_at > ended_at && kept.key != draft.key);
            if at.since(ended_at) > AFTER_END || newer {
                return Ok(false);
            }
            let details = json!({ "session": session.id, "after_session_end": true });
            let saved = keep(write, session.person, ip, draft, seen, details)?;
            Ok(!matches!(saved, DraftSaved::Other(_) | DraftSaved::NoConversation))
        })
        .await
    }

    /// A person's half-written message in a conversation, which its first message names; None for one that begins one.
    pub async fn draft(&self, person: PersonId, conversation: Option<MessageId>) -> Result<Option<Draft>, StoreError> {
        self.look_up(move |connection| find(connection, person, conversation)).await
    }

    /// The conversations in which a person has a half-written reply.
    pub async fn drafted_conversations(&self, person: PersonId) -> Result<Vec<MessageId>, StoreError> {
        self.look_up(move |connection| {
            let mut select =
                connection.prepare_cached("SELECT root_id FROM draft WHERE person_id = ?1 AND root_id > 0")?;
            let roots = select.query_map([person], |row| row.get(0))?;
            Ok(roots.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Throws the half-written message of the actor away that was `seen`: DRAFT_DISCARDED, if there was one. Gives the
    /// one that is there instead, which stays. `key` is that of the form that discards.
    pub async fn discard_draft(
        &self,
        actor: Actor,
        conversation: Option<MessageId>,
        key: IdempotencyKey,
        seen: Seen,
        at: Timestamp,
    ) -> Result<Option<Draft>, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            if let Some(other) = current(write, actor.person, conversation)?
                .filter(|kept| !seen.may_replace((kept.key, kept.version()), key))
            {
                return Ok(Some(other));
            }
            let mut delete =
                write.connection.prepare_cached("DELETE FROM draft WHERE person_id = ?1 AND root_id = ?2")?;
            if delete.execute((actor.person, root_id(conversation)))? == 1 {
                write.erased(Erased::AtRest);
                let (person, ip) = (Some(actor.person), Some(actor.ip));
                let action = Action::DraftDiscarded;
                write.append(Entry { at, person, action, message: None, details: json!({}), ip })?;
            }
            Ok(None)
        })
        .await
    }
}

/// The session of a token that ended by a time limit, and when.
pub(super) fn ended_session(
    write: &Write<'_>,
    hash: TokenHash,
    limits: SessionLimits,
    at: Timestamp,
    reported: &HashMap<SessionId, EndReason>,
) -> Result<Option<(Session, Timestamp)>, StoreError> {
    let Some(found) = find_session(write.connection, hash)?.filter(|found| !found.disabled) else {
        return Ok(None);
    };
    let session = found.session;
    let ended = found
        .ended
        .or_else(|| limits.passed(session.started_at, session.last_active_at, session.emergency_until, at))
        .or_else(|| reported.get(&session.id).map(|reason| (*reason, at)));
    let by_a_limit = ended.filter(|(reason, _)| reason.is_time_limit());
    Ok(by_a_limit.map(|(_, ended_at)| (session, ended_at)))
}

/// As the table has it.
fn root_id(conversation: Option<MessageId>) -> i64 {
    conversation.map_or(0, MessageId::get)
}

fn current(write: &Write<'_>, person: PersonId, conversation: Option<MessageId>) -> Result<Option<Draft>, StoreError> {
    find(write.connection, person, conversation)
}

fn find(
    connection: &rusqlite::Connection,
    person: PersonId,
    conversation: Option<MessageId>,
) -> Result<Option<Draft>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT idempotency_key, subject, body, saved_at, addressed FROM draft WHERE person_id = ?1 AND root_id = ?2",
    )?;
    let draft = select.query_row((person, root_id(conversation)), |row| {
        let key = IdempotencyKey(row.get(0)?);
        let addressed = Addressed::parse(row.get_ref(4)?.as_str()?);
        Ok(Draft { conversation, key, subject: row.get(1)?, body: row.get(2)?, addressed, saved_at: row.get(3)? })
    });
    Ok(draft.optional()?)
}

fn keep(
    write: &mut Write<'_>,
    person: PersonId,
    ip: IpAddr,
    draft: Draft,
    seen: Seen,
    details: Value,
) -> Result<DraftSaved, StoreError> {
    let mut sent =
        write.connection.prepare_cached("SELECT 1 FROM message_key WHERE author_id = ?1 AND idempotency_key = ?2")?;
    if sent.exists((person, draft.key.0))? {
        return Ok(DraftSaved::Sent);
    }
    drop(sent);
    if let Some(root) = draft.conversation
        && root_of(write.connection, root)? != Some(root)
    {
        return Ok(DraftSaved::NoConversation);
    }
    let subject = clip(&draft.subject, Draft::MAX_SUBJECT_CHARS);
    let body = clip(&draft.body, Draft::MAX_BODY_CHARS);
    let draft = Draft { subject: subject.to_owned(), body: body.to_owned(), ..draft };
    let version = draft.version();
    let before = current(write, person, draft.conversation)?;
    let is_replaced = before.is_some();
    match before {
        Some(kept) if kept.version() == version => return Ok(DraftSaved::Kept(version)),
        Some(kept) if !seen.may_replace((kept.key, kept.version()), draft.key) => return Ok(DraftSaved::Other(kept)),
        _ => {}
    }
    let mut upsert = write.connection.prepare_cached(
        "INSERT INTO draft (person_id, root_id, filler, saved_at, idempotency_key, subject, body, addressed) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (person_id, root_id) DO UPDATE SET saved_at = excluded.saved_at, \
         idempotency_key = excluded.idempotency_key, subject = excluded.subject, body = excluded.body, \
         addressed = excluded.addressed",
    )?;
    upsert.execute((
        person,
        root_id(draft.conversation),
        FILLER,
        draft.saved_at,
        draft.key.0,
        &draft.subject,
        &draft.body,
        draft.addressed.to_string(),
    ))?;
    drop(upsert);
    if is_replaced {
        write.erased(Erased::AtRest);
    }
    let (at, ip) = (draft.saved_at, Some(ip));
    write.append(Entry { at, person: Some(person), action: Action::DraftSaved, message: None, details, ip })?;
    Ok(DraftSaved::Kept(version))
}

#[cfg(test)]
mod tests;
