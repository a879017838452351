use super::*;
use crate::testing::*;
use crate::{AuditId, Draft, ListQuery, ListState, MessageChange, MessageContent, StoreError};

#[tokio::test]
async fn a_sent_message_is_listed_opened_and_recorded_without_its_text_in_the_log() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let id = send(&test.store, ada, "Mrs Smith", "has a fever").await;

    let list = test.store.list_conversations(ListQuery::default()).await.unwrap();
    let [listed] = list.conversations.as_slice() else { panic!("{list:?}") };
    assert_eq!((listed.author.name.as_str(), listed.subject.as_ref().unwrap().0.as_str()), ("ada", "Mrs Smith"));
    let opened = open_message(&test.store, ben, id, at(30)).await;
    let [message] = opened.messages.as_slice() else { panic!("{opened:?}") };
    assert_eq!(opened.subject.unwrap().0, "Mrs Smith");
    assert_eq!(message.content, MessageContent::Live("has a fever".into()));
    assert_eq!((message.sent_at, message.author.id), (at(10), ada.person));

    let rows = log(&test.store).await;
    let [.., create, view] = rows.as_slice() else { panic!("too few rows") };
    assert_eq!((create.action.as_str(), create.message), ("MESSAGE_CREATE", Some(id)));
    assert_eq!((view.action.as_str(), view.message), ("MESSAGE_VIEW", Some(id)));
    assert_eq!(view.person.as_ref().unwrap().id, ben.person);
    assert_eq!((view.at, view.ip.as_deref()), (at(30), Some("192.0.2.7")));
    assert!(create.details.contains(&format!("\"message_id\":{id}")));
    for row in &rows {
        assert!(!row.details.contains("Smith") && !row.details.contains("fever"), "{}", row.details);
    }
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn the_same_message_sent_again_is_one_message() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let message = new_message("subject", "body");
    let Sent::Created(id) = test.store.send_message(ada, message.clone(), at(1)).await.unwrap() else {
        panic!("not created");
    };
    let rows = log(&test.store).await.len();
    assert_eq!(test.store.send_message(ada, message.clone(), at(2)).await.unwrap(), Sent::Repeated(id));
    let other = NewMessage { body: Body::parse("other").unwrap(), ..message.clone() };
    assert_eq!(test.store.send_message(ada, other, at(3)).await.unwrap(), Sent::KeyReused(id));
    assert_eq!(log(&test.store).await.len(), rows, "no second row");
    let list = test.store.list_conversations(ListQuery::default()).await.unwrap();
    assert_eq!(list.conversations.len(), 1);

    // The key is the author's own: another author's message under it is another message.
    let ben = staff(&test.store, "ben").await;
    assert!(matches!(test.store.send_message(ben, message.clone(), at(4)).await.unwrap(), Sent::Created(_)));
    // Deleted since, it does not come back.
    test.store.delete_message(ada, id, at(5)).await.unwrap();
    assert_eq!(test.store.send_message(ada, message, at(6)).await.unwrap(), Sent::Repeated(id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_requests_at_once_make_one_message() {
    let test = TestStore::new().await;
    let other = test.another().await;
    let ada = staff(&test.store, "ada").await;
    let message = new_message("subject", "body");
    let tasks: Vec<_> = (0..20)
        .map(|turn| {
            let (store, message) = (if turn % 2 == 0 { test.store.clone() } else { other.clone() }, message.clone());
            tokio::spawn(async move { store.send_message(ada, message, at(turn)).await.unwrap() })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        created += usize::from(matches!(task.await.unwrap(), Sent::Created(_)));
    }
    assert_eq!(created, 1);
    assert_eq!(actions(&test.store).await, ["LOGIN", "MESSAGE_CREATE"]);
}

#[tokio::test]
async fn deleting_leaves_a_tombstone_and_only_the_author_can() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let id = send(&test.store, ada, "subject", "body").await;
    let none = MessageId::new(99).unwrap();
    assert_eq!(test.store.delete_message(ben, id, at(20)).await.unwrap(), Deletion::NotYours);
    assert_eq!(test.store.delete_message(ada, none, at(20)).await.unwrap(), Deletion::Missing);
    assert_eq!(test.store.delete_message(ada, id, at(20)).await.unwrap(), Deletion::Deleted);
    let rows = log(&test.store).await.len();
    assert_eq!(test.store.delete_message(ada, id, at(21)).await.unwrap(), Deletion::AlreadyDeleted);

    let opened = open_message(&test.store, ben, id, at(30)).await;
    let [tombstone] = opened.messages.as_slice() else { panic!("{opened:?}") };
    assert_eq!((tombstone.author.name.as_str(), &tombstone.content), ("ada", &MessageContent::Deleted(at(20))));
    assert!(opened.subject.is_none());
    assert!(test.store.open_conversation(ben, none, 0, 50, at(30)).await.unwrap().is_none());
    assert!(test.store.message_summary(none).await.unwrap().is_none());
    assert_eq!(log(&test.store).await.len(), rows, "a tombstone shows nothing, and no row is written");
    assert_eq!(actions(&test.store).await.last().unwrap(), "MESSAGE_DELETE");
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn pages_of_the_list_meet_without_gap_or_overlap() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    // The clock goes back and stands still; those of one author are in the order of its times.
    for (number, time) in [10, 30, 20, 20, 9, 20, 40].into_iter().enumerate() {
        let who = if number % 3 == 0 { ben } else { ada };
        test.store.send_message(who, new_message(&format!("s{number}"), "body"), at(time)).await.unwrap();
    }
    for (author, expected) in
        [(None, vec![7, 6, 5, 4, 3, 2, 1]), (Some(ada.person), vec![2, 6, 3, 5]), (Some(ben.person), vec![7, 4, 1])]
    {
        for limit in 1..9 {
            let (mut before, mut seen) = (None, Vec::new());
            loop {
                let query = ListQuery { before, author, limit, ..ListQuery::default() };
                let list = test.store.list_conversations(query).await.unwrap();
                assert_eq!(list.newest_event, test.store.audit_head().await.unwrap().id);
                assert!(list.conversations.len() <= limit as usize);
                seen.extend(list.conversations.iter().map(|conversation| conversation.root.get()));
                before = list.next;
                if before.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{limit} a page");
        }
    }
    let authors = test.store.authors().await.unwrap();
    assert_eq!(authors.iter().map(|author| author.name.as_str()).collect::<Vec<_>>(), ["ada", "ben"]);
}

#[tokio::test]
async fn events_tell_what_happened_after_a_page_was_read() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let first = send(&test.store, ada, "one", "body").await;
    let start = test.store.audit_head().await.unwrap().id;
    assert!(test.store.message_events_after(start, 10).await.unwrap().is_empty());

    let second = send(&test.store, ada, "two", "body").await;
    open_message(&test.store, ada, second, at(30)).await;
    test.store.delete_message(ada, first, at(40)).await.unwrap();
    let events = test.store.message_events_after(start, 10).await.unwrap();
    let seen: Vec<_> = events.iter().map(|event| (event.change, event.message.id)).collect();
    assert_eq!(seen, [(MessageChange::Sent, second), (MessageChange::Deleted, first)]);
    assert_eq!(events[0].message.content, SummaryContent::Live { subject: "two".into() });
    assert_eq!(test.store.message_events_after(start, 1).await.unwrap().len(), 1);
    assert!(test.store.message_events_after(events[1].id, 10).await.unwrap().is_empty());
    assert_eq!(test.store.message_events_after(AuditId::ZERO, 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn nobody_acts_in_a_session_that_has_ended_or_is_anothers() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let id = send(&test.store, ada, "subject", "body").await;
    let stolen = Actor { session: ben.session, ..ada };
    test.store.sign_out(ben, at(20)).await.unwrap();
    let rows = log(&test.store).await.len();
    for actor in [ben, stolen] {
        let filter = crate::AuditFilter::default();
        let draft = Draft {
            conversation: None,
            key: IdempotencyKey::fresh(),
            subject: "s".into(),
            body: "b".into(),
            addressed: Addressed::default(),
            saved_at: at(30),
        };
        let refusals = [
            test.store.send_message(actor, new_message("s", "b"), at(30)).await.err(),
            test.store.open_conversation(actor, id, 0, 50, at(30)).await.err(),
            test.store.set_done(actor, id, true, at(30)).await.err(),
            test.store.mark_unread(actor, id, at(30)).await.err(),
            test.store.delete_message(actor, id, at(30)).await.err(),
            test.store.save_draft(actor, draft, crate::Seen::Unknown).await.err(),
            test.store.discard_draft(actor, None, IdempotencyKey::fresh(), crate::Seen::Unknown, at(30)).await.err(),
            test.store.view_audit(actor, filter.clone(), None, 5, at(30)).await.err(),
            test.store.begin_audit_export(actor, filter, crate::ExportFormat::Csv, at(30)).await.err(),
            test.store.sign_out(actor, at(30)).await.err(),
        ];
        for (number, refusal) in refusals.into_iter().enumerate() {
            assert!(matches!(refusal, Some(StoreError::SessionEnded)), "act {number}: {refusal:?}");
        }
    }
    assert_eq!(log(&test.store).await.len(), rows);
}

/// Disabling ends the sessions too; should one ever be left, it is worth nothing.
#[tokio::test]
async fn nobody_acts_while_disabled() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    test.raw().execute("UPDATE person SET disabled_at = 1", ()).unwrap();
    let refused = test.store.send_message(ada, new_message("s", "b"), at(30)).await;
    assert!(matches!(refused, Err(StoreError::SessionEnded)), "{refused:?}");
}

#[tokio::test]
async fn a_list_stays_right_while_people_only_look_and_no_longer() {
    let test = TestStore::new().await;
    let other = test.another().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let id = send(&test.store, ada, "subject", "body").await;
    let seen = test.store.audit_head().await.unwrap().id;
    let since = async |seen| test.store.lists_since(seen).await.unwrap();
    assert_eq!(since(seen).await, ListState { newest: seen, unchanged: true });

    open_message(&other, ben, id, at(20)).await;
    other.mark_unread(ben, id, at(20)).await.unwrap();
    other.view_audit(ben, crate::AuditFilter::default(), None, 10, at(21)).await.unwrap();
    let looked = since(seen).await;
    assert_eq!((looked.newest.get(), looked.unchanged), (seen.get() + 3, true));

    // Whatever else has a row counts, before the newest row as well.
    other.delete_message(ada, id, at(22)).await.unwrap();
    other.view_audit(ben, crate::AuditFilter::default(), None, 10, at(23)).await.unwrap();
    assert!(!since(seen).await.unchanged && !since(looked.newest).await.unchanged);
    let seen = since(seen).await.newest;
    assert!(since(seen).await.unchanged);
    sign_in(&other, "ada", at(24)).await;
    assert!(!since(seen).await.unchanged, "the sign-in may have brought another name");
    let seen = since(seen).await.newest;
    send(&other, ben, "subject", "body").await;
    assert!(!since(seen).await.unchanged);
    assert!(!since(AuditId::ZERO).await.unchanged, "nothing was read yet");
    other.close().await;
}
