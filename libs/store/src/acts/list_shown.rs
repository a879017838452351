//! Which subjects somebody was shown: MESSAGE_LIST, durable before they are.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::acts::session::require_live;
use crate::ledger::audit::Entry;
use crate::ledger::ranges;
use crate::store::Store;
use crate::types::{Action, Actor, MessageId, StoreError, Timestamp};

impl Store {
    /// Records that somebody is about to be shown the subjects of these messages. With `live`, also of what arrives in
    /// an open list for so long from then on. Refused where the session has ended.
    pub async fn record_list_shown(
        &self,
        actor: Actor,
        messages: Arc<[MessageId]>,
        live: Option<Duration>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let mut details = json!({ "messages": in_ranges(&messages) });
            if let Some(live) = live {
                details["live_seconds"] = live.as_secs().into();
            }
            let (person, ip) = (Some(actor.person), Some(actor.ip));
            write.append(Entry { at, person, action: Action::MessageList, message: None, details, ip })?;
            Ok(())
        })
        .await
    }
}

/// Numbers as people write them: `3, 5-9`.
pub(super) fn in_ranges(messages: &[MessageId]) -> String {
    ranges::format(messages.iter().map(|message| message.get()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    fn messages(numbers: &[i64]) -> Arc<[MessageId]> {
        numbers.iter().map(|number| MessageId::new(*number).unwrap()).collect()
    }

    #[test]
    fn numbers_are_written_in_ranges() {
        assert_eq!(in_ranges(&messages(&[9, 8, 7, 6, 5, 3, 12, 11])), "3, 5-9, 11-12");
        assert_eq!(in_ranges(&messages(&[1])), "1");
        assert_eq!(in_ranges(&[]), "");
    }

    #[tokio::test]
    async fn a_list_that_is_shown_has_its_row_and_none_after_the_session() {
        let test = TestStore::new().await;
        let ada = staff(&test.store, "ada").await;
        test.store.record_list_shown(ada, messages(&[2, 1]), None, at(5)).await.unwrap();
        test.store.record_list_shown(ada, messages(&[3]), Some(Duration::from_secs(60)), at(6)).await.unwrap();
        let rows = log(&test.store).await;
        let shown: Vec<_> = rows.iter().filter(|row| row.action == "MESSAGE_LIST").collect();
        let details: Vec<_> = shown.iter().map(|row| row.details.as_str()).collect();
        assert_eq!(details, [r#"{"messages":"1-2"}"#, r#"{"live_seconds":60,"messages":"3"}"#]);
        assert!(shown.iter().all(|row| row.person.as_ref().is_some_and(|person| person.id == ada.person)));

        test.store.sign_out(ada, at(7)).await.unwrap();
        let refused = test.store.record_list_shown(ada, messages(&[1]), None, at(8)).await;
        assert!(matches!(refused, Err(StoreError::SessionEnded)));
    }
}
