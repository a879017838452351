//! What is for a person, as lists mark and count it.

use std::collections::BTreeSet;

use crate::store::Store;
use crate::types::{MessageId, PersonId, StoreError};

/// What is for a person, and neither done nor answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnDuties {
    /// The conversations that have such a message.
    pub conversations: BTreeSet<MessageId>,
    /// How many such messages there are.
    pub messages: usize,
}

impl Store {
    /// What is for a person. It is right while [`Store::duties_version`] stands still.
    pub async fn own_duties(&self, person: PersonId) -> Result<OwnDuties, StoreError> {
        self.look_up(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT DISTINCT d.message_id, coalesce(r.root_id, d.message_id) FROM duty d INDEXED BY duty_open \
                 LEFT JOIN message_reply r ON r.message_id = d.message_id WHERE d.person_id = ?1 AND d.ended_by IS NULL",
            )?;
            let mut own = OwnDuties::default();
            for root in select.query_map([person], |row| row.get(1))? {
                own.conversations.insert(root?);
                own.messages += 1;
            }
            Ok(own)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use crate::types::{Actor, Addressed, UrgentPolicy};
    use crate::{NewMessage, Sent, UrgentAnswer};

    async fn send_for(test: &TestStore, from: Actor, to: PersonId, urgent: Option<UrgentPolicy>) -> MessageId {
        let addressed = Addressed { people: [to].into(), urgent, ..Addressed::default() };
        let message = NewMessage { addressed, ..new_message("Room 7", "text") };
        let Ok(Sent::Created(id)) = test.store.send_message(from, message, at(10)).await else { panic!("sent") };
        id
    }

    #[tokio::test]
    async fn own_duties_are_there_until_they_are_done_under_the_numbers_of_their_conversations() {
        let test = TestStore::new().await;
        let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
        let plain = send_for(&test, ada, ben.person, None).await;
        let urgent = send_for(&test, ada, ben.person, Some(UrgentPolicy::Fast)).await;
        let of = |person| test.store.own_duties(person);
        let expected = OwnDuties { conversations: [plain, urgent].into(), messages: 2 };
        assert_eq!(of(ben.person).await.unwrap(), expected);
        assert_eq!(of(ada.person).await.unwrap(), OwnDuties::default());

        let version = test.store.duties_version();
        test.store.answer_urgent(ben, urgent, UrgentAnswer::OnMyWay, at(20)).await.unwrap();
        assert!(test.store.duties_version() > version);
        test.store.finish_duty(ben, plain, at(21)).await.unwrap();
        assert_eq!(of(ben.person).await.unwrap(), OwnDuties { conversations: [urgent].into(), messages: 1 });
    }
}
