//! Finding rows of the audit log: for pages, and for exports in constant memory.
//!
//! The whole log and the rows of one message are ordered by their numbers. Any other view is ordered by time and then number,
//! which is the same order unless the clock was set back. So every filter walks an index: a page costs the same in a log of
//! ten rows and of ten million. What concerns a person is merged from walks of each of their actions, and of what was done to
//! them, which saves every commit an index; a message's rows are merged from its sending, its openings by each person, and what
//! else was done to it. Only then are the rows read.

mod walk;

use std::cmp::Reverse;

use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use self::walk::{Kind, kinds, walk};
use crate::ledger::personal::with_personal;
use crate::sqlite::write::read_head;
use crate::store::Store;
use crate::types::{Action, AuditId, Author, ChainPosition, Hash, MessageId, PersonId, StoreError, Timestamp};

/// Whom a row says something was done to, as the index `audit_log_done_to` has it.
macro_rules! done_to {
    ($of:literal) => {
        concat!("CASE WHEN json_valid(", $of, "details) THEN ", $of, "details ->> '$.person' END")
    };
}
pub(crate) use done_to;

/// A row of the audit log, as stored, with what a reader wants to see beside it.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// Its number: 1, 2, 3 without a gap.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who, under today's name and e-mail address.
    pub person: Option<Author>,
    /// What, as stored; [`Action::parse`] reads it.
    pub action: String,
    /// Which message.
    pub message: Option<MessageId>,
    /// A JSON object's text, as stored.
    pub details: String,
    /// The fields of the details that name somebody, which stand beside the row: a JSON object's text. None where the row
    /// has none, and where they were erased.
    pub personal: Option<String>,
    /// From which address.
    pub ip: Option<String>,
    /// The hash of the row before.
    pub previous_hash: Hash,
    /// The hash of this row.
    pub hash: Hash,
}

impl AuditRow {
    /// The details, and in them the fields that name somebody, as long as they are there. None where they are no JSON object,
    /// which no program writes.
    pub fn named_details(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        with_personal(&self.details, self.personal.as_deref())
    }
}

/// Which rows; what is not set does not restrict.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct AuditFilter {
    /// What this person did, and what was done to them by somebody who was not signed in, such as an operator. That somebody
    /// opened a message of theirs is not among it.
    pub person: Option<PersonId>,
    /// Acts of this kind.
    pub action: Option<Action>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Acts on this message: it was sent, opened alone or with others, deleted.
    pub message: Option<MessageId>,
    /// Without mere looks ([`Action::is_mere_look`]), of which there are more than of all others; unless `action` asks for one.
    pub without_looks: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
}

/// What is left out of a view without mere looks: every [`Action::is_mere_look`].
pub(crate) const LOOKS: [Action; 2] = [Action::AuditView, Action::MessageList];

impl Store {
    /// At most `limit` rows of `filter`, oldest first: those that come after the row `after`, up to the number `up_to`.
    /// An export goes through the log by passing the last row it got as the next `after`.
    pub async fn audit_rows(
        &self,
        filter: &AuditFilter,
        after: AuditId,
        up_to: AuditId,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let filter = filter.clone();
        let after = (after > AuditId::ZERO).then_some(after);
        self.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            select(&snapshot, &filter, Order::OldestFirst, after, Some(up_to), limit)
        })
        .await
    }

    /// The newest row's number and hash.
    pub async fn audit_head(&self) -> Result<ChainPosition, StoreError> {
        self.look_up(read_head).await
    }
}

pub(crate) fn select(
    connection: &Connection,
    filter: &AuditFilter,
    order: Order,
    beyond: Option<AuditId>,
    up_to: Option<AuditId>,
    limit: u32,
) -> Result<Vec<AuditRow>, StoreError> {
    // Where the walk goes on: by number, or by the time of that number's row.
    let beyond = match beyond {
        None => None,
        Some(id) => {
            let mut at = connection.prepare_cached("SELECT at FROM audit_log WHERE id = ?1")?;
            match at.query_row([id], |row| row.get::<_, Timestamp>(0)).optional()? {
                Some(at) => Some((at, id)),
                // A number past the end, or of no row: nothing is after it, everything is before it.
                None if order == Order::OldestFirst => return Ok(Vec::new()),
                None => None,
            }
        }
    };
    let kinds = kinds(connection, filter)?;
    let (merging, by_number) = (kinds.len() > 1, kinds.iter().all(Kind::is_by_number));
    let mut found: Vec<(Timestamp, AuditId)> = Vec::new();
    for kind in kinds {
        let (sql, values) = walk(filter, &kind, order, beyond, up_to, limit);
        let mut statement = connection.prepare_cached(&sql)?;
        for place in statement.query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))? {
            found.push(place?);
        }
    }
    if merging {
        let place = |(at, id): &(Timestamp, AuditId)| if by_number { (None, *id) } else { (Some(*at), *id) };
        match order {
            Order::NewestFirst => found.sort_unstable_by_key(|found| Reverse(place(found))),
            Order::OldestFirst => found.sort_unstable_by_key(place),
        }
        found.truncate(limit as usize);
    }
    let mut row = connection.prepare_cached(ROW)?;
    found.into_iter().map(|(_, id)| Ok(row.query_row([id], audit_row)?)).collect()
}

/// The row of a number, with what a reader wants to see beside it.
const ROW: &str = "SELECT a.id, a.at, a.person_id, p.name, p.email, a.action, a.message_id, \
     a.details, a.ip, a.previous_hash, a.hash, n.details FROM audit_log a \
     LEFT JOIN audit_personal n ON n.audit_id = a.id LEFT JOIN person p ON p.id = a.person_id WHERE a.id = ?1";

fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let person = match (row.get(2)?, row.get(3)?, row.get(4)?) {
        (Some(id), Some(name), Some(email)) => Some(Author { id, name, email }),
        _ => None,
    };
    Ok(AuditRow {
        id: row.get(0)?,
        at: row.get(1)?,
        person,
        action: row.get(5)?,
        message: row.get(6)?,
        details: row.get(7)?,
        ip: row.get(8)?,
        previous_hash: row.get(9)?,
        hash: row.get(10)?,
        personal: row.get(11)?,
    })
}

#[cfg(test)]
mod tests;
