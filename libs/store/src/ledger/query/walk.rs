//! Which walks go along the rows of a filter, each by an index, and the statement of one.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::{AuditFilter, LOOKS, Order, done_to};
use crate::types::{AuditId, MessageId, PersonId, StoreError, Timestamp};

/// The rows that one walk goes along.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
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
    pub(super) fn is_by_number(&self) -> bool {
        matches!(self, Kind::Whole | Kind::Sending(_) | Kind::Opening(..) | Kind::OnMessage(_))
    }

    /// Where the walk begins. Indexes are named, since without statistics SQLite takes a longer walk for some filters.
    pub(super) fn from(&self) -> &'static str {
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

/// Each action that somebody has a row of, as stored. Steps from one to the next, past all rows between.
pub(super) const NEXT_ACTION: &str = "SELECT min(action) FROM audit_log WHERE person_id = ?1 AND action > ?2";

/// The same of what was done to somebody.
pub(super) const NEXT_ACTION_TO: &str = concat!(
    "SELECT min(action) FROM audit_log INDEXED BY audit_log_done_to WHERE person_id IS NULL AND ",
    done_to!(""),
    " = ?1 AND action > ?2"
);

/// Each person who has opened a message, in the same way.
pub(super) const NEXT_READER: &str =
    "SELECT min(person_id) FROM message_opening WHERE message_id = ?1 AND person_id > ?2";

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
pub(super) fn kinds(connection: &Connection, filter: &AuditFilter) -> Result<Vec<Kind>, StoreError> {
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
pub(super) fn walk(
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
