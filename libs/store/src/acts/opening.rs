//! Who opened which message: what MESSAGE_VIEW rows say, by message.

use serde_json::json;

use crate::acts::list_shown::in_ranges;
use crate::acts::message::record;
use crate::acts::unread::mark_read;
use crate::sqlite::write::Write;
use crate::store::Store;
use crate::types::{Action, Actor, Author, MessageId, StoreError, Timestamp};

/// Somebody who opened a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Who.
    pub person: Author,
    /// When for the first time.
    pub at: Timestamp,
}

impl Store {
    /// Who has opened each of these messages but its author, in the order in which they first did.
    pub async fn readers(&self, messages: Vec<MessageId>) -> Result<Vec<Vec<Reader>>, StoreError> {
        self.look_up(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut select = snapshot.prepare_cached(READERS)?;
            let mut readers = Vec::with_capacity(messages.len());
            for message in messages {
                let found = select
                    .query_map([message], |row| Ok(Reader { person: Author::from_row(row, 0)?, at: row.get(3)? }))?;
                readers.push(found.collect::<Result<_, _>>()?);
            }
            Ok(readers)
        })
        .await
    }
}

const READERS: &str = "SELECT p.id, p.name, p.email, a.at FROM \
     (SELECT person_id, min(audit_id) AS audit_id FROM message_opening WHERE message_id = ?1 \
     AND person_id <> (SELECT author_id FROM message WHERE id = ?1) GROUP BY person_id) o \
     CROSS JOIN audit_log a ON a.id = o.audit_id CROSS JOIN person p ON p.id = o.person_id ORDER BY o.audit_id";

/// Records that these messages of a conversation are about to be shown, in one MESSAGE_VIEW: none where there are none.
pub(super) fn record_opening(
    write: &mut Write<'_>,
    actor: Actor,
    root: MessageId,
    shown: &[MessageId],
    at: Timestamp,
) -> Result<(), StoreError> {
    if shown.is_empty() {
        return Ok(());
    }
    let details = if shown == [root] { json!({}) } else { json!({ "messages": in_ranges(shown) }) };
    let row = record(write, actor, Action::MessageView, root, details, at)?;
    let mut insert = write
        .connection
        .prepare_cached("INSERT INTO message_opening (message_id, person_id, audit_id) VALUES (?1, ?2, ?3)")?;
    for message in shown {
        insert.execute((message, actor.person, row))?;
        mark_read(write, actor.person, *message)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acts::conversation::tests::{open, send_reply};
    use crate::testing::*;
    use crate::{ChainError, ChainVerdict};

    #[tokio::test]
    async fn readers_stand_in_the_order_in_which_they_came_each_once_and_without_the_author() {
        let test = TestStore::new().await;
        let mut all = Vec::new();
        for name in ["ada", "ben", "cleo"] {
            all.push(staff(&test.store, name).await);
        }
        let [ada, ben, cleo] = all[..] else { panic!() };
        let root = send(&test.store, ada, "Room 7", "text").await;
        open(&test.store, cleo, root, 0, 50).await;
        let reply = send_reply(&test.store, ben, root, "a reply", 95).await;
        for actor in [ben, cleo, ada] {
            open(&test.store, actor, root, 0, 50).await;
        }
        let readers = test.store.readers(vec![root, reply]).await.unwrap();
        let names = |readers: &[Reader]| readers.iter().map(|reader| reader.person.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&readers[0]), ["cleo", "ben"]);
        assert_eq!(names(&readers[1]), ["cleo", "ada"]);
        assert_eq!(readers[0][0].at, at(90));
        assert!(plan_of(&test.raw(), READERS).contains("SEARCH message_opening USING PRIMARY KEY (message_id=?)"));
    }

    #[tokio::test]
    async fn an_opening_that_was_made_up_or_taken_away_is_found() {
        for change in [
            "DELETE FROM message_opening WHERE message_id = 2",
            "INSERT INTO message_opening SELECT 1, 2, audit_id FROM message_opening WHERE message_id = 1",
            "INSERT INTO message_opening SELECT message_id, person_id, 1 FROM message_opening WHERE message_id = 1",
            "UPDATE message_opening SET person_id = 2 WHERE message_id = 1",
        ] {
            let test = TestStore::new().await;
            let (ada, _) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
            let root = send(&test.store, ada, "a", "a").await;
            send_reply(&test.store, ada, root, "reply", 20).await;
            open(&test.store, ada, root, 0, 50).await;
            assert_sound(&test.store).await;
            assert_eq!(test.raw().execute(change, ()).unwrap(), 1, "{change}");
            let verdict = test.store.verify_chain(None, |_| ()).await.unwrap();
            let found = matches!(verdict, ChainVerdict::Broken { error: ChainError::Opening(_), .. });
            assert!(found, "{change}: {verdict:?}");
        }
    }
}
