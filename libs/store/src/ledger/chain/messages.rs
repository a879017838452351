//! Messages against the rows of the log that concern them.

use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;

use super::{StoredRow, Walk};
use crate::ledger::chain_hash::content_hash;
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
            follows && created_agrees(snapshot, row, id, &details, root)?
        }
        Some(Action::MessageDelete) => deleted_agrees(snapshot, row, id)?,
        Some(Action::MessageView) if walk.conversations => {
            let error = opening_disagrees(walk, snapshot, row, id, details.messages.as_deref())?;
            return Ok(error.map(ChainError::Opening));
        }
        _ => id.get() <= walk.last_message,
    };
    Ok((!agrees).then_some(ChainError::Message(id)))
}

/// A message beyond the last one that the log accounts for; there must be none.
pub(super) fn unsent(snapshot: &Connection, last_message: i64) -> Result<Option<MessageId>, StoreError> {
    let unsent = "SELECT id FROM message WHERE id > ?1 UNION ALL \
         SELECT message_id FROM message_body WHERE message_id > ?1 UNION ALL \
         SELECT message_id FROM message_deletion WHERE message_id > ?1 LIMIT 1";
    Ok(snapshot.prepare_cached(unsent)?.query_row([last_message], |row| row.get(0)).optional()?)
}

/// What follows from the messages and the log, and is not as they say, if there is anything: a conversation that would be
/// missing in the list, stand elsewhere, count other replies or be done by no act; and an opening that no row records.
pub(super) fn derived_error(snapshot: &Connection, openings: u64) -> Result<Option<ChainError>, StoreError> {
    let told = "SELECT root_id, last_id, replies, done_by FROM conversation";
    let differing = format!(
        "SELECT root_id FROM ({told} EXCEPT {CONVERSATIONS}) UNION ALL SELECT * FROM \
         (SELECT id FROM ({CONVERSATIONS} EXCEPT {told})) LIMIT 1"
    );
    let misplaced: Option<MessageId> =
        snapshot.prepare_cached(&differing)?.query_row((), |row| row.get(0)).optional()?;
    if let Some(id) = misplaced {
        return Ok(Some(ChainError::Message(id)));
    }
    // Every opening that a row records is there; as many as there are rows for, and no more.
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
    Ok(made_up.or(last).map(ChainError::Opening))
}

/// Every conversation as the messages and the log have it. The acts on it are found by the index `audit_log_message`, whose
/// condition is repeated.
const CONVERSATIONS: &str = "SELECT m.id, coalesce(max(r.message_id), m.id), count(r.message_id), \
     (SELECT d.id FROM audit_log d WHERE d.message_id = m.id AND d.action = 'CONVERSATION_DONE' \
     AND d.action NOT IN ('MESSAGE_CREATE', 'MESSAGE_VIEW') \
     AND NOT EXISTS (SELECT 1 FROM audit_log o WHERE o.message_id = m.id AND o.id > d.id \
     AND o.action = 'CONVERSATION_REOPENED' AND o.action NOT IN ('MESSAGE_CREATE', 'MESSAGE_VIEW')) \
     AND NOT EXISTS (SELECT 1 FROM message_reply n CROSS JOIN audit_log c INDEXED BY audit_log_person_action \
     ON c.message_id = n.message_id CROSS JOIN message s ON s.id = n.message_id \
     WHERE n.root_id = m.id AND c.person_id = s.author_id AND c.action = 'MESSAGE_CREATE' AND c.at = s.sent_at AND c.id > d.id) \
     ORDER BY d.id DESC LIMIT 1) \
     FROM message m LEFT JOIN message_reply r ON r.root_id = m.id \
     WHERE NOT EXISTS (SELECT 1 FROM message_reply own WHERE own.message_id = m.id) GROUP BY m.id";

/// Whether the database knows conversations: from schema 8 on.
pub(super) fn has_conversations(snapshot: &Connection) -> Result<bool, StoreError> {
    let mut select =
        snapshot.prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'conversation'")?;
    Ok(select.exists(())?)
}

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
        Some(text) => match parse_ranges(text) {
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

/// Reads "3, 5-9".
fn parse_ranges(text: &str) -> Option<Vec<std::ops::RangeInclusive<i64>>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.split(", ").map(range).collect()
}

/// Whether the message is as its MESSAGE_CREATE row says, or is deleted and the log says that too.
fn created_agrees(
    snapshot: &Connection,
    row: &StoredRow,
    id: MessageId,
    details: &MessageDetails,
    root: Option<MessageId>,
) -> Result<bool, StoreError> {
    if details.reply_to != root.map(MessageId::get) {
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
