//! What is new to a person: every message sent since the first sign-in, but the person's own and those that were opened.
//!
//! What was there before and what was opened is kept as ranges of numbers, a few rows for somebody who reads along. Own
//! messages are told by their author and lie in a range only where they would otherwise make a walk long; deleted ones are
//! new to nobody, wherever they lie.

mod marks;
mod walk;

use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

pub use self::marks::{KnownMarks, ReaderMark, ReaderMarks, UnreadCount};
pub(super) use self::walk::{first_unread, walk};
use crate::acts::conversation::root_of;
use crate::acts::message::record;
use crate::acts::session::require_live;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{Action, Actor, MessageId, PersonId, StoreError, Timestamp};

/// What came of making a conversation new again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkedUnread {
    /// It is new.
    Unread,
    /// Nobody else wrote anything in it that can still be read.
    NothingOfOthers,
    /// There is no such message.
    Missing,
}

impl Store {
    /// Makes a conversation new again to the actor, by the newest message of somebody else that can be read:
    /// MESSAGE_MARKED_UNREAD.
    pub async fn mark_unread(&self, actor: Actor, id: MessageId, at: Timestamp) -> Result<MarkedUnread, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let Some(root) = root_of(write.connection, id)? else { return Ok(MarkedUnread::Missing) };
            let mut select = write.connection.prepare_cached(
                "SELECT m.id FROM message m WHERE m.id IN \
                 (SELECT ?1 UNION ALL SELECT message_id FROM message_reply WHERE root_id = ?1) \
                 AND m.author_id <> ?2 AND NOT EXISTS (SELECT 1 FROM message_deletion d WHERE d.message_id = m.id) \
                 ORDER BY m.id DESC LIMIT 1",
            )?;
            let newest: Option<MessageId> = select.query_row((root, actor.person), |row| row.get(0)).optional()?;
            let Some(message) = newest else { return Ok(MarkedUnread::NothingOfOthers) };
            if take_out(write, actor.person, message)? {
                record(write, actor, Action::MessageMarkedUnread, message, json!({}), at)?;
            }
            Ok(MarkedUnread::Unread)
        })
        .await
    }
}

/// Everything sent so far is not new to somebody who comes for the first time.
pub(super) fn begin_reading(write: &Write<'_>, person: PersonId) -> Result<(), StoreError> {
    let mut insert = write.connection.prepare_cached(
        "INSERT INTO read_range (person_id, first_id, last_id) SELECT ?1, 1, id FROM message ORDER BY id DESC LIMIT 1",
    )?;
    insert.execute([person])?;
    Ok(())
}

/// After a message was sent, the newest of all. It takes a range only where it follows another message that is not new to its
/// author: so a send mostly writes nothing here, and between ranges lie at most as many own messages as those of others.
pub(super) fn mark_sent(write: &Write<'_>, author: PersonId, message: MessageId) -> Result<(), StoreError> {
    let number = message.get();
    let before = range_from(write.connection, author, message)?;
    if let Some(range) = before.filter(|range| range.last + 1 == number) {
        return end_range(write, author, range.first, number);
    }
    let mut follows_own = write.connection.prepare_cached("SELECT 1 FROM message WHERE id = ?1 AND author_id = ?2")?;
    if follows_own.exists((number - 1, author))? { add_range(write, author, number - 1, number) } else { Ok(()) }
}

/// A message is not new to a person any more.
pub(super) fn mark_read(write: &Write<'_>, person: PersonId, message: MessageId) -> Result<(), StoreError> {
    let before = range_from(write.connection, person, message)?;
    if before.is_some_and(|range| message.get() <= range.last) {
        return Ok(());
    }
    let number = message.get();
    let mut next = write
        .connection
        .prepare_cached("DELETE FROM read_range WHERE person_id = ?1 AND first_id = ?2 RETURNING last_id")?;
    let next: Option<i64> = next.query_row((person, number + 1), |row| row.get(0)).optional()?;
    let last = next.unwrap_or(number);
    match before.filter(|range| range.last + 1 == number) {
        Some(range) => end_range(write, person, range.first, last),
        None => add_range(write, person, number, last),
    }
}

/// Takes a message out of the range that it is in; gives whether it was in one.
fn take_out(write: &Write<'_>, person: PersonId, message: MessageId) -> Result<bool, StoreError> {
    let number = message.get();
    let Some(range) = range_from(write.connection, person, message)?.filter(|range| number <= range.last) else {
        return Ok(false);
    };
    if range.first < number {
        end_range(write, person, range.first, number - 1)?;
    } else {
        let mut delete =
            write.connection.prepare_cached("DELETE FROM read_range WHERE person_id = ?1 AND first_id = ?2")?;
        delete.execute((person, number))?;
    }
    if number < range.last {
        add_range(write, person, number + 1, range.last)?;
    }
    Ok(true)
}

fn end_range(write: &Write<'_>, person: PersonId, first: i64, last: i64) -> Result<(), StoreError> {
    let mut update =
        write.connection.prepare_cached("UPDATE read_range SET last_id = ?3 WHERE person_id = ?1 AND first_id = ?2")?;
    update.execute((person, first, last))?;
    Ok(())
}

fn add_range(write: &Write<'_>, person: PersonId, first: i64, last: i64) -> Result<(), StoreError> {
    let mut insert =
        write.connection.prepare_cached("INSERT INTO read_range (person_id, first_id, last_id) VALUES (?1, ?2, ?3)")?;
    insert.execute((person, first, last))?;
    Ok(())
}

#[derive(Clone, Copy)]
struct Range {
    first: i64,
    last: i64,
}

/// The last range that begins at a message or before it.
fn range_from(connection: &Connection, person: PersonId, message: MessageId) -> Result<Option<Range>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT first_id, last_id FROM read_range WHERE person_id = ?1 AND first_id <= ?2 ORDER BY first_id DESC LIMIT 1",
    )?;
    let found = select.query_row((person, message), |row| Ok(Range { first: row.get(0)?, last: row.get(1)? }));
    Ok(found.optional()?)
}

/// Whether somebody else sent a message, and it can still be read.
fn is_of_another(connection: &Connection, message: MessageId, person: PersonId) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT 1 FROM message m WHERE m.id = ?1 AND m.author_id <> ?2 \
         AND NOT EXISTS (SELECT 1 FROM message_deletion d WHERE d.message_id = m.id)",
    )?;
    Ok(select.exists((message, person))?)
}

#[cfg(test)]
mod tests;
