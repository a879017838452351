use super::*;
use crate::acts::conversation::tests::{page, send_reply};
use crate::testing::*;

#[tokio::test]
async fn the_conversation_with_the_newest_message_comes_first_and_pages_of_the_list_do_not_overlap() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let mut roots = Vec::new();
    for number in 0..5 {
        roots.push(send(&test.store, ada, &format!("subject {number}"), "text").await);
    }
    let newest = send_reply(&test.store, ben, roots[1], "a reply", 50).await;
    let list = test.store.list_conversations(page(None, 3)).await.unwrap();
    let found: Vec<_> = list.conversations.iter().map(|conversation| conversation.root).collect();
    assert_eq!((found, list.next), (vec![roots[1], roots[4], roots[3]], Some(roots[3])));
    let top = &list.conversations[0];
    let (id, author, when) = top.last_reply.as_ref().unwrap();
    assert_eq!(
        (*id, author.name.as_str(), *when, top.replies, top.author.name.as_str()),
        (newest, "ben", at(50), 1, "ada")
    );
    let rest = test.store.list_conversations(page(list.next, 3)).await.unwrap();
    let found: Vec<_> = rest.conversations.iter().map(|conversation| conversation.root).collect();
    assert_eq!((found, rest.next), (vec![roots[2], roots[0]], None));
    for walk in [ALL, OPEN] {
        assert!(!plan_of(&test.raw(), walk).contains("TEMP B-TREE"));
    }
}

#[tokio::test]
async fn the_list_of_one_author_has_the_conversations_that_she_began_however_long_they_went_on() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let first = send(&test.store, ada, "first", "text").await;
    let others = send(&test.store, ben, "ben's", "text").await;
    let second = send(&test.store, ada, "second", "text").await;
    send_reply(&test.store, ada, others, "a reply of hers", 50).await;
    send_reply(&test.store, ben, first, "a reply to her", 60).await;
    let of_ada = |before, limit| ListQuery { before, author: Some(ada.person), limit, ..ListQuery::default() };
    let list = test.store.list_conversations(of_ada(None, 1)).await.unwrap();
    assert_eq!((list.conversations[0].root, list.next), (second, Some(second)));
    let rest = test.store.list_conversations(of_ada(Some(second), 1)).await.unwrap();
    assert_eq!((rest.conversations[0].root, rest.conversations[0].replies, rest.next), (first, 1, None));
    let walk = "SEARCH b USING INDEX audit_log_person_action (person_id=? AND action=? AND at<?)";
    let plan = plan_of(&test.raw(), OF_AUTHOR);
    assert!(plan.starts_with(walk) && !plan.contains("TEMP B-TREE"), "{plan}");
    let one = test.store.conversation_summary(others).await.unwrap().unwrap();
    assert_eq!((one.root, one.replies), (others, 1));
}
