//! Alarms that stand in the audit log, raised again by the program that reads every row of it.
//!
//! The line of the program that wrote the row may be lost: a flood of other lines has it dropped or rotated away, a command's
//! words are collected by nobody. The row is not, so the alarm follows from it. It is raised when the row is read, whether or
//! not the copy can be reached; a row that is read again after a start is told again, and none is left out.

use store::{Action, AuditEvent, AuditId};

/// Rows that somebody must be told about. Where a row is given up on, the shipper itself says so.
const TOLD: [Action; 2] = [Action::SecurityAlert, Action::BackupFailed];

/// Tells of rows, each once while the program runs.
pub(crate) struct Alarms {
    told_to: AuditId,
}

/// The rows of one kind among those that were read together.
#[derive(Debug, PartialEq, Eq)]
struct Alarm<'r> {
    action: Action,
    rows: usize,
    newest: &'r AuditEvent,
}

impl Alarms {
    /// Alarms of the rows after `cursor`.
    pub(crate) fn after(cursor: AuditId) -> Self {
        Self { told_to: cursor }
    }

    /// Takes note of rows in their order, and raises a line for each kind among them, however many there are of it.
    pub(crate) fn read(&mut self, rows: &[AuditEvent]) {
        for Alarm { action, rows, newest } in self.news(rows) {
            let (row, written, details) = (newest.id, newest.at.to_rfc3339(), &newest.details);
            if action == Action::BackupFailed {
                tracing::error!(
                    alarm = Action::BackupFailed.as_str(), %row, written, rows, details, "the audit log tells of it"
                );
            } else {
                tracing::error!(
                    alarm = Action::SecurityAlert.as_str(), %row, written, rows, details, "the audit log tells of it"
                );
            }
        }
    }

    fn news<'r>(&mut self, rows: &'r [AuditEvent]) -> Vec<Alarm<'r>> {
        let told_to = self.told_to;
        self.told_to = rows.last().map_or(told_to, |last| told_to.max(last.id));
        let of = |action: Action| {
            let mut found = rows.iter().filter(|row| row.id > told_to && row.action == action.as_str()).rev();
            found.next().map(|newest| Alarm { action, rows: 1 + found.count(), newest })
        };
        TOLD.into_iter().filter_map(of).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use store::{Timestamp, genesis_hash};

    use super::*;

    fn row(id: i64, action: Action) -> AuditEvent {
        AuditEvent {
            id: AuditId::new(id).unwrap(),
            at: Timestamp::from_millis(id),
            person: None,
            action: action.as_str().into(),
            details: "{}".into(),
            ip: None,
            previous_hash: genesis_hash("x"),
            hash: genesis_hash("x"),
        }
    }

    fn told(alarms: &mut Alarms, rows: &[AuditEvent]) -> Vec<(Action, usize, i64)> {
        alarms.news(rows).iter().map(|alarm| (alarm.action, alarm.rows, alarm.newest.id.get())).collect()
    }

    #[test]
    fn each_kind_is_one_line_and_each_row_is_told_once() {
        let rows = [
            row(1, Action::SecurityAlert),
            row(2, Action::Login),
            row(3, Action::BackupFailed),
            row(4, Action::SecurityAlert),
        ];
        let mut alarms = Alarms::after(AuditId::ZERO);
        assert_eq!(told(&mut alarms, &rows[..2]), [(Action::SecurityAlert, 1, 1)]);
        // After an outage the rows from the cursor on are read again.
        assert_eq!(told(&mut alarms, &rows), [(Action::SecurityAlert, 1, 4), (Action::BackupFailed, 1, 3)]);
        assert!(told(&mut alarms, &rows).is_empty());
        assert_eq!(told(&mut Alarms::after(AuditId::ZERO), &rows)[0], (Action::SecurityAlert, 2, 4));
        assert_eq!(told(&mut Alarms::after(rows[0].id), &rows)[0], (Action::SecurityAlert, 1, 4));
    }
}
