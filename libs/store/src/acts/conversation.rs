//! A conversation: a message and its replies, one level deep, in the order in which they were sent.
//!
//! Opening a page of one gives out several texts: one MESSAGE_VIEW row names all of them by number, and is durable before any
//! of them is given out.

use rusqlite::{Connection, OptionalExtension};

use crate::acts::conversation_list::count;
use crate::acts::message::{Sent, Text, store_once};
use crate::acts::opening::record_opening;
use crate::acts::session::require_live;
use crate::acts::unread::first_unread;
use crate::sqlite::write::{Write, read_head};
use crate::store::Store;
use crate::types::{
    Actor, Addressed, AuditId, Author, Body, IdempotencyKey, MessageId, PersonId, StoreError, Timestamp,
};

/// A reply to be sent.
#[derive(Clone, Debug)]
pub struct NewReply {
    /// Any message of the conversation.
    pub to: MessageId,
    /// Its text.
    pub body: Body,
    /// Whom it is for.
    pub addressed: Addressed,
    /// What makes a repeated request the same reply.
    pub key: IdempotencyKey,
}

/// A page of a conversation, as it is opened. Debug does not show texts.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The first message, whose number the conversation has.
    pub root: MessageId,
    /// Its subject; None where the first message was deleted.
    pub subject: Option<Subject>,
    /// How many replies there are, deleted ones included.
    pub replies: u64,
    /// The page, from 0; the last one where a later one was asked for.
    pub page: u64,
    /// How many pages there are: at least one.
    pub pages: u64,
    /// Its messages, in the order in which they were sent.
    pub messages: Vec<ConversationMessage>,
    /// What was new before it was opened, where that begins on this page and after the first message.
    pub new: Option<NewFrom>,
    /// The newest audit row as of this page: live updates of it start after that.
    pub newest_event: AuditId,
}

/// Where what is new to a person begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewFrom {
    /// The oldest message that is new.
    pub first: MessageId,
    /// When the person last opened the message before that; None where that was never.
    pub since: Option<Timestamp>,
}

/// A subject. Debug does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject(pub String);

impl std::fmt::Debug for Subject {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Subject({} bytes)", self.0.len())
    }
}

/// A message in its conversation.
#[derive(Clone, Debug)]
pub struct ConversationMessage {
    /// Its number.
    pub id: MessageId,
    /// Who sent it.
    pub author: Author,
    /// When.
    pub sent_at: Timestamp,
    /// Its text, or that it is gone.
    pub content: MessageContent,
}

/// What is left of a message. Debug does not show the text.
#[derive(Clone, PartialEq, Eq)]
pub enum MessageContent {
    /// Its text.
    Live(String),
    /// Its author deleted it at this time.
    Deleted(Timestamp),
}

impl std::fmt::Debug for MessageContent {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MessageContent::Live(text) => write!(out, "Live({} bytes)", text.len()),
            MessageContent::Deleted(at) => write!(out, "Deleted({})", at.to_rfc3339()),
        }
    }
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The conversation's first message.
    pub root: MessageId,
    /// The page of the conversation, from 0, at this many messages a page.
    pub page: u64,
}

impl Store {
    /// Sends a reply: MESSAGE_CREATE, which names the conversation. The actor's draft with the same key goes with it. None
    /// where there is no such message.
    pub async fn send_reply(&self, actor: Actor, reply: NewReply, at: Timestamp) -> Result<Option<Sent>, StoreError> {
        self.write_duties(move |write| {
            require_live(write, actor)?;
            let Some(root) = root_of(write.connection, reply.to)? else { return Ok(None) };
            let text = Text { subject: "", body: reply.body.as_str(), root: Some(root), addressed: &reply.addressed };
            let sent = store_once(write, actor, &text, reply.key, at)?;
            if let Sent::Created(id) = sent {
                move_to_the_top(write, root, id)?;
            }
            Ok(Some(sent))
        })
        .await
    }

    /// Opens a page of a conversation, `size` messages: MESSAGE_VIEW is durable before any text is given out, and names each
    /// message that has one; where none has, no row is written. `root` is its first message; None where it is not one.
    pub async fn open_conversation(
        &self,
        actor: Actor,
        root: MessageId,
        page: u64,
        size: u64,
        at: Timestamp,
    ) -> Result<Option<Conversation>, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let Some(mut conversation) = read(write, root, page, size)? else { return Ok(None) };
            let first = first_unread(write.connection, actor.person, root)?.filter(|first| *first != root);
            if let Some(first) = first.filter(|first| conversation.messages.iter().any(|message| message.id == *first))
            {
                let since = last_opened_before(write.connection, actor.person, root, first)?;
                conversation.new = Some(NewFrom { first, since });
            }
            let shown =
                conversation.messages.iter().filter(|message| matches!(message.content, MessageContent::Live(_)));
            let shown: Vec<MessageId> = shown.map(|message| message.id).collect();
            record_opening(write, actor, root, &shown, at)?;
            Ok(Some(conversation))
        })
        .await
    }

    /// In which conversation a message stands, and on which of its pages of `size`. None where there is no such message.
    pub async fn position(&self, id: MessageId, size: u64) -> Result<Option<Position>, StoreError> {
        self.look_up(move |connection| match root_of(connection, id)? {
            Some(root) => Ok(Some(place(connection, root, id, size)?)),
            None => Ok(None),
        })
        .await
    }

    /// The oldest message of a conversation that is new to a person, and where it stands. None where nothing is new. `root` is
    /// the conversation's first message.
    pub async fn first_new(
        &self,
        person: PersonId,
        root: MessageId,
        size: u64,
    ) -> Result<Option<(MessageId, Position)>, StoreError> {
        self.look_up(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            match first_unread(&snapshot, person, root)? {
                Some(id) => Ok(Some((id, place(&snapshot, root, id, size)?))),
                None => Ok(None),
            }
        })
        .await
    }
}

fn place(connection: &Connection, root: MessageId, id: MessageId, size: u64) -> Result<Position, StoreError> {
    let mut count =
        connection.prepare_cached("SELECT count(*) FROM message_reply WHERE root_id = ?1 AND message_id < ?2")?;
    let before: i64 = count.query_row((root, id), |row| row.get(0))?;
    let before = u64::try_from(before).unwrap_or(0) + u64::from(id != root);
    Ok(Position { root, page: before / size.max(1) })
}

/// When a person last opened the message of a conversation that comes before another one of it.
fn last_opened_before(
    connection: &Connection,
    person: PersonId,
    root: MessageId,
    id: MessageId,
) -> Result<Option<Timestamp>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT a.at FROM message_opening o JOIN audit_log a ON a.id = o.audit_id WHERE o.person_id = ?1 AND o.message_id = \
         coalesce((SELECT max(message_id) FROM message_reply WHERE root_id = ?2 AND message_id < ?3), ?2) \
         ORDER BY o.audit_id DESC LIMIT 1",
    )?;
    Ok(select.query_row((person, root, id), |row| row.get(0)).optional()?)
}

/// The first message of the conversation in which a message stands: its own number where it is no reply. None where there is
/// no such message.
pub(super) fn root_of(connection: &Connection, id: MessageId) -> Result<Option<MessageId>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT coalesce(r.root_id, m.id) FROM message m LEFT JOIN message_reply r ON r.message_id = m.id WHERE m.id = ?1",
    )?;
    Ok(select.query_row([id], |row| row.get(0)).optional()?)
}

/// The newest message of a conversation, under whose number it stands in the list.
pub(super) fn last_of(connection: &Connection, root: MessageId) -> Result<MessageId, StoreError> {
    let mut last = connection
        .prepare_cached("SELECT coalesce((SELECT max(message_id) FROM message_reply WHERE root_id = ?1), ?1)")?;
    Ok(last.query_row([root], |row| row.get(0))?)
}

/// The conversation stands under its newest message, and is open.
fn move_to_the_top(write: &Write<'_>, root: MessageId, reply: MessageId) -> Result<(), StoreError> {
    let last = last_of(write.connection, root)?;
    let mut insert =
        write.connection.prepare_cached("INSERT INTO message_reply (message_id, root_id) VALUES (?1, ?2)")?;
    insert.execute((reply, root))?;
    let mut insert = write.connection.prepare_cached(
        "INSERT INTO conversation (last_id, root_id, replies) SELECT ?2, root_id, replies + 1 FROM conversation WHERE last_id = ?1",
    )?;
    insert.execute((last, reply))?;
    let mut delete = write.connection.prepare_cached("DELETE FROM conversation WHERE last_id = ?1")?;
    delete.execute([last])?;
    Ok(())
}

fn read(write: &Write<'_>, root: MessageId, page: u64, size: u64) -> Result<Option<Conversation>, StoreError> {
    let connection = write.connection;
    let mut select = connection.prepare_cached(
        "SELECT m.subject, d.at, (SELECT count(*) FROM message_reply r WHERE r.root_id = m.id) FROM message m \
         LEFT JOIN message_deletion d ON d.message_id = m.id \
         WHERE m.id = ?1 AND NOT EXISTS (SELECT 1 FROM message_reply own WHERE own.message_id = m.id)",
    )?;
    let found = select.query_row([root], |row| {
        let deleted: Option<Timestamp> = row.get(1)?;
        Ok((deleted.is_none().then_some(Subject(row.get(0)?)), count(row, 2)?))
    });
    let Some((subject, replies)) = found.optional()? else { return Ok(None) };
    let size = size.max(1);
    let pages = (replies + 1).div_ceil(size);
    let page = page.min(pages - 1);
    // The first message is the first of the first page.
    let (skipped, taken) = if page == 0 { (0, size - 1) } else { (page * size - 1, size) };
    let mut messages = Vec::new();
    if page == 0 {
        messages.extend(message(connection, root)?);
    }
    let mut select = connection.prepare_cached(
        "SELECT message_id FROM message_reply WHERE root_id = ?1 ORDER BY message_id LIMIT ?3 OFFSET ?2",
    )?;
    let (skipped, taken) = (i64::try_from(skipped).unwrap_or(i64::MAX), i64::try_from(taken).unwrap_or(i64::MAX));
    let replies_here = select.query_map((root, skipped, taken), |row| row.get(0))?;
    for id in replies_here {
        messages.extend(message(connection, id?)?);
    }
    let newest_event = read_head(connection)?.id;
    Ok(Some(Conversation { root, subject, replies, page, pages, messages, new: None, newest_event }))
}

fn message(connection: &Connection, id: MessageId) -> Result<Option<ConversationMessage>, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT m.author_id, p.name, p.email, m.sent_at, b.body, d.at FROM message m JOIN person p ON p.id = m.author_id \
         JOIN message_body b ON b.message_id = m.id LEFT JOIN message_deletion d ON d.message_id = m.id WHERE m.id = ?1",
    )?;
    let found = select.query_row([id], |row| {
        let content = match row.get(5)? {
            Some(at) => MessageContent::Deleted(at),
            None => MessageContent::Live(row.get(4)?),
        };
        Ok(ConversationMessage { id, author: Author::from_row(row, 0)?, sent_at: row.get(3)?, content })
    });
    Ok(found.optional()?)
}

#[cfg(test)]
pub(super) mod tests;
