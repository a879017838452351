//! Alarms that stand in the audit log, raised again by the program that reads every row of it.
//!
//! The line of the program that wrote the row may be lost: a flood of other lines has it dropped or rotated away, a command's
//! words are collected by nobody. The row is not, so the alarm follows from it, whether or not the copy can be reached. A row
//! that is read again after a start is told again, and none is left out.

use serde_json::Value;
use store::{Action, AuditEvent, AuditId, Store, StoreError};

use crate::shipper::{READ_BYTES, READ_ROWS};

/// Rows that somebody must be told about. Where a row is given up on, the shipper itself says so.
const TOLD: [Action; 2] = [Action::SecurityAlert, Action::BackupFailed];
/// What the shipper tells of when it writes the row.
const TOLD_ALREADY: &str = "new_audit_stream";

/// Tells of rows, each once while the program runs.
pub(crate) struct Alarms {
    told_to: AuditId,
}

/// The rows of one kind among those that were read together.
#[derive(Debug, PartialEq, Eq)]
struct Alarm<'r> {
    action: Action,
    /// What the alert is about, or what failed: of the details nothing but this, since the rest may name somebody.
    kind: String,
    rows: usize,
    newest: &'r AuditEvent,
}

impl Alarms {
    /// Alarms of the rows after `cursor`.
    pub(crate) fn after(cursor: AuditId) -> Self {
        Self { told_to: cursor }
    }

    /// Raises a line for each kind of row among these, which come in their order, however many there are of it.
    pub(crate) fn read(&mut self, rows: &[AuditEvent]) {
        for Alarm { action, kind, rows, newest } in self.due(rows) {
            let (row, written) = (newest.id, newest.at.to_rfc3339());
            if action == Action::BackupFailed {
                let alarm = Action::BackupFailed.as_str();
                tracing::error!(alarm, kind, %row, written, rows, "the audit log tells of it");
            } else {
                let alarm = Action::SecurityAlert.as_str();
                tracing::error!(alarm, kind, %row, written, rows, "the audit log tells of it");
            }
        }
    }

    /// Reads on to the newest row: while the copy is out of reach, nothing else does.
    pub(crate) async fn read_on(&mut self, store: &Store) -> Result<(), StoreError> {
        loop {
            let rows = store.audit_events(self.told_to, READ_ROWS, READ_BYTES).await?;
            if rows.is_empty() {
                return Ok(());
            }
            self.read(&rows);
        }
    }

    fn due<'r>(&mut self, rows: &'r [AuditEvent]) -> Vec<Alarm<'r>> {
        let mut alarms: Vec<Alarm<'r>> = Vec::new();
        for row in rows.iter().filter(|row| row.id > self.told_to) {
            let Some(action) = TOLD.into_iter().find(|action| row.action == action.as_str()) else { continue };
            let kind = kind(row);
            if kind == TOLD_ALREADY {
                continue;
            }
            match alarms.iter_mut().find(|alarm| alarm.action == action && alarm.kind == kind) {
                Some(known) => (known.rows, known.newest) = (known.rows + 1, row),
                None => alarms.push(Alarm { action, kind, rows: 1, newest: row }),
            }
        }
        self.told_to = rows.last().map_or(self.told_to, |last| self.told_to.max(last.id));
        alarms
    }
}

fn kind(row: &AuditEvent) -> String {
    let details: Value = serde_json::from_str(&row.details).unwrap_or_default();
    let word = details["alarm"].as_str().or(details["during"].as_str());
    word.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use store::{Timestamp, genesis_hash};

    use super::*;

    fn row(id: i64, action: Action, details: &str) -> AuditEvent {
        AuditEvent {
            id: AuditId::new(id).unwrap(),
            at: Timestamp::from_millis(id),
            person: None,
            action: action.as_str().into(),
            details: details.into(),
            ip: None,
            previous_hash: genesis_hash("x"),
            hash: genesis_hash("x"),
            personal: None,
        }
    }

    fn told(alarms: &mut Alarms, rows: &[AuditEvent]) -> Vec<(Action, String, usize, i64)> {
        let told = alarms.due(rows).into_iter();
        told.map(|alarm| (alarm.action, alarm.kind, alarm.rows, alarm.newest.id.get())).collect()
    }

    #[test]
    fn each_kind_is_one_line_and_each_row_is_told_once() {
        let (sign_ins, emergency) = (r#"{"alarm":"failed_sign_ins"}"#, r#"{"alarm":"emergency_access_used"}"#);
        let rows = [
            row(1, Action::SecurityAlert, sign_ins),
            row(2, Action::Login, "{}"),
            row(3, Action::BackupFailed, r#"{"during":"drill","reason":"the disk is full"}"#),
            row(4, Action::SecurityAlert, emergency),
            row(5, Action::SecurityAlert, sign_ins),
            row(6, Action::SecurityAlert, "no JSON"),
        ];
        let line = |action, kind: &str, rows, newest| (action, kind.to_owned(), rows, newest);
        let rest = [
            line(Action::BackupFailed, "drill", 1, 3),
            line(Action::SecurityAlert, "emergency_access_used", 1, 4),
            line(Action::SecurityAlert, "failed_sign_ins", 1, 5),
            line(Action::SecurityAlert, "unknown", 1, 6),
        ];
        let mut alarms = Alarms::after(AuditId::ZERO);
        assert_eq!(told(&mut alarms, &rows[..2]), [line(Action::SecurityAlert, "failed_sign_ins", 1, 1)]);
        // After an outage the rows from the cursor on are read again.
        assert_eq!(told(&mut alarms, &rows), rest);
        assert!(told(&mut alarms, &rows).is_empty());
        let mut again = Alarms::after(AuditId::ZERO);
        assert_eq!(told(&mut again, &rows)[0], line(Action::SecurityAlert, "failed_sign_ins", 2, 5));
        assert_eq!(told(&mut Alarms::after(rows[0].id), &rows), rest);
    }
}
