//! The shipping state of a copy of the audit log: how far it has come, and which rows the other side would not take.
//!
//! The cursor lives in the database, so that a database restored from a backup ships again what was written after the
//! backup. It moves only past rows that were accepted or quarantined, and the two add up to it: the table's own check.

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::json;

use crate::ledger::audit::Entry;
use crate::ledger::chain_hash::HashedFields;
use crate::ledger::personal::Personal;
use crate::store::Store;
use crate::types::{Action, AuditId, Hash, PersonId, StoreError, Timestamp, clip};

/// The longest reason or error that is kept, in characters.
const LONGEST_TEXT: usize = 300;

/// What a SECURITY_ALERT about a new stream calls itself.
const NEW_STREAM: &str = "new_audit_stream";

/// Which copy: where it is kept, and under which name there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuditCopy {
    /// The address of the place, as the setting names it. Another place has a state of its own and gets every row.
    pub sink: String,
    /// The name in that place, see [`Store::audit_stream`].
    pub stream: String,
}

/// The shipping state of one copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippingState {
    /// This row and all before it were accepted or quarantined.
    pub cursor: AuditId,
    /// How many were accepted.
    pub shipped: u64,
    /// How many were given up on.
    pub quarantined: u64,
    /// When rows were last accepted.
    pub last_success: Option<Timestamp>,
    /// The last failure, and when it was.
    pub last_error: Option<(Timestamp, String)>,
}

/// A row that the other side refuses for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The row.
    pub id: AuditId,
    /// What the other side says about it; never the row's content.
    pub reason: String,
}

/// An audit row as it is shipped: nothing joined, nothing that its hash does not cover or vouch for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Its number.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub person: Option<PersonId>,
    /// What.
    pub action: String,
    /// A JSON object's text, as stored.
    pub details: String,
    /// From which address.
    pub ip: Option<String>,
    /// The hash of the row before.
    pub previous_hash: Hash,
    /// The hash of this row, as stored.
    pub hash: Hash,
    /// What stands beside it of somebody by name; none where there is nothing, and where it was erased.
    pub personal: Option<Personal>,
}

impl AuditEvent {
    /// The fields that the hash covers; `at` is the row's time as [`Timestamp::to_rfc3339`] writes it.
    pub fn hashed_fields<'a>(&'a self, at: &'a str) -> HashedFields<'a> {
        HashedFields {
            id: self.id,
            at,
            person: self.person,
            action: &self.action,
            details: &self.details,
            ip: self.ip.as_deref(),
        }
    }

    pub(crate) fn from_row(row: &Row<'_>) -> rusqlite::Result<AuditEvent> {
        Ok(AuditEvent {
            id: row.get(0)?,
            at: row.get(1)?,
            person: row.get(2)?,
            action: row.get(3)?,
            details: row.get(4)?,
            ip: row.get(5)?,
            previous_hash: row.get(6)?,
            hash: row.get(7)?,
            // Somebody who spoils it must not stop the copy; the check of the chain tells.
            personal: Personal::from_row(row, 8).unwrap_or(None),
        })
    }
}

impl Store {
    /// The name of this database's log: its id, and once it was restored from a backup, the row that says so as well. What
    /// was written before and after a restore has the same numbers, and must not meet under one name.
    pub async fn audit_stream(&self) -> Result<String, StoreError> {
        let database_id = self.database_id().to_owned();
        self.look_up(move |connection| Ok(stream_of(connection, &database_id)?)).await
    }

    /// At most `limit` rows after the row `after`, oldest first, and no more once their details pass `bytes` together (but
    /// always one, if there is one).
    pub async fn audit_events(&self, after: AuditId, limit: u32, bytes: usize) -> Result<Vec<AuditEvent>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT a.id, a.at, a.person_id, a.action, a.details, a.ip, a.previous_hash, a.hash, p.salt, p.details \
                 FROM audit_log a LEFT JOIN audit_personal p ON p.audit_id = a.id \
                 WHERE a.id > ?1 ORDER BY a.id LIMIT ?2",
            )?;
            let mut rows = select.query((after, limit))?;
            let (mut events, mut size) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let event = AuditEvent::from_row(row)?;
                size += event.details.len() + event.personal.as_ref().map_or(0, |personal| personal.details.len());
                events.push(event);
                if size >= bytes {
                    break;
                }
            }
            Ok(events)
        })
        .await
    }

    /// Whether the log has the row `id` with this hash, in hex.
    pub async fn audit_row_has_hash(&self, id: i64, hash: &str) -> Result<bool, StoreError> {
        let Some(hash) = Hash::parse(hash) else { return Ok(false) };
        self.look_up(move |connection| {
            let mut select = connection.prepare_cached("SELECT 1 FROM audit_log WHERE id = ?1 AND hash = ?2")?;
            Ok(select.exists((id, hash))?)
        })
        .await
    }

    /// The first row written at this time or later, by the rows' own times; none if all are older.
    pub async fn first_audit_row_at(&self, at: Timestamp) -> Result<Option<AuditId>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached("SELECT min(id) FROM audit_log WHERE at >= ?1")?;
            Ok(select.query_row([at], |row| row.get(0))?)
        })
        .await
    }

    /// The shipping state of a copy; that of one that was never begun is empty.
    pub async fn shipping_state(&self, copy: &AuditCopy) -> Result<ShippingState, StoreError> {
        let copy = copy.clone();
        self.look_up(move |connection| read_state(connection, &copy)).await
    }

    /// Moves the cursor from `from` past the rows up to `to`: those of `quarantined` were given up on (an audit row each,
    /// AUDIT_ROW_QUARANTINED), all others accepted. Gives false, and changes nothing, where the cursor is not at `from`:
    /// another program ships this copy too.
    pub async fn advance_shipping(
        &self,
        copy: &AuditCopy,
        from: AuditId,
        to: AuditId,
        quarantined: Vec<Quarantined>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let copy = copy.clone();
        self.write(move |write| {
            if read_state(write.connection, &copy)?.cursor != from {
                return Ok(false);
            }
            let moved = to.get() - from.get();
            let given_up = i64::try_from(quarantined.len()).unwrap_or(i64::MAX);
            if quarantined.iter().any(|row| row.id <= from || row.id > to) || given_up > moved {
                return Err(StoreError::internal("a row was quarantined that was not on its way"));
            }
            begin_state(write.connection, &copy)?;
            write.connection.execute(
                "UPDATE shipping SET cursor = ?3, shipped = shipped + ?4, quarantined = quarantined + ?5, \
                 last_success_at = coalesce(?6, last_success_at) WHERE sink = ?1 AND stream = ?2",
                (&copy.sink, &copy.stream, to, moved - given_up, given_up, (given_up < moved).then_some(at)),
            )?;
            for row in &quarantined {
                let reason = clip(&row.reason, LONGEST_TEXT);
                write.connection.execute(
                    "INSERT INTO shipping_quarantine (sink, stream, audit_id, at, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
                    (&copy.sink, &copy.stream, row.id, at, reason),
                )?;
                let details = json!({ "row": row.id, "sink": copy.sink, "reason": reason });
                let action = Action::AuditRowQuarantined;
                write.append(Entry { at, person: None, action, message: None, details, ip: None })?;
            }
            Ok(true)
        })
        .await
    }

    /// Writes down why nothing gets through at the moment; never anything of a row's content.
    pub async fn record_shipping_error(&self, copy: &AuditCopy, error: &str, at: Timestamp) -> Result<(), StoreError> {
        let (copy, error) = (copy.clone(), clip(error, LONGEST_TEXT).to_owned());
        self.write(move |write| {
            begin_state(write.connection, &copy)?;
            write.connection.execute(
                "UPDATE shipping SET last_error_at = ?3, last_error = ?4 WHERE sink = ?1 AND stream = ?2",
                (&copy.sink, &copy.stream, at, &error),
            )?;
            Ok(())
        })
        .await
    }

    /// Writes SECURITY_ALERT for a copy that begins under a name that is new in its place, and gives the row; none where it
    /// was written before.
    pub async fn alert_new_stream(&self, copy: &AuditCopy, at: Timestamp) -> Result<Option<AuditId>, StoreError> {
        let copy = copy.clone();
        self.write(move |write| {
            let mut select = write.connection.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM audit_log WHERE person_id IS NULL AND action = ?1 \
                 AND json_extract(details, '$.alarm') = ?2 AND json_extract(details, '$.sink') = ?3 \
                 AND json_extract(details, '$.stream') = ?4)",
            )?;
            let action = Action::SecurityAlert;
            let known: bool =
                select.query_row((action.as_str(), NEW_STREAM, &copy.sink, &copy.stream), |row| row.get(0))?;
            if known {
                return Ok(None);
            }
            let details = json!({ "alarm": NEW_STREAM, "sink": copy.sink, "stream": copy.stream });
            write.append(Entry { at, person: None, action, message: None, details, ip: None }).map(Some)
        })
        .await
    }

    /// The rows of a copy that were given up on, by number.
    pub async fn quarantined(&self, copy: &AuditCopy) -> Result<Vec<Quarantined>, StoreError> {
        let copy = copy.clone();
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT audit_id, reason FROM shipping_quarantine WHERE sink = ?1 AND stream = ?2 ORDER BY audit_id",
            )?;
            let rows = select.query_map((&copy.sink, &copy.stream), |row| {
                Ok(Quarantined { id: row.get(0)?, reason: row.get(1)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Up to where the system's journal has been copied to `sink`.
    pub async fn journal_position(&self, sink: &str) -> Result<Option<String>, StoreError> {
        let sink = sink.to_owned();
        self.look_up(move |connection| {
            let mut select = connection.prepare_cached("SELECT position FROM journal_shipping WHERE sink = ?1")?;
            Ok(select.query_row([sink], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Writes that down.
    pub async fn set_journal_position(&self, sink: &str, position: &str) -> Result<(), StoreError> {
        let (sink, position) = (sink.to_owned(), position.to_owned());
        self.write(move |write| {
            write.connection.execute(
                "INSERT INTO journal_shipping (sink, position) VALUES (?1, ?2) \
                 ON CONFLICT DO UPDATE SET position = excluded.position",
                (sink, position),
            )?;
            Ok(())
        })
        .await
    }
}

/// See [`Store::audit_stream`].
pub(crate) fn stream_of(connection: &Connection, database_id: &str) -> rusqlite::Result<String> {
    let mut select =
        connection.prepare_cached("SELECT id, hash FROM audit_log WHERE action = ?1 ORDER BY id DESC LIMIT 1")?;
    let restored: Option<(AuditId, Hash)> =
        select.query_row([Action::DatabaseRestored.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(match restored {
        None => database_id.to_owned(),
        Some((id, hash)) => stream_name(database_id, id, &hash),
    })
}

/// The name of a restored database's log: its id, and the row that says so.
pub(crate) fn stream_name(database_id: &str, restored: AuditId, hash: &Hash) -> String {
    format!("{database_id}/restored-{restored}-{}", &hash.to_string()[..8])
}

fn begin_state(connection: &Connection, copy: &AuditCopy) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO shipping (sink, stream, cursor, shipped, quarantined) VALUES (?1, ?2, 0, 0, 0) \
         ON CONFLICT DO NOTHING",
        (&copy.sink, &copy.stream),
    )?;
    Ok(())
}

fn read_state(connection: &Connection, copy: &AuditCopy) -> Result<ShippingState, StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT cursor, shipped, quarantined, last_success_at, last_error_at, last_error \
         FROM shipping WHERE sink = ?1 AND stream = ?2",
    )?;
    let found = select
        .query_row((&copy.sink, &copy.stream), |row| {
            let error = match (row.get(4)?, row.get(5)?) {
                (Some(at), Some(text)) => Some((at, text)),
                _ => None,
            };
            Ok(ShippingState {
                cursor: AuditId::new(row.get(0)?).unwrap_or(AuditId::ZERO),
                shipped: row.get::<_, i64>(1)?.unsigned_abs(),
                quarantined: row.get::<_, i64>(2)?.unsigned_abs(),
                last_success: row.get(3)?,
                last_error: error,
            })
        })
        .optional()?;
    Ok(found.unwrap_or(ShippingState {
        cursor: AuditId::ZERO,
        shipped: 0,
        quarantined: 0,
        last_success: None,
        last_error: None,
    }))
}

#[cfg(test)]
mod tests;
