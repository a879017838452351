//! What has happened to messages and who wrote them: reading without the text of any body.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::sqlite::write::read_head;
use crate::store::Store;
use crate::types::{Action, AuditId, Author, MessageId, StoreError, Timestamp};

/// A message as the list shows it.
#[derive(Clone, Debug)]
pub struct MessageSummary {
    /// Its number.
    pub id: MessageId,
    /// Who sent it.
    pub author: Author,
    /// When.
    pub sent_at: Timestamp,
    /// Its subject, or that it is gone.
    pub content: SummaryContent,
}

impl MessageSummary {
    /// The number, if its subject can be seen.
    pub fn shows_subject(&self) -> Option<MessageId> {
        matches!(self.content, SummaryContent::Live { .. }).then_some(self.id)
    }
}

/// What the list shows of a message's content. Debug does not show the subject.
#[derive(Clone, PartialEq, Eq)]
pub enum SummaryContent {
    /// It can be opened.
    Live {
        /// Its subject.
        subject: String,
    },
    /// Its author deleted it.
    Deleted {
        /// When.
        at: Timestamp,
    },
}

impl std::fmt::Debug for SummaryContent {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SummaryContent::Live { .. } => out.write_str("Live"),
            SummaryContent::Deleted { at } => write!(out, "Deleted({})", at.to_rfc3339()),
        }
    }
}

/// Whether what was read before still shows what a read would now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListState {
    /// The newest audit row.
    pub newest: AuditId,
    /// Nothing has happened that could show in any list.
    pub unchanged: bool,
}

/// More rows than this since a list was read: reading it again is cheaper than looking through them.
const LOOKED_THROUGH: i64 = 1_000;

/// Something that happened to a message.
#[derive(Clone, Debug)]
pub struct MessageEvent {
    /// The audit row that records it.
    pub id: AuditId,
    /// What happened.
    pub change: MessageChange,
    /// The message as it is now: one sent and deleted since is shown as deleted in both its events.
    pub message: MessageSummary,
}

/// What can happen to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageChange {
    /// It was sent.
    Sent,
    /// It was deleted.
    Deleted,
    /// Its conversation is done, or open again.
    DoneOrOpen,
}

/// The columns of a summary: id, author's id, name, e-mail, sent at, subject, deleted at.
macro_rules! summary {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT m.id, m.author_id, p.name, p.email, m.sent_at, m.subject, d.at",
            $from,
            " JOIN person p ON p.id = m.author_id LEFT JOIN message_deletion d ON d.message_id = m.id ",
            $rest
        )
    };
}

fn summary(row: &Row<'_>) -> rusqlite::Result<MessageSummary> {
    let content = match row.get(6)? {
        Some(at) => SummaryContent::Deleted { at },
        None => SummaryContent::Live { subject: row.get(5)? },
    };
    Ok(MessageSummary { id: row.get(0)?, author: Author::from_row(row, 1)?, sent_at: row.get(4)?, content })
}

pub(crate) fn find_summary(connection: &Connection, id: MessageId) -> Result<Option<MessageSummary>, StoreError> {
    let mut select = connection.prepare_cached(summary!(" FROM message m", "WHERE m.id = ?1"))?;
    Ok(select.query_row([id], summary).optional()?)
}

impl Store {
    /// Everyone who has sent anything, by name.
    pub async fn authors(&self) -> Result<Vec<Author>, StoreError> {
        self.look_up(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT p.id, p.name, p.email FROM person p WHERE EXISTS \
                 (SELECT 1 FROM audit_log a INDEXED BY audit_log_person_action \
                 WHERE a.person_id = p.id AND a.action = 'MESSAGE_CREATE') ORDER BY p.name COLLATE NOCASE, p.id",
            )?;
            let authors = select.query_map((), |row| Author::from_row(row, 0))?;
            Ok(authors.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Whether lists that were read when `seen` was the newest row are still right. Every change of messages and of people
    /// has its audit row, whichever process made it; rows that record mere looking change nothing, and every other counts
    /// as a change.
    pub async fn lists_since(&self, seen: AuditId) -> Result<ListState, StoreError> {
        self.look_up(move |connection| {
            let newest = read_head(connection)?.id;
            let unchanged = newest == seen || only_looked(connection, seen, newest)?;
            Ok(ListState { newest, unchanged })
        })
        .await
    }

    /// One message as the list shows it.
    pub async fn message_summary(&self, id: MessageId) -> Result<Option<MessageSummary>, StoreError> {
        self.look_up(move |connection| find_summary(connection, id)).await
    }

    /// What happened to messages after an audit row, oldest first, at most `limit`.
    pub async fn message_events_after(&self, after: AuditId, limit: u32) -> Result<Vec<MessageEvent>, StoreError> {
        self.look_up(move |connection| {
            let mut select = connection.prepare_cached(summary!(
                ", a.id, a.action FROM audit_log a INDEXED BY audit_log_message_event \
                 CROSS JOIN message m ON m.id = a.message_id",
                "WHERE a.action IN ('MESSAGE_CREATE', 'MESSAGE_DELETE', 'CONVERSATION_DONE', 'CONVERSATION_REOPENED') \
                 AND a.id > ?1 ORDER BY a.id LIMIT ?2"
            ))?;
            let events = select.query_map((after, limit), |row| {
                let action: String = row.get(8)?;
                let change = match Action::parse(&action) {
                    Some(Action::MessageCreate) => MessageChange::Sent,
                    Some(Action::MessageDelete) => MessageChange::Deleted,
                    _ => MessageChange::DoneOrOpen,
                };
                Ok(MessageEvent { id: row.get(7)?, change, message: summary(row)? })
            })?;
            Ok(events.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Looks for rows that may change a list: those of which [`Action::leaves_lists`](crate::Action::leaves_lists) does not hold.
const ONLY_LOOKED: &str = "SELECT NOT EXISTS (SELECT 1 FROM audit_log NOT INDEXED WHERE id > ?1 AND id <= ?2 \
     AND action NOT IN ('MESSAGE_LIST', 'MESSAGE_VIEW', 'MESSAGE_MARKED_UNREAD', 'AUDIT_VIEW'))";

/// Whether all rows after `seen` up to `newest` record looking alone.
fn only_looked(connection: &Connection, seen: AuditId, newest: AuditId) -> Result<bool, StoreError> {
    if !(0..=LOOKED_THROUGH).contains(&(newest.get() - seen.get())) {
        return Ok(false);
    }
    let mut select = connection.prepare_cached(ONLY_LOOKED)?;
    Ok(select.query_row((seen, newest), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn a_kept_list_is_left_alone_by_the_actions_that_say_so() {
        assert_eq!(actions_in(ONLY_LOOKED), actions_that(Action::leaves_lists));
    }
}
