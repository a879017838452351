//! Looking for what is new: in one conversation, and over all messages from the newest on, each conversation once.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, Rows};

use super::{is_of_another, range_from};
use crate::types::{MessageId, PersonId, StoreError};

/// Messages that one walk passes; more than a tenth of a microsecond each.
const PASSED: usize = 20_000;
/// Look-ups of one walk, for a conversation or a range of numbers; a few microseconds each.
const LOOKED_UP: usize = 2_000;

/// What a walk found.
pub(in crate::acts) struct Walked {
    /// Conversations, each behind its newest message that is new, the greatest number first.
    pub(in crate::acts) found: Vec<(MessageId, MessageId)>,
    /// Those whose newest message that is new is this one, or a newer one, are all among them; None where there are no others.
    pub(in crate::acts) down_to: Option<MessageId>,
}

/// At most so many conversations that have something new, by their newest message that is new, from those before a message on.
/// A long conversation is asked once; its other messages are passed. Stops short of the limit where it has passed too many.
pub(in crate::acts) fn walk(
    connection: &Connection,
    person: PersonId,
    before: MessageId,
    limit: usize,
) -> Result<Walked, StoreError> {
    let mut newest = connection.prepare_cached("SELECT max(id) FROM message WHERE id < ?1")?;
    let newest: Option<i64> = newest.query_row([before], |row| row.get(0))?;
    let mut bound = newest.unwrap_or(0);
    let mut replies = connection.prepare_cached(
        "SELECT message_id, root_id FROM message_reply WHERE message_id BETWEEN ?1 AND ?2 ORDER BY message_id DESC",
    )?;
    let (mut passed, mut looked_up) = (0, 0);
    let mut newest_in: HashMap<MessageId, Option<MessageId>> = HashMap::new();
    let mut found = Vec::new();
    while let Some(message) = MessageId::new(bound) {
        let range = range_from(connection, person, message)?;
        if let Some(range) = range.filter(|range| bound <= range.last) {
            bound = range.first - 1;
            continue;
        }
        looked_up += 1;
        let gap = Gap { first: range.map_or(1, |range| range.last + 1), last: bound };
        let mut messages = gap.messages(&mut replies)?;
        while let Some((message, root)) = messages.next()? {
            if found.len() == limit || passed == PASSED || looked_up >= LOOKED_UP {
                return Ok(Walked { found, down_to: MessageId::new(message.get() + 1) });
            }
            passed += 1;
            let newest = match newest_in.get(&root) {
                Some(newest) => *newest,
                None => {
                    looked_up += 1;
                    *newest_in.entry(root).or_insert(newest_unread(connection, person, root)?)
                }
            };
            if newest == Some(message) {
                found.push((message, root));
            }
        }
        bound = gap.first - 1;
    }
    Ok(Walked { found, down_to: None })
}

/// Numbers that are in no range of what was read.
struct Gap {
    first: i64,
    last: i64,
}

/// The messages of a gap, the newest first, each with the first message of its conversation.
struct Messages<'s> {
    replies: Rows<'s>,
    /// The next reply.
    reply: Option<(i64, MessageId)>,
    first: i64,
    next: i64,
}

impl Gap {
    fn messages<'s>(&self, replies: &'s mut CachedStatement<'_>) -> Result<Messages<'s>, StoreError> {
        let mut replies = replies.query((self.first, self.last))?;
        let reply = next_reply(&mut replies)?;
        Ok(Messages { replies, reply, first: self.first, next: self.last })
    }
}

impl Messages<'_> {
    /// Messages are numbered without a gap, so one that is no reply begins a conversation.
    fn next(&mut self) -> Result<Option<(MessageId, MessageId)>, StoreError> {
        let Some(message) = MessageId::new(self.next).filter(|_| self.next >= self.first) else { return Ok(None) };
        self.next -= 1;
        match self.reply {
            Some((reply, root)) if reply == message.get() => {
                self.reply = next_reply(&mut self.replies)?;
                Ok(Some((message, root)))
            }
            _ => Ok(Some((message, message))),
        }
    }
}

fn next_reply(replies: &mut Rows<'_>) -> Result<Option<(i64, MessageId)>, StoreError> {
    Ok(match replies.next()? {
        Some(row) => Some((row.get(0)?, row.get(1)?)),
        None => None,
    })
}

/// The newest message of a conversation that is new to a person. It steps over whole ranges, so that a long conversation costs
/// no more than the person has ranges in it.
pub(super) fn newest_unread(
    connection: &Connection,
    person: PersonId,
    root: MessageId,
) -> Result<Option<MessageId>, StoreError> {
    let mut newest = connection
        .prepare_cached("SELECT max(message_id) FROM message_reply WHERE root_id = ?1 AND message_id <= ?2")?;
    let mut bound = i64::MAX;
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

/// The oldest message of a conversation that is new to a person; found in the same steps.
pub(in crate::acts) fn first_unread(
    connection: &Connection,
    person: PersonId,
    root: MessageId,
) -> Result<Option<MessageId>, StoreError> {
    let mut oldest = connection
        .prepare_cached("SELECT min(message_id) FROM message_reply WHERE root_id = ?1 AND message_id >= ?2")?;
    let mut next = Some(root);
    while let Some(message) = next {
        let after = match range_from(connection, person, message)? {
            Some(range) if message.get() <= range.last => range.last + 1,
            _ if is_of_another(connection, message, person)? => return Ok(Some(message)),
            _ => message.get() + 1,
        };
        next = oldest.query_row((root, after), |row| row.get(0))?;
    }
    Ok(None)
}
