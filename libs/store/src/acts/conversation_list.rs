//! The list of conversations: the one with the newest message first, without the text of any body.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::acts::conversation::{Subject, last_of, root_of};
use crate::acts::unread::walk;
use crate::sqlite::write::read_head;
use crate::store::Store;
use crate::types::{AuditId, Author, MessageId, PersonId, StoreError, Timestamp};

/// Which conversations to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListQuery {
    /// Those that come after a page that said so.
    pub before: Option<MessageId>,
    /// Those that this person began.
    pub author: Option<PersonId>,
    /// Those of which this holds.
    pub show: Show,
    /// At most so many.
    pub limit: u32,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self { before: None, author: None, show: Show::All, limit: 50 }
    }
}

/// What may hold of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Show {
    /// Nothing: all of them.
    All,
    /// They are not done.
    Open,
    /// Something in them is new to this person; they come in the order of the newest such message.
    Unread(PersonId),
    /// Those with a message that is for this person, and neither done nor answered.
    ForMe(PersonId),
}

/// A conversation as the list shows it. Debug does not show the subject.
#[derive(Clone, Debug)]
pub struct ConversationSummary {
    /// The first message.
    pub root: MessageId,
    /// Who began it.
    pub author: Author,
    /// When.
    pub sent_at: Timestamp,
    /// Its subject, or since when the first message is deleted.
    pub subject: Result<Subject, Timestamp>,
    /// How many replies there are, deleted ones included.
    pub replies: u64,
    /// The newest reply: its number, its author and when; None where nobody has replied.
    pub last_reply: Option<(MessageId, Author, Timestamp)>,
    /// Who said that it is done, and when; None where it is open.
    pub done: Option<Done>,
}

/// Who said that a conversation is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Who.
    pub by: Author,
    /// When.
    pub at: Timestamp,
}

impl ConversationSummary {
    /// The number, if its subject can be seen.
    pub fn shows_subject(&self) -> Option<MessageId> {
        self.subject.is_ok().then_some(self.root)
    }

    /// The newest message, under whose number the conversation stands in the list.
    pub fn last(&self) -> MessageId {
        self.last_reply.as_ref().map_or(self.root, |(id, ..)| *id)
    }

    /// When the newest message was sent.
    pub fn last_at(&self) -> Timestamp {
        self.last_reply.as_ref().map_or(self.sent_at, |(_, _, at)| *at)
    }
}

/// A page of the list of conversations.
#[derive(Clone, Debug)]
pub struct ConversationList {
    /// The one with the newest message first.
    pub conversations: Vec<ConversationSummary>,
    /// Where the next page begins, if there is one: [`ListQuery::before`].
    pub next: Option<MessageId>,
    /// The newest audit row as of this page: live updates of it start after that.
    pub newest_event: AuditId,
}

/// The conversations beside one in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// The one whose newest message came next.
    pub newer: Option<MessageId>,
    /// The one whose newest message came before.
    pub older: Option<MessageId>,
}

impl Store {
    /// A page of the list of conversations.
    pub async fn list_conversations(&self, query: ListQuery) -> Result<ConversationList, StoreError> {
        self.look_up(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let (conversations, next) = match query.show {
                Show::All | Show::Open => listed(&snapshot, query)?,
                Show::Unread(person) => unread(&snapshot, query, person)?,
                Show::ForMe(person) => for_person(&snapshot, query, person)?,
            };
            Ok(ConversationList { conversations, next, newest_event: read_head(&snapshot)?.id })
        })
        .await
    }

    /// The conversation in which a message stands, as the list shows it.
    pub async fn conversation_summary(&self, id: MessageId) -> Result<Option<ConversationSummary>, StoreError> {
        self.look_up(move |connection| match root_of(connection, id)? {
            Some(root) => find(connection, root),
            None => Ok(None),
        })
        .await
    }

    /// What stands beside a conversation in the list of all.
    pub async fn neighbours(&self, root: MessageId) -> Result<Neighbours, StoreError> {
        self.look_up(move |connection| {
            let last = last_of(connection, root)?;
            let beside = |sql| -> Result<Option<MessageId>, StoreError> {
                Ok(connection.prepare_cached(sql)?.query_row([last], |row| row.get(0)).optional()?)
            };
            let newer = beside("SELECT root_id FROM conversation WHERE last_id > ?1 ORDER BY last_id LIMIT 1")?;
            let older = beside("SELECT root_id FROM conversation WHERE last_id < ?1 ORDER BY last_id DESC LIMIT 1")?;
            Ok(Neighbours { newer, older })
        })
        .await
    }

    /// When a person was last shown a list before a time.
    pub async fn last_looked_before(&self, person: PersonId, at: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.look_up(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT max(at) FROM audit_log INDEXED BY audit_log_person_action \
                 WHERE person_id = ?1 AND action = 'MESSAGE_LIST' AND at < ?2",
            )?;
            Ok(select.query_row((person, at), |row| row.get(0))?)
        })
        .await
    }
}

type Page = (Vec<ConversationSummary>, Option<MessageId>);

fn listed(connection: &Connection, query: ListQuery) -> Result<Page, StoreError> {
    let before = query.before.unwrap_or(MessageId::MAX);
    // One more than asked for tells whether there are older ones.
    let asked = i64::from(query.limit) + 1;
    let only_open = query.show == Show::Open;
    let mut conversations: Vec<ConversationSummary> = match query.author {
        None => {
            let mut select = connection.prepare_cached(if only_open { OPEN } else { ALL })?;
            let found = select.query_map((before, asked), summary)?;
            found.collect::<Result<_, _>>()?
        }
        Some(author) => {
            let mut sent_at = connection.prepare_cached("SELECT sent_at FROM message WHERE id = ?1")?;
            let sent_before: Option<i64> = sent_at.query_row([before], |row| row.get(0)).optional()?;
            let mut select = connection.prepare_cached(OF_AUTHOR)?;
            let values = (sent_before.unwrap_or(i64::MAX), before, asked, author, only_open);
            let found = select.query_map(values, summary)?;
            found.collect::<Result<_, _>>()?
        }
    };
    let older = conversations.len() > query.limit as usize;
    conversations.truncate(query.limit as usize);
    let last = conversations.last().filter(|_| older);
    let next = last.map(|last| if query.author.is_some() { last.root } else { last.last() });
    Ok((conversations, next))
}

fn unread(connection: &Connection, query: ListQuery, person: PersonId) -> Result<Page, StoreError> {
    let limit = query.limit as usize;
    // One more than asked for tells whether there are more.
    let mut walked = walk(connection, person, query.before.unwrap_or(MessageId::MAX), limit + 1)?;
    let next = if walked.found.len() > limit {
        walked.found.truncate(limit);
        walked.found.last().map(|(message, _)| *message)
    } else {
        walked.down_to
    };
    let mut conversations = Vec::with_capacity(walked.found.len());
    for (_, root) in walked.found {
        conversations.extend(find(connection, root)?);
    }
    conversations.retain(|found| query.author.is_none_or(|author| author == found.author.id));
    Ok((conversations, next))
}

/// Those with an open duty of a person, the one with the newest message first. A person has some dozens of them, so all are
/// found for each page.
fn for_person(connection: &Connection, query: ListQuery, person: PersonId) -> Result<Page, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT DISTINCT coalesce(r.root_id, d.message_id) FROM duty d INDEXED BY duty_open \
         LEFT JOIN message_reply r ON r.message_id = d.message_id WHERE d.person_id = ?1 AND d.ended_by IS NULL",
    )?;
    let roots: Vec<MessageId> = select.query_map([person], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut placed = Vec::with_capacity(roots.len());
    for root in roots {
        placed.push((last_of(connection, root)?, root));
    }
    placed.retain(|(last, _)| query.before.is_none_or(|before| *last < before));
    placed.sort_unstable();
    let mut conversations = Vec::new();
    let mut next = None;
    for (last, root) in placed.into_iter().rev() {
        if conversations.len() == query.limit as usize {
            return Ok((conversations, next));
        }
        next = Some(last);
        let found = find(connection, root)?;
        conversations.extend(found.filter(|found| query.author.is_none_or(|author| author == found.author.id)));
    }
    Ok((conversations, None))
}

pub(super) fn find(connection: &Connection, root: MessageId) -> Result<Option<ConversationSummary>, StoreError> {
    Ok(connection.prepare_cached(ONE)?.query_row([root], summary).optional()?)
}

/// The columns of a summary, from `m`, the first message, and `c`, the conversation.
macro_rules! summary {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT c.root_id, m.author_id, p.name, p.email, m.sent_at, m.subject, d.at, c.replies, \
             c.last_id, l.author_id, q.name, q.email, l.sent_at, a.person_id, o.name, o.email, a.at",
            $from,
            " JOIN person p ON p.id = m.author_id LEFT JOIN message_deletion d ON d.message_id = m.id \
             JOIN message l ON l.id = c.last_id JOIN person q ON q.id = l.author_id \
             LEFT JOIN audit_log a ON a.id = c.done_by LEFT JOIN person o ON o.id = a.person_id ",
            $rest
        )
    };
}

/// A walk from the end of `conversation`.
const ALL: &str = summary!(
    " FROM conversation c CROSS JOIN message m ON m.id = c.root_id",
    "WHERE c.last_id < ?1 ORDER BY c.last_id DESC LIMIT ?2"
);

/// The same over those that are open.
const OPEN: &str = summary!(
    " FROM conversation c INDEXED BY conversation_open CROSS JOIN message m ON m.id = c.root_id",
    "WHERE c.done_by IS NULL AND c.last_id < ?1 ORDER BY c.last_id DESC LIMIT ?2"
);

/// Conversations that one person began, by the rows of the audit log, which an index finds by person, and so by time.
const OF_AUTHOR: &str = summary!(
    " FROM audit_log b INDEXED BY audit_log_person_action CROSS JOIN message m ON m.id = b.message_id \
     CROSS JOIN conversation c ON c.last_id = \
     coalesce((SELECT max(r.message_id) FROM message_reply r WHERE r.root_id = m.id), m.id)",
    "WHERE b.person_id = ?4 AND b.action = 'MESSAGE_CREATE' AND (b.at, b.message_id) < (?1, ?2) \
     AND NOT EXISTS (SELECT 1 FROM message_reply own WHERE own.message_id = m.id) \
     AND (NOT ?5 OR c.done_by IS NULL) ORDER BY b.at DESC, b.id DESC LIMIT ?3"
);

/// One conversation.
const ONE: &str = summary!(
    " FROM message m CROSS JOIN conversation c ON c.last_id = \
     coalesce((SELECT max(r.message_id) FROM message_reply r WHERE r.root_id = m.id), m.id)",
    "WHERE m.id = ?1"
);

fn summary(row: &Row<'_>) -> rusqlite::Result<ConversationSummary> {
    let (root, last): (MessageId, MessageId) = (row.get(0)?, row.get(8)?);
    let subject = match row.get(6)? {
        Some(at) => Err(at),
        None => Ok(Subject(row.get(5)?)),
    };
    let last_reply = if last == root { None } else { Some((last, Author::from_row(row, 9)?, row.get(12)?)) };
    let done = match row.get(16)? {
        Some(at) => Some(Done { by: Author::from_row(row, 13)?, at }),
        None => None,
    };
    let (author, sent_at) = (Author::from_row(row, 1)?, row.get(4)?);
    Ok(ConversationSummary { root, author, sent_at, subject, replies: count(row, 7)?, last_reply, done })
}

pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

#[cfg(test)]
mod tests;
