//! What `log-shipper verify` knows before it reads the copy: which rows are asked for, and what the local log and the shipping
//! state say of restores, cursors and rows that were given up on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use store::{AuditCopy, AuditId, RestoreRecord, Store, StoreError, Timestamp};

use crate::bound::Bound;
use crate::sink::Retention;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A restore of the local log, and when the row before it was written.
#[derive(Clone, Debug)]
pub struct LocalRestore {
    /// The row.
    pub record: RestoreRecord,
    /// The time of the row before it, by its own clock.
    pub head_at: Option<Timestamp>,
}

/// The rows that are asked for, and what they are compared with.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The id of the local database.
    pub database_id: String,
    /// The restores of the local log, oldest first.
    pub restores: Vec<LocalRestore>,
    /// The first row that is asked for.
    pub first: AuditId,
    /// The last row of the local log that is compared.
    pub last: AuditId,
    /// Rows of the copy after this one are not asked for; none where the end of the copy is compared as well.
    pub until: Option<AuditId>,
    /// By stream: up to here rows were shipped or quarantined.
    pub cursors: BTreeMap<String, AuditId>,
    /// By stream: rows that were given up on.
    pub quarantined: BTreeMap<String, BTreeSet<AuditId>>,
    /// Rows before this one are older than the copy keeps them.
    pub kept_from: AuditId,
    /// How many days the copy keeps rows; none for without end.
    pub retention_days: Option<i32>,
    /// The present.
    pub now: Timestamp,
}

impl Scope {
    /// Reads it, before the copy is read: what is shipped meanwhile may be in the copy or not.
    pub async fn read(
        store: &Store,
        copy: &AuditCopy,
        retention: Retention,
        from: Option<Bound>,
        to: Option<Bound>,
    ) -> Result<Scope, StoreError> {
        let (database_id, now) = (store.database_id().to_owned(), store.now());
        let restores = local_restores(store).await?;
        let head = store.audit_head().await?.id;
        let first_row = AuditId::ZERO.next();
        let first = match from {
            None => first_row,
            Some(Bound::Row(row)) => row,
            Some(Bound::Time(at)) => store.first_audit_row_at(at).await?.unwrap_or(head.next()),
        };
        let until = match to {
            None => None,
            Some(Bound::Row(row)) => Some(row),
            // Where no row is as late as that, all of the copy is from before it, as far as can be told.
            Some(Bound::Time(at)) => store.first_audit_row_at(at).await?.map(AuditId::previous),
        };
        let last = until.map_or(head, |row| row.min(head));
        let (mut cursors, mut quarantined) = (BTreeMap::new(), BTreeMap::new());
        let restored = restores.iter().map(|restore| restore.record.stream(&database_id));
        for stream in std::iter::once(database_id.clone()).chain(restored) {
            let copy = AuditCopy { sink: copy.sink.clone(), stream };
            let cursor = store.shipping_state(&copy).await?.cursor;
            let rows = store.quarantined(&copy).await?.into_iter().map(|row| row.id);
            quarantined.insert(copy.stream.clone(), rows.filter(|id| (first..=last).contains(id)).collect());
            cursors.insert(copy.stream, cursor);
        }
        let retention_days = match retention {
            Retention::Days(days) => Some(days),
            Retention::Forever | Retention::Untold => None,
        };
        let kept_from = match retention_days {
            Some(days) => store.first_audit_row_at(now.minus(in_days(days))).await?.unwrap_or(head.next()),
            None => first_row,
        };
        let scope =
            Scope { database_id, restores, first, last, until, cursors, quarantined, kept_from, retention_days, now };
        Ok(scope)
    }

    /// Whether a row of the copy is asked for.
    pub fn asks_for(&self, id: AuditId) -> bool {
        id >= self.first && self.until.is_none_or(|until| id <= until)
    }

    /// How long the copy keeps rows; none for without end.
    pub fn kept(&self) -> Option<Duration> {
        self.retention_days.map(in_days)
    }
}

fn in_days(days: i32) -> Duration {
    DAY * days.unsigned_abs()
}

async fn local_restores(store: &Store) -> Result<Vec<LocalRestore>, StoreError> {
    let mut restores = Vec::new();
    for record in store.restores().await? {
        let before = store.audit_events(record.id.previous().previous(), 1, 0).await?;
        let head_at = before.first().filter(|row| row.id < record.id).map(|row| row.at);
        restores.push(LocalRestore { record, head_at });
    }
    Ok(restores)
}
