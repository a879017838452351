//! Finding rows of the audit log: for pages, and for exports in constant memory.
//!
//! The whole log and the rows of one message are ordered by their numbers. Any other view is ordered by time and then number,
//! which is the same order unless the clock was set back. So every filter walks an index: a page costs the same in a log of
//! ten rows and of ten million. What concerns a person is merged from walks of each of their actions, and of what was done to
//! them, which saves every commit an index; a message's rows are merged from its sending, its openings by each person, and what
//! else was done to it. Only then are the rows read.

use std::cmp::Reverse;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

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

/// The rows that one walk goes along.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    /// All, in the order of their numbers.
    Whole,
    /// All but mere looks.
    WithoutLooks,
    /// Those of one action, as stored.
    Action(String),
    /// One action of somebody.
    By(PersonId, String),
    /// One action that was done to somebody.
    To(PersonId, String),
    /// That a message was sent.
    Sending(MessageId),
    /// That somebody opened a message.
    Opening(MessageId, PersonId),
    /// What else was done to a message.
    OnMessage(MessageId),
}

impl Kind {
    /// Whether the rows come in the order of their numbers, and not of their times.
    fn is_by_number(&self) -> bool {
        matches!(self, Kind::Whole | Kind::Sending(_) | Kind::Opening(..) | Kind::OnMessage(_))
    }

    /// Where the walk begins. Indexes are named, since without statistics SQLite takes a longer walk for some filters.
    fn from(&self) -> &'static str {
        match self {
            Kind::Whole => "audit_log a WHERE true",
            Kind::WithoutLooks => {
                "audit_log a INDEXED BY audit_log_at WHERE a.action NOT IN ('AUDIT_VIEW', 'MESSAGE_LIST')"
            }
            Kind::Action(_) => "audit_log a INDEXED BY audit_log_action WHERE a.action = ?",
            Kind::By(..) => "audit_log a INDEXED BY audit_log_person_action WHERE a.person_id = ? AND a.action = ?",
            Kind::To(..) => concat!(
                "audit_log a INDEXED BY audit_log_done_to WHERE a.person_id IS NULL AND ",
                done_to!("a."),
                " = ? AND a.action = ?"
            ),
            Kind::Sending(_) => {
                "message m CROSS JOIN audit_log a INDEXED BY audit_log_person_action ON a.person_id = m.author_id \
                 AND a.action = 'MESSAGE_CREATE' AND a.at = m.sent_at WHERE m.id = ? AND a.message_id = m.id"
            }
            Kind::Opening(..) => {
                "message_opening o CROSS JOIN audit_log a ON a.id = o.audit_id WHERE o.message_id = ? AND o.person_id = ?"
            }
            Kind::OnMessage(_) => {
                "audit_log a INDEXED BY audit_log_message WHERE a.message_id = ? \
                 AND a.action NOT IN ('MESSAGE_CREATE', 'MESSAGE_VIEW')"
            }
        }
    }

    fn values(&self) -> Vec<Value> {
        match self {
            Kind::Whole | Kind::WithoutLooks => vec![],
            Kind::Action(action) => vec![action.clone().into()],
            Kind::By(person, action) | Kind::To(person, action) => vec![person.get().into(), action.clone().into()],
            Kind::Sending(message) | Kind::OnMessage(message) => vec![message.get().into()],
            Kind::Opening(message, person) => vec![message.get().into(), person.get().into()],
        }
    }
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

/// Each action that somebody has a row of, as stored. Steps from one to the next, past all rows between.
const NEXT_ACTION: &str = "SELECT min(action) FROM audit_log WHERE person_id = ?1 AND action > ?2";

/// The same of what was done to somebody.
const NEXT_ACTION_TO: &str = concat!(
    "SELECT min(action) FROM audit_log INDEXED BY audit_log_done_to WHERE person_id IS NULL AND ",
    done_to!(""),
    " = ?1 AND action > ?2"
);

/// Each person who has opened a message, in the same way.
const NEXT_READER: &str = "SELECT min(person_id) FROM message_opening WHERE message_id = ?1 AND person_id > ?2";

fn actions_of(connection: &Connection, person: PersonId, next: &str) -> Result<Vec<String>, StoreError> {
    let mut next = connection.prepare_cached(next)?;
    let mut actions: Vec<String> = Vec::new();
    loop {
        let last = actions.last().map_or("", String::as_str);
        match next.query_row((person, last), |row| row.get(0))? {
            Some(action) => actions.push(action),
            None => return Ok(actions),
        }
    }
}

fn readers_of(connection: &Connection, message: MessageId) -> Result<Vec<PersonId>, StoreError> {
    let mut next = connection.prepare_cached(NEXT_READER)?;
    let mut readers: Vec<PersonId> = Vec::new();
    loop {
        let last = readers.last().map_or(0, |person| person.get());
        match next.query_row((message, last), |row| row.get(0))? {
            Some(reader) => readers.push(reader),
            None => return Ok(readers),
        }
    }
}

/// The walks that together go along the rows of `filter`.
fn kinds(connection: &Connection, filter: &AuditFilter) -> Result<Vec<Kind>, StoreError> {
    if let Some(message) = filter.message {
        let readers = match filter.person {
            Some(person) => vec![person],
            None => readers_of(connection, message)?,
        };
        let openings = readers.into_iter().map(|reader| Kind::Opening(message, reader));
        return Ok(openings.chain([Kind::Sending(message), Kind::OnMessage(message)]).collect());
    }
    let shown = |action: &String| !(filter.without_looks && LOOKS.iter().any(|look| look.as_str() == action));
    Ok(match (filter.action, filter.person) {
        (Some(action), Some(person)) => {
            let action = action.as_str().to_owned();
            vec![Kind::By(person, action.clone()), Kind::To(person, action)]
        }
        (Some(action), None) => vec![Kind::Action(action.as_str().to_owned())],
        (None, Some(person)) => {
            let by = actions_of(connection, person, NEXT_ACTION)?.into_iter().filter(shown);
            let to = actions_of(connection, person, NEXT_ACTION_TO)?.into_iter();
            by.map(|action| Kind::By(person, action)).chain(to.map(|action| Kind::To(person, action))).collect()
        }
        (None, None) if filter.without_looks => vec![Kind::WithoutLooks],
        (None, None) if *filter == AuditFilter::default() => vec![Kind::Whole],
        (None, None) => {
            let looks = LOOKS.iter().map(|look| Kind::Action(look.as_str().to_owned()));
            looks.chain([Kind::WithoutLooks]).collect()
        }
    })
}

/// The walk along the times and numbers of the rows of `filter` that are of one kind. The SQL is put together from these
/// fixed parts alone; every value is a parameter.
fn walk(
    filter: &AuditFilter,
    kind: &Kind,
    order: Order,
    beyond: Option<(Timestamp, AuditId)>,
    up_to: Option<AuditId>,
    limit: u32,
) -> (String, Vec<Value>) {
    let mut sql = format!("SELECT a.at, a.id FROM {}", kind.from());
    let mut values = kind.values();
    let mut and = |condition: &str, value: Value| {
        sql.push_str(condition);
        values.push(value);
    };
    if filter.message.is_some() {
        // Not in the walk's own index; the rows of one message are few.
        if let Some(person) = filter.person {
            and(" AND +a.person_id = ?", person.get().into());
        }
        if let Some(action) = filter.action {
            and(" AND +a.action = ?", action.as_str().to_owned().into());
        }
    }
    let by_number = kind.is_by_number();
    // An opening is found by its own number, and its row from there.
    let id = if matches!(kind, Kind::Opening(..)) { "o.audit_id" } else { "a.id" };
    if let Some(from) = filter.from {
        and(" AND a.at >= ?", from.as_millis().into());
    }
    if let Some(to) = filter.to {
        and(" AND a.at < ?", to.as_millis().into());
    }
    if let Some(up_to) = up_to {
        // The plus keeps this from choosing the walk: the filter's index does.
        let plus = if by_number { "" } else { "+" };
        and(&format!(" AND {plus}{id} <= ?"), up_to.get().into());
    }
    let (beyond_sign, direction) = if order == Order::NewestFirst { ("<", " DESC") } else { (">", "") };
    if let Some((at, beyond)) = beyond {
        if by_number {
            and(&format!(" AND {id} {beyond_sign} ?"), beyond.get().into());
        } else {
            and(&format!(" AND (a.at, a.id) {beyond_sign} (?,"), at.as_millis().into());
            and(" ?)", beyond.get().into());
        }
    }
    let by = if by_number { format!("{id}{direction}") } else { format!("a.at{direction}, a.id{direction}") };
    and(&format!(" ORDER BY {by} LIMIT ?"), i64::from(limit).into());
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
        details: row.get(7)?,
        ip: row.get(8)?,
        previous_hash: row.get(9)?,
        hash: row.get(10)?,
        personal: row.get(11)?,
    })
}

#[cfg(test)]
mod tests;
