//! What DATABASE_RESTORED says: from which backup, where its log ended, and which log was given up for it. Written and read
//! here alone, so that `log-shipper verify` follows the log from before a restore to the one after it.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use crate::acts::backup_record::{BackupContent, RecordedBackup};
use crate::acts::emergency::end_open_grants_of_all;
use crate::acts::session::end_all;
use crate::ledger::audit::Entry;
use crate::ledger::audit_event::{AuditEvent, stream_name};
use crate::store::Store;
use crate::types::{Action, AuditId, ChainPosition, EndReason, Hash, StoreError, Timestamp, clip};

/// The longest name that is kept, in characters.
const LONGEST_NAME: usize = 300;

/// A row and its hash, as details name them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedHead {
    /// The row's number.
    pub row: i64,
    /// Its hash, in hex.
    pub hash: String,
}

impl RecordedHead {
    /// The same as a position; none where it is no row and no hash.
    pub fn position(&self) -> Option<ChainPosition> {
        Some(ChainPosition { id: AuditId::new(self.row)?, hash: Hash::parse(&self.hash)? })
    }
}

impl From<ChainPosition> for RecordedHead {
    fn from(position: ChainPosition) -> RecordedHead {
        RecordedHead { row: position.id.get(), hash: position.hash.to_string() }
    }
}

/// The details of DATABASE_RESTORED. What is none was not known, or the row was written by a version that did not say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestoreDetails {
    /// The archive's name.
    pub backup: String,
    /// The archive's size.
    pub bytes: Option<u64>,
    /// The archive's SHA-256, in hex.
    pub sha256: Option<String>,
    /// What else is in it.
    pub content: Option<BackupContent>,
    /// The end of the log in the backup: the row before this one.
    pub restored_head: Option<RecordedHead>,
    /// The end of the log that was given up, where it could still be read.
    pub given_up_head: Option<RecordedHead>,
    /// The name of that log, see [`Store::audit_stream`].
    pub given_up_stream: Option<String>,
    /// Whether the manifest's code fits a key of ours.
    pub authenticated: bool,
    /// What knew of the archive.
    pub known_from: Option<String>,
    /// What was accepted all the same.
    pub accepted: Vec<String>,
}

/// A restore that is to be written down.
#[derive(Clone, Debug)]
pub struct Restoration {
    /// The archive that was put back.
    pub archive: RecordedBackup,
    /// The end of the log that was given up for it, where it could still be read.
    pub given_up: Option<GivenUp>,
    /// Whether the manifest's code fits a key of ours.
    pub authenticated: bool,
    /// What knew of the archive, by a label of backup-worker's; none where nothing did.
    pub known_from: Option<&'static str>,
    /// What was accepted all the same, by backup-worker's labels.
    pub accepted: Vec<String>,
}

/// The end of a log that a restore gives up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Its name, see [`Store::audit_stream`].
    pub stream: String,
    /// Its newest row.
    pub head: ChainPosition,
}

/// A row DATABASE_RESTORED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRecord {
    /// Its number.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// The hash of the row before.
    pub previous_hash: Hash,
    /// Its own hash.
    pub hash: Hash,
    /// What it says; empty where somebody made it say something else.
    pub details: RestoreDetails,
}

impl RestoreRecord {
    /// The record that an event is; none if it is another one.
    pub fn of(event: &AuditEvent) -> Option<RestoreRecord> {
        (event.action == Action::DatabaseRestored.as_str()).then(|| RestoreRecord {
            id: event.id,
            at: event.at,
            previous_hash: event.previous_hash,
            hash: event.hash,
            details: serde_json::from_str(&event.details).unwrap_or_default(),
        })
    }

    /// The name of the log from this row on.
    pub fn stream(&self, database_id: &str) -> String {
        stream_name(database_id, self.id, &self.hash)
    }
}

impl Store {
    /// Writes DATABASE_RESTORED, the first row after a restore: from which archive, where its log ended, the end of the log
    /// that was given up for it, and who vouched for it. From this row on the log has a name of its own, see
    /// [`Store::audit_stream`]. In the same transaction every session ends, and every emergency code that was not used:
    /// what was ended after the backup must not come to life again. Gives how many sessions those were.
    pub async fn record_restore(&self, restoration: Restoration, at: Timestamp) -> Result<usize, StoreError> {
        self.write(move |write| {
            let Restoration { archive, given_up, authenticated, known_from, accepted } = restoration;
            let (given_up_head, given_up_stream) = given_up.map(|end| (end.head.into(), end.stream)).unzip();
            let details = RestoreDetails {
                backup: clip(&archive.name, LONGEST_NAME).to_owned(),
                bytes: Some(archive.bytes),
                sha256: Some(archive.sha256),
                content: archive.content,
                restored_head: Some(write.head.into()),
                given_up_head,
                given_up_stream,
                authenticated,
                known_from: known_from.map(str::to_owned),
                accepted,
            };
            let details =
                serde_json::to_value(details).map_err(|_| StoreError::internal("a restore's details are no JSON"))?;
            let action = Action::DatabaseRestored;
            write.append(Entry { at, person: None, action, message: None, details, ip: None })?;
            let ended = end_all(write, EndReason::Restored, at)?;
            end_open_grants_of_all(write, at)?;
            Ok(ended)
        })
        .await
    }

    /// Every row DATABASE_RESTORED, oldest first; the last one gives the log its name. Reads all of the log.
    pub async fn restores(&self) -> Result<Vec<RestoreRecord>, StoreError> {
        self.read(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT id, at, person_id, action, details, ip, previous_hash, hash \
                 FROM audit_log WHERE action = ?1 ORDER BY id",
            )?;
            let rows = select.query_map(params![Action::DatabaseRestored.as_str()], AuditEvent::from_row)?;
            let rows: Vec<AuditEvent> = rows.collect::<Result<_, _>>()?;
            Ok(rows.iter().filter_map(RestoreRecord::of).collect())
        })
        .await
    }
}

#[cfg(test)]
mod tests;
