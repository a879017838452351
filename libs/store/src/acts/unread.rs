//! What is new to a person: every message sent since the first sign-in, but the person's own and those that were opened.
//!
//! What was there before and what was opened is kept as ranges of numbers, a few rows for somebody who reads along. Own
//! messages are told by their author and lie in a range only where they would otherwise make a walk long; deleted ones are
//! new to nobody, wherever they lie.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use crate::acts::conversation::root_of;
use crate::acts::message::record;
use crate::acts::session::require_live;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{Action, Actor, MessageId, PersonId, StoreError, Timestamp};

/// Conversations with something new are counted up to here.
const COUNTED: usize = 100;
/// Messages looked at for a count or a page: more of them would be many replies to few conversations.
const LOOKED_AT: usize = 2_000;

/// What a person's list shows beside what everybody's does.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReaderMarks {
    /// Of the conversations that were asked about, in their order.
    pub conversations: Vec<ReaderMark>,
    /// How many conversations have something new.
    pub unread: UnreadCount,
}

/// What a conversation is to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReaderMark {
    /// Something in it is new.
    pub unread: bool,
    /// There is a half-written reply.
    pub draft: bool,
}

/// How many conversations have something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UnreadCount {
    /// So many were counted, at most a hundred.
    pub counted: usize,
    /// There may be more.
    pub more: bool,
}

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
    /// What these conversations, each with its first and its newest message, are to a person; and how many have something
    /// new at all.
    pub async fn reader_marks(
        &self,
        person: PersonId,
        conversations: Arc<[(MessageId, MessageId)]>,
    ) -> Result<ReaderMarks, StoreError> {
        self.look_up(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut has_draft = snapshot.prepare_cached("SELECT 1 FROM draft WHERE person_id = ?1 AND root_id = ?2")?;
            let mut marks = Vec::with_capacity(conversations.len());
            for (root, last) in conversations.iter().copied() {
                let unread = newest_unread(&snapshot, person, root, last)?.is_some();
                marks.push(ReaderMark { unread, draft: has_draft.exists((person, root))? });
            }
            let walk = Walk::before(&snapshot, person, MessageId::MAX).conversations(COUNTED)?;
            let unread = UnreadCount { counted: walk.found.len(), more: walk.more };
            Ok(ReaderMarks { conversations: marks, unread })
        })
        .await
    }

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

/// The newest message of a conversation, up to `last`, that is new to a person. It steps over whole ranges and whole gaps, so
/// that a long conversation costs no more than the person has ranges in it.
fn newest_unread(
    connection: &Connection,
    person: PersonId,
    root: MessageId,
    last: MessageId,
) -> Result<Option<MessageId>, StoreError> {
    let mut newest = connection
        .prepare_cached("SELECT max(message_id) FROM message_reply WHERE root_id = ?1 AND message_id <= ?2")?;
    let mut bound = last.get();
    while bound >= root.get() {
        let reply: Option<MessageId> = newest.query_row((root, bound), |row| row.get(0))?;
        let message = reply.unwrap_or(root);
        match range_from(connection, person, message)? {
            Some(range) if message.get() <= range.last => bound = range.first - 1,
            _ if is_of_another(connection, message, person)? => return Ok(Some(message)),
            _ => bound = message.get() - 1,
        }
    }
    Ok(None)
}

/// Whether somebody else sent a message, and it can still be read.
fn is_of_another(connection: &Connection, message: MessageId, person: PersonId) -> Result<bool, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT 1 FROM message m WHERE m.id = ?1 AND m.author_id <> ?2 \
         AND NOT EXISTS (SELECT 1 FROM message_deletion d WHERE d.message_id = m.id)",
    )?;
    Ok(select.exists((message, person))?)
}

/// A walk over what is new to a person, the newest first.
pub(super) struct Walk<'c> {
    connection: &'c Connection,
    person: PersonId,
    bound: i64,
}

/// What a walk found.
pub(super) struct Found {
    /// Conversations, each with its newest message that is new, in the order of these.
    pub(super) found: Vec<(MessageId, MessageId)>,
    /// There may be more.
    pub(super) more: bool,
    /// Where the next walk goes on: before this message.
    pub(super) next: Option<MessageId>,
}

impl<'c> Walk<'c> {
    /// Messages before this one.
    pub(super) fn before(connection: &'c Connection, person: PersonId, message: MessageId) -> Self {
        Self { connection, person, bound: message.get().saturating_sub(1) }
    }

    /// The next conversations, at most so many.
    pub(super) fn conversations(mut self, limit: usize) -> Result<Found, StoreError> {
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..LOOKED_AT {
            let Some(message) = self.next()? else { return Ok(Found { found, more: false, next: None }) };
            // One more than asked for tells whether there are more.
            if found.len() == limit {
                return Ok(Found { found, more: true, next });
            }
            next = Some(message);
            if let Some(root) = root_of(self.connection, message)?
                && newest_unread(self.connection, self.person, root, MessageId::MAX)? == Some(message)
            {
                found.push((root, message));
            }
        }
        Ok(Found { found, more: true, next })
    }

    fn next(&mut self) -> Result<Option<MessageId>, StoreError> {
        let mut newest = self.connection.prepare_cached("SELECT max(id) FROM message WHERE id <= ?1")?;
        loop {
            let message: Option<MessageId> = newest.query_row([self.bound], |row| row.get(0))?;
            let Some(message) = message else { return Ok(None) };
            match range_from(self.connection, self.person, message)? {
                Some(range) if message.get() <= range.last => self.bound = range.first - 1,
                _ => {
                    self.bound = message.get() - 1;
                    if is_of_another(self.connection, message, self.person)? {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
