//! The shipping state of a copy of the audit log: how far it has come, and which rows the other side would not take.
//!
//! The cursor lives in the database, so that a database restored from a backup ships again what was written after the
//! backup. It moves only past rows that were accepted or quarantined, and the two add up to it: the table's own check.

use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use crate::ledger::audit::Entry;
use crate::store::Store;
use crate::types::{Action, AuditId, StoreError, Timestamp, clip};

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

impl Store {
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

    /// Up to where the system's journal has been copied to `sink`: the position as journalctl gave it, none before the first.
    pub async fn journal_position(&self, sink: &str) -> Result<Option<String>, StoreError> {
        let sink = sink.to_owned();
        self.look_up(move |connection| {
            let mut select = connection.prepare_cached("SELECT position FROM journal_shipping WHERE sink = ?1")?;
            Ok(select.query_row([sink], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Writes down up to where the journal has been copied; whether `position` is one, only journalctl can tell.
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
pub(in crate::ledger) mod tests;
