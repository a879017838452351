//! What is for a person, as lists mark it.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::acts::conversation::root_of;
use crate::acts::urgent::{Known, open_messages};
use crate::store::Store;
use crate::types::{MessageId, PersonId, StoreError};

/// What lists mark of duties and urgent messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DutyMarks {
    /// Conversations with a message that is for the person, and neither done nor answered.
    pub for_person: BTreeSet<MessageId>,
    /// How many such messages there are.
    pub open: usize,
    /// Conversations with an urgent message, for anybody, that nobody has answered.
    pub urgent: BTreeSet<MessageId>,
}

impl Store {
    /// What lists mark for a person. It is right while [`Store::duties_version`] stands still.
    pub async fn duty_marks(&self, person: PersonId) -> Result<DutyMarks, StoreError> {
        self.look_up(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            let (for_person, open) = open_for(&snapshot, person)?;
            Ok(DutyMarks { for_person, open, urgent: unanswered(&snapshot)? })
        })
        .await
    }
}

fn open_for(connection: &Connection, person: PersonId) -> Result<(BTreeSet<MessageId>, usize), StoreError> {
    let mut select = connection.prepare_cached(
        "SELECT DISTINCT message_id FROM duty INDEXED BY duty_open WHERE person_id = ?1 AND ended_by IS NULL",
    )?;
    let found = select.query_map([person], |row| row.get(0))?;
    let messages: Vec<MessageId> = found.collect::<Result<_, _>>()?;
    let mut roots = BTreeSet::new();
    for message in &messages {
        roots.extend(root_of(connection, *message)?);
    }
    Ok((roots, messages.len()))
}

fn unanswered(connection: &Connection) -> Result<BTreeSet<MessageId>, StoreError> {
    let mut roots = BTreeSet::new();
    for message in open_messages(connection)? {
        let known = Known::of(connection, message)?;
        if known.is_some_and(|known| !known.withdrawn && !known.is_answered()) {
            roots.extend(root_of(connection, message)?);
        }
    }
    Ok(roots)
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
    async fn marks_say_what_is_for_whom_until_it_is_done_and_what_is_urgent_until_it_is_answered() {
        let test = TestStore::new().await;
        let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
        let plain = send_for(&test, ada, ben.person, None).await;
        let urgent = send_for(&test, ada, ben.person, Some(UrgentPolicy::Fast)).await;
        let of = |person| test.store.duty_marks(person);
        let expected = DutyMarks { for_person: [plain, urgent].into(), open: 2, urgent: [urgent].into() };
        assert_eq!(of(ben.person).await.unwrap(), expected);
        assert_eq!(of(ada.person).await.unwrap(), DutyMarks { urgent: [urgent].into(), ..DutyMarks::default() });

        let version = test.store.duties_version();
        test.store.answer_urgent(ben, urgent, UrgentAnswer::OnMyWay, at(20)).await.unwrap();
        assert!(test.store.duties_version() > version);
        test.store.finish_duty(ben, plain, at(21)).await.unwrap();
        let left = DutyMarks { for_person: [urgent].into(), open: 1, urgent: BTreeSet::new() };
        assert_eq!(of(ben.person).await.unwrap(), left);
    }
}
