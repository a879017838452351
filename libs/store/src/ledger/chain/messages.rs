//! Messages against the rows of the log that concern them.

use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;

use super::{StoredRow, Walk};
use crate::ledger::chain_hash::content_hash;
use crate::types::{Action, ChainFault, MessageId, PersonId, StoreError};

/// What the check needs to know of a row's details.
#[derive(Deserialize)]
struct MessageDetails {
    message_id: Option<i64>,
    content: Option<String>,
}

/// The message's column is not hashed, since it is not shipped; details are, and name the same message.
pub(super) fn check_message(
    walk: &mut Walk,
    snapshot: &Connection,
    row: &StoredRow,
) -> Result<Option<ChainFault>, StoreError> {
    let action = Action::parse(&row.action);
    if !action.is_some_and(Action::concerns_message) {
        return Ok(row.message.is_some().then_some(ChainFault::Altered));
    }
    let details: Option<MessageDetails> = serde_json::from_str(&row.details).ok();
    let (Some(details), Some(id)) = (details, row.message.and_then(MessageId::new)) else {
        return Ok(Some(ChainFault::Altered));
    };
    if details.message_id != Some(id.get()) {
        return Ok(Some(ChainFault::Altered));
    }
    let agrees = match action {
        Some(Action::MessageCreate) => {
            let follows = id.get() == walk.last_message + 1;
            walk.last_message = id.get();
            follows && created_agrees(snapshot, row, id, details.content.as_deref())?
        }
        Some(Action::MessageDelete) => deleted_agrees(snapshot, row, id)?,
        _ => id.get() <= walk.last_message,
    };
    Ok((!agrees).then_some(ChainFault::Message(id)))
}

/// A message beyond the last one that the log accounts for; there must be none.
pub(super) fn unsent(snapshot: &Connection, last_message: i64) -> Result<Option<MessageId>, StoreError> {
    let unsent = "SELECT id FROM message WHERE id > ?1 UNION ALL \
         SELECT message_id FROM message_body WHERE message_id > ?1 UNION ALL \
         SELECT message_id FROM message_deletion WHERE message_id > ?1 LIMIT 1";
    Ok(snapshot.prepare_cached(unsent)?.query_row([last_message], |row| row.get(0)).optional()?)
}

/// Whether the message is as its MESSAGE_CREATE row says, or is deleted and the log says that too.
fn created_agrees(
    snapshot: &Connection,
    row: &StoredRow,
    id: MessageId,
    content: Option<&str>,
) -> Result<bool, StoreError> {
    let mut select = snapshot.prepare_cached(
        "SELECT m.author_id, m.sent_at, m.salt, m.subject, b.body, d.message_id IS NOT NULL, \
         EXISTS (SELECT 1 FROM audit_log a WHERE a.message_id = m.id AND a.action = 'MESSAGE_DELETE') \
         FROM message m JOIN message_body b ON b.message_id = m.id \
         LEFT JOIN message_deletion d ON d.message_id = m.id WHERE m.id = ?1",
    )?;
    let mut found = select.query([id])?;
    let Some(message) = found.next()? else { return Ok(false) };
    let (author, sent_at): (i64, i64) = (message.get(0)?, message.get(1)?);
    if Some(author) != row.person.map(PersonId::get) || sent_at != row.at {
        return Ok(false);
    }
    if message.get(5)? {
        return Ok(message.get(6)?);
    }
    let (Ok(salt), Ok(subject), Ok(body)) =
        (message.get::<_, [u8; 16]>(2), message.get_ref(3)?.as_str(), message.get_ref(4)?.as_str())
    else {
        return Ok(false);
    };
    Ok(content == Some(content_hash(&salt, subject, body).to_string().as_str()))
}

/// Whether the message is deleted, its text is gone, and its tombstone is as its MESSAGE_DELETE row says.
fn deleted_agrees(snapshot: &Connection, row: &StoredRow, id: MessageId) -> Result<bool, StoreError> {
    let mut select = snapshot.prepare_cached(
        "SELECT m.author_id = ?2 AND d.at = ?3 AND m.salt = zeroblob(16) AND trim(m.subject, ' ') = '' \
         AND trim(b.body, ' ') = '' FROM message m JOIN message_body b ON b.message_id = m.id \
         JOIN message_deletion d ON d.message_id = m.id WHERE m.id = ?1",
    )?;
    Ok(select.query_row((id, row.person, row.at), |row| row.get(0)).optional()?.unwrap_or(false))
}
