//! A row of the log as the check reads it, in a database of any schema.

use rusqlite::Row;

use crate::ledger::personal::Personal;
use crate::types::{Hash, PersonId};

/// The rows after ?1, at most ?2, and what stands beside each.
pub(super) const ROWS_SINCE_6: &str = "SELECT a.id, a.at, a.person_id, a.action, a.message_id, a.details, a.ip, a.previous_hash, a.hash, \
     p.salt, p.details FROM audit_log a LEFT JOIN audit_personal p ON p.audit_id = a.id WHERE a.id > ?1 ORDER BY a.id LIMIT ?2";

/// The same in a database of an older schema.
pub(super) const ROWS_BEFORE_6: &str = "SELECT id, at, person_id, action, message_id, details, ip, previous_hash, hash, NULL, NULL \
     FROM audit_log WHERE id > ?1 ORDER BY id LIMIT ?2";

/// A row as it is stored, nothing joined.
pub(super) struct StoredRow {
    pub(super) id: i64,
    pub(super) at: i64,
    pub(super) person: Option<PersonId>,
    pub(super) action: String,
    pub(super) message: Option<i64>,
    pub(super) details: String,
    pub(super) ip: Option<String>,
    pub(super) previous_hash: Hash,
    pub(super) hash: Hash,
    /// What stands beside it; an error where that cannot be read.
    pub(super) personal: Result<Option<Personal>, rusqlite::Error>,
}

impl StoredRow {
    /// Fails where a value is of a kind that is never written.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<StoredRow> {
        Ok(StoredRow {
            id: row.get(0)?,
            at: row.get(1)?,
            person: row.get(2)?,
            action: row.get(3)?,
            message: row.get(4)?,
            details: row.get(5)?,
            ip: row.get(6)?,
            previous_hash: row.get(7)?,
            hash: row.get(8)?,
            personal: Personal::from_row(row, 9),
        })
    }
}
