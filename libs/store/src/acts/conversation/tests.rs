use super::*;
use crate::testing::*;
use crate::{ChainError, ChainVerdict, ListQuery, NewMessage, Subject as NewSubject};

pub(in crate::acts) fn page(before: Option<MessageId>, limit: u32) -> ListQuery {
    ListQuery { before, limit, ..ListQuery::default() }
}

fn reply(to: MessageId, body: &str) -> NewReply {
    NewReply { to, body: Body::parse(body).unwrap(), addressed: Addressed::default(), key: IdempotencyKey::fresh() }
}

pub(in crate::acts) async fn send_reply(
    store: &Store,
    actor: Actor,
    to: MessageId,
    body: &str,
    time: i64,
) -> MessageId {
    match store.send_reply(actor, reply(to, body), at(time)).await.unwrap() {
        Some(Sent::Created(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn texts(conversation: &Conversation) -> Vec<&str> {
    let text = |message: &'_ ConversationMessage| match &message.content {
        MessageContent::Live(text) => text.clone(),
        MessageContent::Deleted(_) => "(deleted)".to_owned(),
    };
    conversation.messages.iter().map(text).map(|text| &*text.leak()).collect()
}

pub(in crate::acts) async fn open(store: &Store, actor: Actor, root: MessageId, page: u64, size: u64) -> Conversation {
    store.open_conversation(actor, root, page, size, at(90)).await.unwrap().unwrap()
}

/// The numbers of the conversations in a list.
pub(in crate::acts) async fn list_of(store: &Store, query: ListQuery) -> Vec<MessageId> {
    let list = store.list_conversations(query).await.unwrap();
    list.conversations.into_iter().map(|conversation| conversation.root).collect()
}

#[tokio::test]
async fn replies_stand_in_the_order_in_which_they_were_sent_and_one_row_names_all_that_were_opened() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let root = send(&test.store, ada, "Room 7", "May she have ibuprofen?").await;
    let other = send(&test.store, ada, "Cake", "In the kitchen").await;
    let first = send_reply(&test.store, ben, root, "Better not", 20).await;
    // A reply to a reply is one of the same conversation.
    let second = send_reply(&test.store, ada, first, "Given paracetamol", 30).await;
    let conversation = open(&test.store, ben, root, 0, 50).await;
    assert_eq!(texts(&conversation), ["May she have ibuprofen?", "Better not", "Given paracetamol"]);
    assert_eq!(
        (conversation.replies, conversation.pages, conversation.subject),
        (2, 1, Some(Subject("Room 7".into())))
    );
    let row = log(&test.store).await.pop().unwrap();
    assert_eq!((row.action.as_str(), row.message), ("MESSAGE_VIEW", Some(root)));
    assert_eq!(details(&row)["messages"], format!("{root}, {first}-{second}"));
    assert!(test.store.open_conversation(ben, first, 0, 50, at(91)).await.unwrap().is_none(), "a reply is none");
    assert_eq!(test.store.position(second, 50).await.unwrap(), Some(Position { root, page: 0 }));
    assert_eq!(test.store.position(other, 50).await.unwrap(), Some(Position { root: other, page: 0 }));
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_page_holds_so_many_messages_and_a_message_is_found_on_its_page() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let root = send(&test.store, ada, "Many", "0").await;
    let mut all = vec![root];
    for number in 1..7 {
        all.push(send_reply(&test.store, ada, root, &number.to_string(), 20 + number).await);
    }
    for (page, expected) in [(0, vec!["0", "1", "2"]), (1, vec!["3", "4", "5"]), (2, vec!["6"]), (9, vec!["6"])] {
        let conversation = open(&test.store, ada, root, page, 3).await;
        assert_eq!((texts(&conversation), conversation.pages), (expected, 3), "page {page}");
    }
    for (number, id) in all.into_iter().enumerate() {
        let page = number as u64 / 3;
        assert_eq!(test.store.position(id, 3).await.unwrap(), Some(Position { root, page }), "message {id}");
    }
}

#[tokio::test]
async fn what_is_new_in_a_conversation_begins_where_its_reader_last_looked() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let root = send(&test.store, ada, "Many", "0").await;
    let first_new = || test.store.first_new(ben.person, root, 3);
    assert_eq!(first_new().await.unwrap(), Some((root, Position { root, page: 0 })));
    assert_eq!(open(&test.store, ben, root, 0, 3).await.new, None, "all of it is new");
    assert_eq!(first_new().await.unwrap(), None);
    let own = send_reply(&test.store, ben, root, "his own", 91).await;
    let mut replies = Vec::new();
    for number in 0..5 {
        replies.push(send_reply(&test.store, ada, root, &number.to_string(), 92 + number).await);
    }
    let from = |first, since| Some(NewFrom { first, since });
    assert_eq!(first_new().await.unwrap(), Some((replies[0], Position { root, page: 0 })));
    assert_eq!(open(&test.store, ben, root, 2, 3).await.new, None, "it begins on another page");
    let opened = test.store.open_conversation(ben, root, 0, 3, at(100)).await.unwrap().unwrap();
    assert_eq!(opened.new, from(replies[0], None), "his own, above it, he never opened");
    assert_eq!(first_new().await.unwrap(), Some((replies[1], Position { root, page: 1 })));
    assert_eq!(open(&test.store, ben, root, 1, 3).await.new, from(replies[1], Some(at(100))));
    assert_eq!(first_new().await.unwrap(), None, "{own} is his own");
    test.store.mark_unread(ben, root, at(110)).await.unwrap();
    assert_eq!(first_new().await.unwrap(), Some((replies[4], Position { root, page: 2 })));
}

#[tokio::test]
async fn a_deleted_first_message_leaves_its_tombstone_and_its_replies() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let root = send(&test.store, ada, "Room 7", "wrong room").await;
    send_reply(&test.store, ben, root, "Which one?", 20).await;
    test.store.delete_message(ada, root, at(30)).await.unwrap();
    send_reply(&test.store, ada, root, "Room 8, sorry", 40).await;
    let conversation = open(&test.store, ben, root, 0, 50).await;
    assert_eq!(
        (texts(&conversation), conversation.subject.is_none()),
        (vec!["(deleted)", "Which one?", "Room 8, sorry"], true)
    );
    let list = test.store.list_conversations(page(None, 50)).await.unwrap();
    assert!(list.conversations[0].subject.is_err());
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_reply_sent_again_is_one_reply_and_one_to_nothing_is_refused() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let (root, other) = (send(&test.store, ada, "a", "a").await, send(&test.store, ada, "b", "b").await);
    let once = reply(root, "once");
    let Some(Sent::Created(id)) = test.store.send_reply(ada, once.clone(), at(20)).await.unwrap() else { panic!() };
    assert_eq!(test.store.send_reply(ada, once.clone(), at(21)).await.unwrap(), Some(Sent::Repeated(id)));
    let elsewhere = NewReply { to: other, ..once.clone() };
    assert_eq!(test.store.send_reply(ada, elsewhere, at(22)).await.unwrap(), Some(Sent::KeyReused(id)));
    let as_message = NewMessage {
        subject: NewSubject::parse("s").unwrap(),
        body: once.body.clone(),
        addressed: Addressed::default(),
        key: once.key,
    };
    assert_eq!(test.store.send_message(ada, as_message, at(23)).await.unwrap(), Sent::KeyReused(id));
    assert_eq!(test.store.send_reply(ada, reply(MessageId::new(99).unwrap(), "x"), at(24)).await.unwrap(), None);
    assert_eq!(open(&test.store, ada, root, 0, 50).await.replies, 1);
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn what_is_changed_about_a_conversation_in_the_file_is_found() {
    let changes = [
        "UPDATE message_reply SET root_id = 2 WHERE message_id = 3",
        "DELETE FROM message_reply WHERE message_id = 3",
        "INSERT INTO message_reply VALUES (2, 1)",
        "DELETE FROM conversation WHERE root_id = 2",
        "UPDATE conversation SET replies = 5 WHERE root_id = 1",
        "UPDATE conversation SET last_id = 9 WHERE root_id = 2",
        "UPDATE conversation SET last_id = 2 - last_id WHERE root_id = 2",
        "UPDATE conversation SET root_id = 2 WHERE root_id = 1",
        "INSERT INTO conversation VALUES (1, 1, 0, NULL)",
        "INSERT INTO conversation VALUES (9, 2, 0, NULL)",
        "INSERT INTO conversation VALUES (-1, 2, 0, NULL)",
        "INSERT INTO message_reply VALUES (9, 1)",
    ];
    for change in changes {
        let test = TestStore::new().await;
        let ada = staff(&test.store, "ada").await;
        let root = send(&test.store, ada, "a", "a").await;
        send(&test.store, ada, "b", "b").await;
        send_reply(&test.store, ada, root, "reply", 20).await;
        assert_sound(&test.store).await;
        let raw = test.raw();
        raw.execute_batch(
            "PRAGMA foreign_keys = OFF; DROP TRIGGER message_reply_stays; DROP TRIGGER message_reply_fixed",
        )
        .unwrap();
        assert_eq!(raw.execute(change, ()).unwrap(), 1, "{change}");
        let verdict = test.store.verify_chain(None, |_| ()).await.unwrap();
        assert!(matches!(verdict, ChainVerdict::Broken { error: ChainError::Message(_), .. }), "{change}: {verdict:?}");
    }
}
