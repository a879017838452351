//! What the audit log says about backups: that they were made and that they were proved. The log is
//! the only record of it, so that what `list` tells and what an auditor reads are the same thing.

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::acts::restore_record::RecordedHead;
use crate::ledger::audit::Entry;
use crate::store::Store;
use crate::types::{Action, AuditId, StoreError, Timestamp, clip};

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 300;

/// What happened to a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BackupEvent {
    /// It was restored, checked and thrown away again.
    Verified {
        /// The archive's name.
        name: String,
        /// How old its data was.
        data_age_seconds: u64,
        /// How long restoring and checking took.
        restore_seconds: f64,
        /// What was accepted of it that is no proof of where it comes from, by backup-worker's labels; mostly nothing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        accepted: Vec<String>,
        /// Whether somebody asked for it, and not the schedule.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_hand: bool,
    },
    /// It was made and uploaded.
    Created {
        /// The archive's name.
        name: String,
        /// The archive's size.
        bytes: u64,
        /// The archive's SHA-256, in hex.
        sha256: String,
        /// The end of the log in it; rows of older programs do not have this, nor what follows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        head: Option<RecordedHead>,
        /// What else is in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<BackupContent>,
    },
    /// Making or proving it failed.
    Failed {
        /// The archive's name, where it had one already.
        name: Option<String>,
        /// `backup`, `drill` or, where somebody asked for the drill, `verify`.
        during: String,
        /// Why; never a secret.
        reason: String,
    },
}

/// What an archive holds. Sizes are bytes, hashes SHA-256 in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupContent {
    /// The database's id.
    pub database: String,
    /// The name of its log, see [`Store::audit_stream`].
    pub stream: String,
    /// Its schema.
    pub schema: i64,
    /// The size of its pages.
    pub database_bytes: u64,
    /// Their hash.
    pub database_sha256: String,
}

/// An archive that a log vouches for: it was made (BACKUP_CREATED), or the database comes from it (DATABASE_RESTORED).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedBackup {
    /// The archive's name.
    #[serde(alias = "backup")]
    pub name: String,
    /// The archive's size.
    pub bytes: u64,
    /// The archive's hash.
    pub sha256: String,
    /// The end of the log in it; none where an older program wrote the row.
    #[serde(alias = "restored_head", default)]
    pub head: Option<RecordedHead>,
    /// What else is in it; none as well.
    #[serde(default)]
    pub content: Option<BackupContent>,
}

impl RecordedBackup {
    /// Reads the details of an audit row; none where it vouches for no archive.
    pub fn of_row(action: &str, details: &str) -> Option<RecordedBackup> {
        let vouches = [Action::BackupCreated, Action::DatabaseRestored].iter().any(|known| known.as_str() == action);
        vouches.then(|| serde_json::from_str(details).ok()).flatten()
    }
}

/// An event and when it was.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupRecord {
    /// The audit row.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: BackupEvent,
}

impl BackupEvent {
    fn action(&self) -> Action {
        match self {
            BackupEvent::Created { .. } => Action::BackupCreated,
            BackupEvent::Verified { .. } => Action::BackupVerified,
            BackupEvent::Failed { .. } => Action::BackupFailed,
        }
    }
}

impl Store {
    /// Writes BACKUP_CREATED, BACKUP_VERIFIED or BACKUP_FAILED.
    pub async fn record_backup(&self, mut event: BackupEvent, at: Timestamp) -> Result<AuditId, StoreError> {
        if let BackupEvent::Failed { reason, .. } = &mut event {
            *reason = clip(reason, LONGEST_REASON).to_owned();
        }
        let action = event.action();
        let details = serde_json::to_value(event).map_err(|_| StoreError::internal("a backup event is no JSON"))?;
        self.write(move |write| write.append(Entry { at, person: None, action, message: None, details, ip: None }))
            .await
    }

    /// What the log says about backups since `since`, oldest first.
    pub async fn backup_history(&self, since: Timestamp) -> Result<Vec<BackupRecord>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, at, details FROM audit_log \
                 WHERE action IN ('BACKUP_CREATED', 'BACKUP_VERIFIED', 'BACKUP_FAILED') AND at >= ?1 ORDER BY id",
            )?;
            let mut rows = select.query([since])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push(record(row)?);
            }
            Ok(records)
        })
        .await
    }

    /// The archives that this log vouches for, oldest row first.
    pub async fn recorded_backups(&self) -> Result<Vec<RecordedBackup>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT action, details FROM audit_log \
                 WHERE action IN ('BACKUP_CREATED', 'DATABASE_RESTORED') ORDER BY id",
            )?;
            let rows = select.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            Ok(rows.iter().filter_map(|(action, details)| RecordedBackup::of_row(action, details)).collect())
        })
        .await
    }

    /// Writes BACKUP_IDENTITY_SHOWN: somebody has seen the key that opens every backup.
    pub async fn record_identity_shown(&self, operator: &str, at: Timestamp) -> Result<AuditId, StoreError> {
        let by = serde_json::json!({ "operator": clip(operator, LONGEST_REASON) });
        let (action, details) = (Action::BackupIdentityShown, serde_json::json!({}));
        let entry = Entry { at, person: None, action, message: None, details, ip: None };
        self.write(move |write| write.append_personal(entry, &by)).await
    }
}

fn record(row: &Row<'_>) -> Result<BackupRecord, StoreError> {
    let details: String = row.get(2)?;
    let event = serde_json::from_str(&details)
        .map_err(|_| StoreError::internal("a backup's audit row is not what this program writes"))?;
    Ok(BackupRecord { id: row.get(0)?, at: row.get(1)?, event })
}

#[cfg(test)]
mod tests;
