//! The audit log as it is copied: its rows, nothing joined to them, and the name under which they go.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::ledger::chain_hash::HashedFields;
use crate::ledger::personal::Personal;
use crate::store::Store;
use crate::types::{Action, AuditId, Hash, PersonId, StoreError, Timestamp};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::chain_hash::chain_hash;
    use crate::ledger::shipping::tests::{id, store_with_rows};
    use crate::testing::*;

    #[tokio::test]
    async fn what_is_shipped_is_what_the_hash_covers() {
        let test = store_with_rows(8).await;
        let events = test.store.audit_events(AuditId::ZERO, 100, usize::MAX).await.unwrap();
        assert_eq!(events.len(), 8);
        for event in &events {
            let at = event.at.to_rfc3339();
            assert_eq!(chain_hash(&event.previous_hash, &event.hashed_fields(&at)), event.hash, "row {}", event.id);
        }
    }

    #[tokio::test]
    async fn reading_stops_at_either_limit_but_never_before_the_first_row() {
        let test = store_with_rows(8).await;
        assert_eq!(test.store.audit_events(id(2), 3, usize::MAX).await.unwrap().len(), 3);
        assert_eq!(test.store.audit_events(id(2), 100, 0).await.unwrap().len(), 1);
        assert_eq!(test.store.audit_events(id(8), 100, 0).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_time_finds_its_first_row() {
        let test = store_with_rows(5).await;
        assert_eq!(test.store.first_audit_row_at(at(5)).await.unwrap(), Some(id(1)), "the database was made just now");
        let raw = test.unguarded();
        raw.execute("UPDATE audit_log SET at = 1000 * id", ()).unwrap();
        assert_eq!(test.store.first_audit_row_at(Timestamp::from_millis(2_500)).await.unwrap(), Some(id(3)));
        assert_eq!(test.store.first_audit_row_at(Timestamp::from_millis(5_001)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_restored_database_has_a_log_of_another_name() {
        let test = store_with_rows(4).await;
        let before = test.store.audit_stream().await.unwrap();
        assert_eq!(before, test.store.database_id());
        test.store.record_restore(restoration(None), at(20)).await.unwrap();
        let once = test.store.audit_stream().await.unwrap();
        assert!(once.starts_with(&format!("{before}/restored-5-")), "{once}");
        test.store.record_restore(restoration(None), at(21)).await.unwrap();
        assert_ne!(test.store.audit_stream().await.unwrap(), once);
    }
}
