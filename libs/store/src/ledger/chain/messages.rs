//! Messages against the rows of the log that concern them.

use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;

use super::{StoredRow, Walk};
use crate::ledger::chain_hash::content_hash;
use crate::ledger::ranges;
use crate::types::{Action, ChainError, MessageId, PersonId, StoreError};

/// What the check needs to know of a row's details.
#[derive(Deserialize)]
struct MessageDetails {
    message_id: Option<i64>,
    content: Option<String>,
    /// The first message of the conversation that a reply is in.
    reply_to: Option<i64>,
    /// What was opened, where it was not the row's message alone: "3, 5-9".
    messages: Option<String>,
}

/// The message's column is not hashed, since it is not shipped; details are, and name the same message.
pub(super) fn check_message(
    walk: &mut Walk,
    snapshot: &Connection,
    row: &StoredRow,
) -> Result<Option<ChainError>, StoreError> {
    let action = Action::parse(&row.action);
    if !action.is_some_and(Action::concerns_message) {
        return Ok(row.message.is_some().then_some(ChainError::Altered));
    }
    let details: Option<MessageDetails> = serde_json::from_str(&row.details).ok();
    let (Some(details), Some(id)) = (details, row.message.and_then(MessageId::new)) else {
        return Ok(Some(ChainError::Altered));
    };
    if details.message_id != Some(id.get()) {
        return Ok(Some(ChainError::Altered));
    }
    let agrees = match action {
        Some(Action::MessageCreate) => {
            let follows = id.get() == walk.last_message + 1;
            walk.last_message = id.get();
            let root = if walk.conversations { root_of(snapshot, id)? } else { None };
            follows
                && created_agrees(snapshot, row, id, &details, root)?
                && (!walk.conversations || listed_agrees(snapshot, row, id, root.unwrap_or(id))?)
        }
        Some(Action::MessageDelete) => deleted_agrees(snapshot, row, id)?,
        Some(Action::MessageView) if walk.conversations => {
            let error = opening_disagrees(walk, snapshot, row, id, details.messages.as_deref())?;
            return Ok(error.map(ChainError::Opening));
        }
        _ => id.get() <= walk.last_message,
    };
    if !agrees {
        return Ok(Some(ChainError::Message(id)));
    }
    let agrees = match &mut walk.duties {
        Some(duties) => duties.take(snapshot, row, id)?,
        None => true,
    };
    Ok((!agrees).then_some(ChainError::Duty(id)))
}

/// A message beyond the last one that the log accounts for; there must be none.
pub(super) fn unsent(walk: &Walk, snapshot: &Connection) -> Result<Option<MessageId>, StoreError> {
    let messages = "SELECT id FROM message WHERE id > ?1 UNION ALL \
         SELECT message_id FROM message_body WHERE message_id > ?1 UNION ALL \
         SELECT message_id FROM message_deletion WHERE message_id > ?1 LIMIT 1";
    let conversations = "SELECT message_id FROM message_reply WHERE message_id > ?1 UNION ALL \
         SELECT root_id FROM conversation WHERE last_id > ?1 UNION ALL \
         SELECT root_id FROM conversation WHERE last_id < 1 LIMIT 1";
    for unsent in [Some(messages), walk.conversations.then_some(conversations)].into_iter().flatten() {
        let unsent = snapshot.prepare_cached(unsent)?.query_row([walk.last_message], |row| row.get(0)).optional()?;
        if unsent.is_some() {
            return Ok(unsent);
        }
    }
    Ok(None)
}

/// An opening that no row records. Every one that a row records is there: so there are as many as there are rows for, and no
/// more.
pub(super) fn unrecorded_opening(snapshot: &Connection, openings: u64) -> Result<Option<MessageId>, StoreError> {
    let mut count = snapshot.prepare_cached("SELECT count(*), max(message_id) FROM message_opening")?;
    let (count, last): (i64, Option<MessageId>) = count.query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    if u64::try_from(count).is_ok_and(|count| count <= openings) {
        return Ok(None);
    }
    let mut unrecorded = snapshot.prepare_cached(
        "SELECT o.message_id FROM message_opening o WHERE NOT EXISTS (SELECT 1 FROM audit_log a WHERE a.id = o.audit_id \
         AND a.action = 'MESSAGE_VIEW' AND a.person_id = o.person_id) LIMIT 1",
    )?;
    let made_up: Option<MessageId> = unrecorded.query_row((), |row| row.get(0)).optional()?;
    Ok(made_up.or(last))
}

/// Whether the list has a conversation at a message exactly where that is its newest one, and as the messages and the log have
/// it: so none is missing, stands elsewhere, counts other replies or is done by no act. The row is the message's own. A reply
/// opens a conversation again, so only acts after its newest message's row say whether it is done; the index
/// `audit_log_message` finds them, whose condition is repeated.
fn listed_agrees(snapshot: &Connection, row: &StoredRow, id: MessageId, root: MessageId) -> Result<bool, StoreError> {
    let agrees: Option<bool> = snapshot.prepare_cached(LISTED)?.query_row((root, id, row.id), |row| row.get(0))?;
    Ok(agrees.unwrap_or(false))
}

pub(super) const LISTED: &str = "SELECT CASE \
     WHEN c.last_id IS NULL OR n.id <> ?2 THEN (c.last_id IS NULL) = (n.id <> ?2) \
     ELSE c.root_id = ?1 AND c.replies = (SELECT count(*) FROM message_reply WHERE root_id = ?1) AND c.done_by IS ( \
         SELECT CASE action WHEN 'CONVERSATION_DONE' THEN id END FROM audit_log \
         WHERE message_id = ?1 AND id > ?3 AND action IN ('CONVERSATION_DONE', 'CONVERSATION_REOPENED') \
         AND action NOT IN ('MESSAGE_CREATE', 'MESSAGE_VIEW') ORDER BY id DESC LIMIT 1) END \
     FROM (SELECT coalesce((SELECT max(message_id) FROM message_reply WHERE root_id = ?1), ?1) AS id) n \
     LEFT JOIN conversation c ON c.last_id = ?2";

/// The first message of the conversation that a reply is in; None for a message that is no reply.
fn root_of(snapshot: &Connection, id: MessageId) -> Result<Option<MessageId>, StoreError> {
    let mut select = snapshot.prepare_cached("SELECT root_id FROM message_reply WHERE message_id = ?1")?;
    Ok(select.query_row([id], |row| row.get(0)).optional()?)
}

/// A message that a MESSAGE_VIEW row names, and that is not kept as opened by it; the row's own where it names what is not
/// there. Counts those that are kept.
fn opening_disagrees(
    walk: &mut Walk,
    snapshot: &Connection,
    row: &StoredRow,
    id: MessageId,
    named: Option<&str>,
) -> Result<Option<MessageId>, StoreError> {
    let ranges = match named {
        None => vec![id.get()..=id.get()],
        Some(text) => match ranges::parse(text) {
            Some(ranges) => ranges,
            None => return Ok(Some(id)),
        },
    };
    let mut kept = snapshot
        .prepare_cached("SELECT 1 FROM message_opening WHERE message_id = ?1 AND person_id = ?2 AND audit_id = ?3")?;
    for message in ranges.into_iter().flatten() {
        if message > walk.last_message || !kept.exists((message, row.person, row.id))? {
            return Ok(Some(MessageId::new(message).unwrap_or(id)));
        }
        walk.openings += 1;
    }
    Ok(None)
}

/// Whether the message is as its MESSAGE_CREATE row says, or is deleted and the log says that too.
fn created_agrees(
    snapshot: &Connection,
    row: &StoredRow,
    id: MessageId,
    details: &MessageDetails,
    root: Option<MessageId>,
) -> Result<bool, StoreError> {
    if details.reply_to != root.map(MessageId::get) || details.content.is_none() {
        return Ok(false);
    }
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
    Ok(details.content == Some(content_hash(&salt, subject, body, root).to_string()))
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
