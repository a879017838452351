//! A conversation that is done: nothing in it needs anybody. A reply opens it again.

use rusqlite::OptionalExtension;
use serde_json::json;

use crate::acts::conversation::{last_of, root_of};
use crate::acts::message::record;
use crate::acts::session::require_live;
use crate::store::Store;
use crate::types::{Action, Actor, AuditId, MessageId, StoreError, Timestamp};

/// What came of saying that a conversation is done, or open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoneChange {
    /// It is so now.
    Changed,
    /// It was so already; nothing was written.
    Unchanged,
    /// There is no such conversation.
    Missing,
}

impl Store {
    /// Says that a conversation is done (CONVERSATION_DONE) or open again (CONVERSATION_REOPENED). `id` is any of its
    /// messages.
    pub async fn set_done(
        &self,
        actor: Actor,
        id: MessageId,
        done: bool,
        at: Timestamp,
    ) -> Result<DoneChange, StoreError> {
        self.write(move |write| {
            require_live(write, actor)?;
            let Some(root) = root_of(write.connection, id)? else { return Ok(DoneChange::Missing) };
            let last = last_of(write.connection, root)?;
            let mut select = write.connection.prepare_cached("SELECT done_by FROM conversation WHERE last_id = ?1")?;
            let was: Option<AuditId> = select.query_row([last], |row| row.get(0)).optional()?.flatten();
            drop(select);
            if was.is_some() == done {
                return Ok(DoneChange::Unchanged);
            }
            let action = if done { Action::ConversationDone } else { Action::ConversationReopened };
            let row = record(write, actor, action, root, json!({}), at)?;
            let mut update =
                write.connection.prepare_cached("UPDATE conversation SET done_by = ?2 WHERE last_id = ?1")?;
            update.execute((last, done.then_some(row)))?;
            Ok(DoneChange::Changed)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acts::conversation::tests::{list_of, send_reply};
    use crate::testing::*;
    use crate::{ChainVerdict, ListQuery, Show};

    #[tokio::test]
    async fn done_and_open_again_are_acts_of_somebody_and_a_reply_opens_it_again() {
        let test = TestStore::new().await;
        let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
        let root = send(&test.store, ada, "Room 7", "text").await;
        let other = send(&test.store, ada, "Room 8", "text").await;
        let open = ListQuery { show: Show::Open, ..ListQuery::default() };
        assert_eq!(test.store.set_done(ben, root, true, at(20)).await.unwrap(), DoneChange::Changed);
        assert_eq!(test.store.set_done(ada, root, true, at(21)).await.unwrap(), DoneChange::Unchanged);
        let list = test.store.list_conversations(ListQuery::default()).await.unwrap();
        let done = list.conversations[1].done.as_ref().expect("it is done");
        assert_eq!((done.by.name.as_str(), done.at, list.conversations[0].done.is_none()), ("ben", at(20), true));
        assert_eq!(list_of(&test.store, open).await, [other]);
        assert_sound(&test.store).await;

        let reply = send_reply(&test.store, ada, root, "one more thing", 30).await;
        assert_eq!(list_of(&test.store, open).await, [root, other]);
        // By the number of a reply as well.
        assert_eq!(test.store.set_done(ada, reply, true, at(40)).await.unwrap(), DoneChange::Changed);
        assert_eq!(test.store.set_done(ben, root, false, at(50)).await.unwrap(), DoneChange::Changed);
        assert_eq!(list_of(&test.store, open).await, [root, other]);
        let nothing = MessageId::new(99).unwrap();
        assert_eq!(test.store.set_done(ben, nothing, true, at(60)).await.unwrap(), DoneChange::Missing);
        let acts: Vec<_> = actions(&test.store).await.into_iter().filter(|act| act.starts_with("CONV")).collect();
        assert_eq!(acts, ["CONVERSATION_DONE", "CONVERSATION_DONE", "CONVERSATION_REOPENED"]);
        assert_sound(&test.store).await;
    }

    #[tokio::test]
    async fn a_conversation_that_is_done_in_the_file_alone_is_found() {
        for change in [
            "UPDATE conversation SET done_by = NULL WHERE root_id = 1",
            "UPDATE conversation SET done_by = (SELECT max(id) FROM audit_log) WHERE root_id = 2",
            "UPDATE conversation SET done_by = 1 WHERE root_id = 2",
        ] {
            let test = TestStore::new().await;
            let ada = staff(&test.store, "ada").await;
            let root = send(&test.store, ada, "a", "a").await;
            send(&test.store, ada, "b", "b").await;
            test.store.set_done(ada, root, true, at(20)).await.unwrap();
            assert_sound(&test.store).await;
            assert_eq!(test.raw().execute(change, ()).unwrap(), 1, "{change}");
            let verdict = test.store.verify_chain(None, |_| ()).await.unwrap();
            assert!(matches!(verdict, ChainVerdict::Broken { .. }), "{change}: {verdict:?}");
        }
    }
}
