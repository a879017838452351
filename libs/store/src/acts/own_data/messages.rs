//! Messages of one's own, and who else opened them.

use rusqlite::Row;

use crate::store::Store;
use crate::types::{Action, AuditId, Author, MessageId, PersonId, StoreError, Timestamp};

/// A message of one's own. Debug does not show the text.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnMessage {
    /// Its number.
    pub id: MessageId,
    /// The first message of its conversation.
    pub conversation: MessageId,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// When it was deleted: then subject and body are gone.
    pub deleted_at: Option<Timestamp>,
    /// Its subject; a reply has none.
    pub subject: Option<String>,
    /// Its body.
    pub body: Option<String>,
    /// Its audit row, after which the walk goes on.
    pub row: AuditId,
}

impl std::fmt::Debug for OwnMessage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("OwnMessage").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where the walk along the openings of one's own messages stands; the default is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpeningKey {
    /// The audit row of the message's sending.
    sent: i64,
    person: i64,
    row: i64,
}

/// That somebody else opened a message of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The message.
    pub message: MessageId,
    /// Who opened it.
    pub by: Author,
    /// When.
    pub at: Timestamp,
    /// The audit row that says so.
    pub row: AuditId,
    /// After which the walk goes on.
    pub key: OpeningKey,
}

impl Store {
    /// Messages of a person in the order of their rows, those after the row `after` and up to `up_to`: at most `limit`, each with
    /// a text of up to 80 kB.
    pub async fn own_messages(
        &self,
        person: PersonId,
        after: AuditId,
        up_to: AuditId,
        limit: u32,
    ) -> Result<Vec<OwnMessage>, StoreError> {
        self.rows_of(OWN_MESSAGES, person, Action::MessageCreate, (after, up_to), limit, own_message).await
    }

    /// Who else opened messages of a person, in the order of the messages: those after `after` and up to the row `up_to`.
    pub async fn openings_of_own(
        &self,
        person: PersonId,
        after: OpeningKey,
        up_to: AuditId,
        limit: u32,
    ) -> Result<Vec<Opening>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(OPENINGS)?;
            let openings = select.query_map((person, up_to, after.sent, after.person, after.row, limit), opening)?;
            Ok(openings.collect::<Result<_, _>>()?)
        })
        .await
    }
}

pub(super) const OWN_MESSAGES: &str = concat!(
    "SELECT m.id, coalesce(r.root_id, m.id), m.sent_at, d.at, m.subject, b.body, a.id \
     FROM audit_log a INDEXED BY audit_log_person_action CROSS JOIN message m ON m.id = a.message_id \
     CROSS JOIN message_body b ON b.message_id = m.id LEFT JOIN message_reply r ON r.message_id = m.id \
     LEFT JOIN message_deletion d ON d.message_id = m.id \
     WHERE a.person_id = ?1 AND a.action = ?2 AND (a.at, a.id) > ",
    beyond!(),
    " AND +a.id <= ?4 ORDER BY a.at, a.id LIMIT ?5"
);

pub(super) const OPENINGS: &str = concat!(
    "SELECT o.message_id, p.id, p.name, p.email, v.at, v.id, c.id \
     FROM audit_log c INDEXED BY audit_log_person_action \
     CROSS JOIN message_opening o ON o.message_id = c.message_id CROSS JOIN audit_log v ON v.id = o.audit_id \
     CROSS JOIN person p ON p.id = o.person_id \
     WHERE c.person_id = ?1 AND c.action = 'MESSAGE_CREATE' AND o.person_id <> ?1 AND (c.at, c.id) >= ",
    beyond!(),
    " AND (c.id <> ?3 OR (o.person_id, o.audit_id) > (?4, ?5)) AND +o.audit_id <= ?2 \
     ORDER BY c.at, c.id, o.person_id, o.audit_id LIMIT ?6"
);

fn own_message(row: &Row<'_>) -> rusqlite::Result<OwnMessage> {
    let (id, conversation): (MessageId, MessageId) = (row.get(0)?, row.get(1)?);
    let deleted_at: Option<Timestamp> = row.get(3)?;
    let live = deleted_at.is_none();
    Ok(OwnMessage {
        id,
        conversation,
        sent_at: row.get(2)?,
        deleted_at,
        subject: if live && id == conversation { Some(row.get(4)?) } else { None },
        body: if live { Some(row.get(5)?) } else { None },
        row: row.get(6)?,
    })
}

fn opening(row: &Row<'_>) -> rusqlite::Result<Opening> {
    let (message, by): (MessageId, Author) = (row.get(0)?, Author::from_row(row, 1)?);
    let (at, id): (Timestamp, AuditId) = (row.get(4)?, row.get(5)?);
    let key = OpeningKey { sent: row.get(6)?, person: by.id.get(), row: id.get() };
    Ok(Opening { message, by, at, row: id, key })
}
