//! A message: sent once, deleted for good.
//!
//! Sending is idempotent: the same author and key is the same message. Deleting writes spaces over the text where it
//! lies, in rows that keep their size, and then empties the write-ahead log: nothing of the text is left in the file,
//! but its length.

use rusqlite::OptionalExtension;
use serde_json::json;

use crate::acts::duty::{self, AddressError, addressed_at_sending, end_by_reply, give, resolve};
use crate::acts::inbox::{SummaryContent, find_summary};
use crate::acts::session::require_live;
use crate::acts::unread::mark_sent;
use crate::acts::urgent;
use crate::ledger::audit::Entry;
use crate::ledger::chain_hash::content_hash;
use crate::ledger::given_duties;
use crate::sqlite::write::{Erased, Write};
use crate::store::Store;
use crate::types::{
    Action, Actor, Addressed, AuditId, Body, DutyAct, Hash, IdempotencyKey, MessageId, PersonId, StoreError, Subject,
    Timestamp, random_bytes,
};

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its subject.
    pub subject: Subject,
    /// Its body.
    pub body: Body,
    /// Whom it is for.
    pub addressed: Addressed,
    /// What makes a repeated request the same message.
    pub key: IdempotencyKey,
}

/// What came of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is stored.
    Created(MessageId),
    /// It was stored before under the same key: this is that one. Nothing was stored or recorded now.
    Repeated(MessageId),
    /// The key belongs to a message with another text, or for others. Nothing was stored.
    KeyReused(MessageId),
    /// It cannot be for those whom its sender chose. Nothing was stored.
    NotAddressed(AddressError),
}

/// What came of deleting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone.
    Deleted,
    /// It was gone.
    AlreadyDeleted,
    /// Someone else sent it. Nothing was changed.
    NotYours,
    /// There is no such message.
    Missing,
}

impl Store {
    /// Sends a message: MESSAGE_CREATE. The actor's draft with the same key goes with it.
    pub async fn send_message(&self, actor: Actor, message: NewMessage, at: Timestamp) -> Result<Sent, StoreError> {
        self.write_duties(move |write| {
            require_live(write, actor)?;
            begin(write, actor, &message, at)
        })
        .await
    }

    /// Deletes the actor's own message: MESSAGE_DELETE. Who sent it and when it went stay, as a tombstone; subject, body
    /// and salt are overwritten, and the write-ahead log is emptied as soon as no reader needs it.
    pub async fn delete_message(&self, actor: Actor, id: MessageId, at: Timestamp) -> Result<Deletion, StoreError> {
        self.write_duties(move |write| {
            require_live(write, actor)?;
            let Some(summary) = find_summary(write.connection, id)? else {
                return Ok(Deletion::Missing);
            };
            if summary.author.id != actor.person {
                return Ok(Deletion::NotYours);
            }
            if matches!(summary.content, SummaryContent::Deleted { .. }) {
                return Ok(Deletion::AlreadyDeleted);
            }
            urgent::withdraw(write, id, actor.person, actor.ip, at)?;
            overwrite(write, id)?;
            let mut tombstone =
                write.connection.prepare_cached("INSERT INTO message_deletion (message_id, at) VALUES (?1, ?2)")?;
            tombstone.execute((id, at))?;
            let row = record(write, actor, Action::MessageDelete, id, json!({}), at)?;
            duty::end(write, id, DutyAct::Deleted, actor.person, row)?;
            write.erased(Erased::Now);
            Ok(Deletion::Deleted)
        })
        .await
    }
}

/// Sends a message that begins a conversation.
pub(super) fn begin(
    write: &mut Write<'_>,
    actor: Actor,
    message: &NewMessage,
    at: Timestamp,
) -> Result<Sent, StoreError> {
    let (subject, body, addressed) = (message.subject.as_str(), message.body.as_str(), &message.addressed);
    let text = Text { subject, body, root: None, addressed };
    let sent = store_once(write, actor, &text, message.key, at)?;
    if let Sent::Created(id) = sent {
        let mut begin = write
            .connection
            .prepare_cached("INSERT INTO conversation (last_id, root_id, replies) VALUES (?1, ?1, 0)")?;
        begin.execute([id])?;
    }
    Ok(sent)
}

pub(super) fn record(
    write: &mut Write<'_>,
    actor: Actor,
    action: Action,
    message: MessageId,
    details: serde_json::Value,
    at: Timestamp,
) -> Result<AuditId, StoreError> {
    let (person, message, ip) = (Some(actor.person), Some(message), Some(actor.ip));
    write.append(Entry { at, person, action, message, details, ip })
}

/// What is sent: of a reply the number of the conversation's first message, and an empty subject.
pub(super) struct Text<'t> {
    pub(super) subject: &'t str,
    pub(super) body: &'t str,
    pub(super) root: Option<MessageId>,
    pub(super) addressed: &'t Addressed,
}

/// Stores a message once, with its row; its author's draft under the same key goes.
pub(super) fn store_once(
    write: &mut Write<'_>,
    actor: Actor,
    text: &Text<'_>,
    key: IdempotencyKey,
    at: Timestamp,
) -> Result<Sent, StoreError> {
    if let Some(sent) = sent_before(write, actor.person, text, key)? {
        return Ok(sent);
    }
    let duties = match resolve(write.connection, actor.person, text.addressed)? {
        Ok(duties) => duties,
        Err(error) => return Ok(Sent::NotAddressed(error)),
    };
    let (id, content) = insert(write, actor.person, text, key, at)?;
    let mut draft =
        write.connection.prepare_cached("DELETE FROM draft WHERE person_id = ?1 AND idempotency_key = ?2")?;
    if draft.execute((actor.person, key.0))? == 1 {
        write.erased(Erased::AtRest);
    }
    drop(draft);
    let mut details = json!({ "content": content.to_string() });
    if let Some(root) = text.root {
        details["reply_to"] = root.get().into();
    }
    given_duties::write_down(&mut details, &duties);
    if let Some(policy) = text.addressed.urgent {
        details["urgent"] = policy.as_str().into();
    }
    let row = record(write, actor, Action::MessageCreate, id, details, at)?;
    if let Some(root) = text.root {
        end_by_reply(write, actor.person, root, row)?;
    }
    give(write, id, &duties, row)?;
    if let Some(policy) = text.addressed.urgent {
        urgent::begin(write, id, policy)?;
    }
    mark_sent(write, actor.person, id)?;
    Ok(Sent::Created(id))
}

/// The message that this author sent under this key. One that was deleted since cannot be compared any more: it counts
/// as the same, so that a late repetition does not bring it back.
pub(super) fn sent_before(
    write: &Write<'_>,
    author: PersonId,
    text: &Text<'_>,
    key: IdempotencyKey,
) -> Result<Option<Sent>, StoreError> {
    let mut select = write.connection.prepare_cached(
        "SELECT m.id, d.message_id IS NOT NULL OR (m.subject = ?3 AND b.body = ?4 AND r.root_id IS ?5) FROM message_key k \
         JOIN message m ON m.id = k.message_id JOIN message_body b ON b.message_id = m.id \
         LEFT JOIN message_reply r ON r.message_id = m.id \
         LEFT JOIN message_deletion d ON d.message_id = m.id WHERE k.author_id = ?1 AND k.idempotency_key = ?2",
    )?;
    let sent = select.query_row((author, key.0, text.subject, text.body, text.root), |row| {
        Ok((row.get::<_, MessageId>(0)?, row.get::<_, bool>(1)?))
    });
    let Some((id, same_text)) = sent.optional()? else { return Ok(None) };
    let same = same_text && addressed_at_sending(write.connection, id)? == *text.addressed;
    Ok(Some(if same { Sent::Repeated(id) } else { Sent::KeyReused(id) }))
}

fn insert(
    write: &Write<'_>,
    author: PersonId,
    text: &Text<'_>,
    key: IdempotencyKey,
    at: Timestamp,
) -> Result<(MessageId, Hash), StoreError> {
    let (salt, &Text { subject, body, root, .. }) = (random_bytes::<16>(write.random()), text);
    // Messages never leave their table, so the numbers SQLite gives are 1, 2, 3 without a gap; the chain's check of
    // messages against their MESSAGE_CREATE rows rests on it.
    let mut insert = write.connection.prepare_cached(
        "INSERT INTO message (author_id, sent_at, salt, subject) VALUES (?1, ?2, ?3, ?4) RETURNING id",
    )?;
    let id = insert.query_row((author, at, salt, subject), |row| row.get(0))?;
    let mut insert = write
        .connection
        .prepare_cached("INSERT INTO message_key (idempotency_key, author_id, message_id) VALUES (?1, ?2, ?3)")?;
    insert.execute((key.0, author, id))?;
    let mut insert = write.connection.prepare_cached("INSERT INTO message_body (message_id, body) VALUES (?1, ?2)")?;
    insert.execute((id, body))?;
    Ok((id, content_hash(&salt, subject, body, root)))
}

/// Writes spaces and zeros of the same length over subject, body and salt: SQLite then overwrites the row in place.
fn overwrite(write: &Write<'_>, id: MessageId) -> Result<(), StoreError> {
    let mut lengths = write.connection.prepare_cached(
        "SELECT octet_length(m.subject), octet_length(b.body) FROM message m \
         JOIN message_body b ON b.message_id = m.id WHERE m.id = ?1",
    )?;
    let (subject, body): (u32, u32) = lengths.query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut update = write.connection.prepare_cached("UPDATE message SET subject = ?2, salt = ?3 WHERE id = ?1")?;
    update.execute((id, " ".repeat(subject as usize), [0_u8; 16]))?;
    let mut update = write.connection.prepare_cached("UPDATE message_body SET body = ?2 WHERE message_id = ?1")?;
    update.execute((id, " ".repeat(body as usize)))?;
    Ok(())
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod erasure_tests;
