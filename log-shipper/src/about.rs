//! What a few rows of the copy say of the log itself: restores, backups, rows that were given up on. `verify` follows the log
//! by it.

use serde::Deserialize;
use store::{Action, AuditId, BackupEvent, ChainPosition, Hash, HashedFields, RestoreRecord, Timestamp};

/// What a few rows say of the log itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// DATABASE_RESTORED.
    Restored(Box<RestoreRecord>),
    /// BACKUP_CREATED.
    Backup(BackupRow),
    /// AUDIT_ROW_QUARANTINED: this row is in no copy.
    GivenUpOn(AuditId),
}

/// A backup as the log recorded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupRow {
    /// The row that says so.
    pub row: AuditId,
    /// The archive's name.
    pub name: String,
    /// The end of the log in it; versions before this field did not write it down.
    pub head: Option<ChainPosition>,
}

impl About {
    /// What a row says, by the fields that its hash covers and the hash; none where it is of another kind or says nonsense.
    pub fn of(fields: &HashedFields<'_>, previous_hash: Hash, hash: Hash) -> Option<About> {
        #[derive(Deserialize)]
        struct Quarantined {
            row: i64,
        }
        match Action::parse(fields.action)? {
            Action::DatabaseRestored => Some(About::Restored(Box::new(RestoreRecord {
                id: fields.id,
                at: Timestamp::parse_rfc3339(fields.at)?,
                previous_hash,
                hash,
                details: serde_json::from_str(fields.details).unwrap_or_default(),
            }))),
            Action::BackupCreated => match serde_json::from_str(fields.details).ok()? {
                BackupEvent::Created { name, head, .. } => {
                    // A head that is none is nonsense; no head is an earlier version's row.
                    let head = match head {
                        Some(head) => Some(head.position()?),
                        None => None,
                    };
                    Some(About::Backup(BackupRow { row: fields.id, name, head }))
                }
                _ => None,
            },
            Action::AuditRowQuarantined => {
                let quarantined: Quarantined = serde_json::from_str(fields.details).ok()?;
                AuditId::new(quarantined.row).map(About::GivenUpOn)
            }
            _ => None,
        }
    }
}
