//! Finding rows of the audit log: for pages, and for exports in constant memory.
//!
//! The whole log is ordered by its numbers. A filtered view is ordered by time and then number, which is the same order
//! unless the clock was set back, and lets every filter walk an index: a page costs the same in a log of ten rows and of
//! ten million. A person's acts are merged from the walks of each of their actions, which saves every commit an index; only
//! then are the rows read.

use std::cmp::Reverse;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use crate::ledger::personal::with_personal;
use crate::sqlite::write::read_head;
use crate::store::Store;
use crate::types::{Action, AuditId, Author, ChainPosition, Hash, MessageId, PersonId, StoreError, Timestamp};

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
    /// That message's subject; none once it is deleted. Not part of the row: never export or ship it.
    pub subject: Option<String>,
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
    /// Acts of this person.
    pub person: Option<PersonId>,
    /// Acts of this kind.
    pub action: Option<Action>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Without MESSAGE_LIST, of which there are more than of all others; unless `action` asks for it.
    pub without_lists: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
}

/// What is left out of a view without lists.
pub(crate) const LIST: &str = Action::MessageList.as_str();

/// The rows that one walk goes along.
#[derive(Clone, PartialEq, Eq)]
enum Kind {
    /// All, in the order of their numbers.
    Whole,
    /// All but lists.
    WithoutLists,
    /// Those of one action, as stored.
    Action(String),
}

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
    let merging = kinds.len() > 1;
    let mut found: Vec<(Timestamp, AuditId)> = Vec::new();
    for kind in kinds {
        let (sql, values) = walk(filter, &kind, order, beyond, up_to, limit);
        let mut statement = connection.prepare_cached(&sql)?;
        for place in statement.query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))? {
            found.push(place?);
        }
    }
    if merging {
        match order {
            Order::NewestFirst => found.sort_unstable_by_key(|place| Reverse(*place)),
            Order::OldestFirst => found.sort_unstable(),
        }
        found.truncate(limit as usize);
    }
    let mut row = connection.prepare_cached(ROW)?;
    found.into_iter().map(|(_, id)| Ok(row.query_row([id], audit_row)?)).collect()
}

/// The row of a number, with what a reader wants to see beside it.
const ROW: &str = "SELECT a.id, a.at, a.person_id, p.name, p.email, a.action, a.message_id, \
     CASE WHEN d.message_id IS NULL THEN m.subject END, a.details, a.ip, a.previous_hash, a.hash, n.details \
     FROM audit_log a LEFT JOIN audit_personal n ON n.audit_id = a.id LEFT JOIN person p ON p.id = a.person_id LEFT JOIN message m ON m.id = a.message_id \
     LEFT JOIN message_deletion d ON d.message_id = a.message_id WHERE a.id = ?1";

/// Each action that somebody has a row of, as stored. Steps from one to the next, past all rows between.
const NEXT_ACTION: &str = "SELECT min(action) FROM audit_log WHERE person_id = ?1 AND action > ?2";

fn actions_of(connection: &Connection, person: PersonId) -> Result<Vec<String>, StoreError> {
    let mut next = connection.prepare_cached(NEXT_ACTION)?;
    let mut actions: Vec<String> = Vec::new();
    loop {
        let last = actions.last().map_or("", String::as_str);
        match next.query_row((person, last), |row| row.get(0))? {
            Some(action) => actions.push(action),
            None => return Ok(actions),
        }
    }
}

/// The walks that together go along the rows of `filter`.
fn kinds(connection: &Connection, filter: &AuditFilter) -> Result<Vec<Kind>, StoreError> {
    Ok(match (filter.action, filter.person) {
        (Some(action), _) => vec![Kind::Action(action.as_str().to_owned())],
        (None, Some(person)) => {
            let actions = actions_of(connection, person)?;
            actions.into_iter().filter(|action| !(filter.without_lists && action == LIST)).map(Kind::Action).collect()
        }
        (None, None) if filter.without_lists => vec![Kind::WithoutLists],
        (None, None) if *filter == AuditFilter::default() => vec![Kind::Whole],
        (None, None) => vec![Kind::WithoutLists, Kind::Action(LIST.to_owned())],
    })
}

/// The walk along the times and numbers of the rows of `filter` that are of one kind. A filtered walk reads an index
/// alone, but for the one without lists, whose index leaves them out and so does not have their action. The SQL is put
/// together from these fixed parts alone; every value is a parameter.
fn walk(
    filter: &AuditFilter,
    kind: &Kind,
    order: Order,
    beyond: Option<(Timestamp, AuditId)>,
    up_to: Option<AuditId>,
    limit: u32,
) -> (String, Vec<Value>) {
    let filtered = *kind != Kind::Whole;
    // Named, since without statistics SQLite takes a longer walk for some filters.
    let from = match (kind, filter.person) {
        (Kind::Action(_), Some(_)) => " INDEXED BY audit_log_person_action WHERE true",
        (Kind::Action(_), None) => " INDEXED BY audit_log_action WHERE true",
        (Kind::WithoutLists, _) => " INDEXED BY audit_log_at WHERE action <> 'MESSAGE_LIST'",
        (Kind::Whole, _) => " WHERE true",
    };
    let mut sql = format!("SELECT at, id FROM audit_log{from}");
    let mut values = Vec::new();
    let mut and = |condition: &str, value: Value| {
        sql.push_str(condition);
        values.push(value);
    };
    if let Some(person) = filter.person {
        and(" AND person_id = ?", person.get().into());
    }
    if let Kind::Action(action) = kind {
        and(" AND action = ?", action.clone().into());
    }
    if let Some(from) = filter.from {
        and(" AND at >= ?", from.as_millis().into());
    }
    if let Some(to) = filter.to {
        and(" AND at < ?", to.as_millis().into());
    }
    if let Some(up_to) = up_to {
        // The plus keeps this from choosing the walk: the filter's index does.
        and(if filtered { " AND +id <= ?" } else { " AND id <= ?" }, up_to.get().into());
    }
    let newest_first = order == Order::NewestFirst;
    if let Some((at, id)) = beyond {
        if filtered {
            and(if newest_first { " AND (at, id) < (?," } else { " AND (at, id) > (?," }, at.as_millis().into());
            and(" ?)", id.get().into());
        } else {
            and(if newest_first { " AND id < ?" } else { " AND id > ?" }, id.get().into());
        }
    }
    let tail = match (filtered, newest_first) {
        (true, true) => " ORDER BY at DESC, id DESC LIMIT ?",
        (true, false) => " ORDER BY at, id LIMIT ?",
        (false, true) => " ORDER BY id DESC LIMIT ?",
        (false, false) => " ORDER BY id LIMIT ?",
    };
    and(tail, i64::from(limit).into());
    (sql, values)
}

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
        subject: row.get(7)?,
        details: row.get(8)?,
        ip: row.get(9)?,
        previous_hash: row.get(10)?,
        hash: row.get(11)?,
        personal: row.get(12)?,
    })
}

#[cfg(test)]
mod tests;
