//! That somebody takes a copy of what concerns them is an act: DATA_EXPORTED, durable before any of it is given out. How
//! often, the log says, so that a restart forgets nothing.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use serde_json::json;

use crate::acts::session::require_live;
use crate::ledger::audit::Entry;
use crate::store::Store;
use crate::types::{Action, Actor, AuditId, PersonId, StoreError, Timestamp};

/// Within this time a person may take [`DATA_EXPORTS`] copies.
pub const DATA_EXPORT_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);
/// So many copies within [`DATA_EXPORT_PERIOD`].
pub const DATA_EXPORTS: u32 = 2;

/// What came of asking for a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataExport {
    /// DATA_EXPORTED is durable. The copy ends with the row before it.
    Begun(AuditId),
    /// There were as many as may be. Nothing was recorded.
    TooOften {
        /// When the next one is possible.
        again_at: Timestamp,
    },
}

impl Store {
    /// When a person may take a copy again; None for now.
    pub async fn data_export_possible_at(
        &self,
        person: PersonId,
        at: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.look_up(move |connection| possible_at(connection, person, at)).await
    }

    /// Begins a copy of what concerns the actor, unless there were too many of late.
    pub async fn begin_data_export(&self, actor: Actor, at: Timestamp) -> Result<DataExport, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            if let Some(again_at) = possible_at(write.connection, actor.person, at)? {
                return Ok(DataExport::TooOften { again_at });
            }
            let last = write.head.id;
            let (person, ip) = (Some(actor.person), Some(actor.ip));
            write.append(Entry { at, person, action: Action::DataExported, message: None, details: json!({}), ip })?;
            Ok(DataExport::Begun(last))
        })
        .await
    }
}

/// The newest exports of a person since a time.
const EXPORTS: &str = "SELECT at FROM audit_log INDEXED BY audit_log_person_action \
     WHERE person_id = ?1 AND action = 'DATA_EXPORTED' AND at > ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3";

fn possible_at(connection: &Connection, person: PersonId, at: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let mut select = connection.prepare_cached(EXPORTS)?;
    let values = (person, at.minus(DATA_EXPORT_PERIOD), DATA_EXPORTS - 1);
    let first_of_as_many: Option<Timestamp> = select.query_row(values, |row| row.get(0)).optional()?;
    Ok(first_of_as_many.map(|first| first.plus(DATA_EXPORT_PERIOD)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[tokio::test]
    async fn a_third_copy_within_a_day_is_refused_until_the_first_of_them_is_a_day_old() {
        let test = TestStore::new().await;
        let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
        let begun = test.store.begin_data_export(ada, at(100)).await.unwrap();
        let rows = log(&test.store).await;
        let last = rows.last().unwrap();
        assert_eq!((last.action.as_str(), last.details.as_str()), ("DATA_EXPORTED", "{}"));
        assert_eq!(begun, DataExport::Begun(AuditId::new(last.id.get() - 1).unwrap()));
        assert!(matches!(test.store.begin_data_export(ada, at(200)).await.unwrap(), DataExport::Begun(_)));

        let again_at = at(100).plus(DATA_EXPORT_PERIOD);
        let before = log(&test.store).await.len();
        // By another process, which remembers nothing.
        let another = test.another().await;
        assert_eq!(another.begin_data_export(ada, at(300)).await.unwrap(), DataExport::TooOften { again_at });
        assert_eq!(another.data_export_possible_at(ada.person, at(300)).await.unwrap(), Some(again_at));
        assert_eq!(log(&test.store).await.len(), before, "nothing is recorded of what is refused");
        assert!(
            matches!(test.store.begin_data_export(ben, at(300)).await.unwrap(), DataExport::Begun(_)),
            "somebody else"
        );

        assert_eq!(test.store.data_export_possible_at(ada.person, again_at).await.unwrap(), None);
        assert!(matches!(test.store.begin_data_export(ada, again_at).await.unwrap(), DataExport::Begun(_)));
        let second = at(200).plus(DATA_EXPORT_PERIOD);
        assert_eq!(
            test.store.begin_data_export(ada, again_at).await.unwrap(),
            DataExport::TooOften { again_at: second }
        );
        another.close().await;

        test.store.sign_out(ben, at(400)).await.unwrap();
        assert!(matches!(test.store.begin_data_export(ben, at(500)).await, Err(StoreError::SessionEnded)));
        assert_sound(&test.store).await;
    }

    #[tokio::test]
    async fn the_newest_copies_are_found_by_an_index() {
        let test = TestStore::new().await;
        let plan = plan_of(&test.raw(), EXPORTS);
        assert!(plan.contains("audit_log_person_action (person_id=? AND action=?"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{plan}");
    }
}
