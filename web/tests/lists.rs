//! The list is rendered once for all readers, and is right at every request all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::{Clinic, SignedIn, client, identity, key};
use store::{
    Action, AuditFilter, AuditId, Body, IdempotencyKey, IfMissing, Location, MessageId, NewMessage, Sent, SignIn,
    Store, Subject, Timestamp,
};
use testkit::SOON;

async fn list(member: &SignedIn) -> String {
    let reply = member.http.get("/messages").await;
    assert_eq!(reply.status, 200);
    reply.text().to_owned()
}

/// The store as another process has it: nothing of what it does is announced in this one.
async fn another_process(clinic: &Clinic) -> Store {
    Store::open(&Location::file(clinic.folder.path().join("wardpost.db"), &key()), IfMissing::Refuse).await.unwrap()
}

async fn send(store: &Store, author: &SignedIn, subject: &str) -> MessageId {
    let message = NewMessage {
        subject: Subject::parse(subject).unwrap(),
        body: Body::parse("Text").unwrap(),
        addressed: store::Addressed::default(),
        key: IdempotencyKey::fresh(),
    };
    match store.send_message(author.actor, message, Timestamp::now()).await.unwrap() {
        Sent::Created(id) => id,
        other => panic!("{other:?}"),
    }
}

/// The row from which the list's live updates go on.
fn updates_after(list: &str) -> i64 {
    let rest = list.split_once("/messages/updates?after=").expect("live updates").1;
    rest[..rest.find('"').unwrap()].parse().unwrap()
}

#[tokio::test]
async fn what_another_process_does_stands_in_the_next_list() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    let other = another_process(&clinic).await;
    assert!(list(&tomas).await.contains("No messages yet"));

    let id = send(&other, &amina, "Bed 4 is free").await;
    assert!(list(&tomas).await.contains("Bed 4 is free"), "a message of another process is not listed");

    // The provider has another name for her from now on.
    let renamed = store::Identity { name: "Dr Amina".into(), ..identity("amina") };
    let SignIn::SignedIn { .. } = other.sign_in(renamed, None, client(), Timestamp::now()).await.unwrap() else {
        panic!("disabled");
    };
    let page = list(&tomas).await;
    assert_eq!(page.matches("Dr Amina").count(), 2, "the row and the filter show the new name: {page}");

    other.delete_message(amina.actor, id, Timestamp::now()).await.unwrap();
    let page = list(&tomas).await;
    assert!(
        !page.contains("Bed 4 is free") && page.contains("Deleted by its author"),
        "a deleted subject is shown: {page}"
    );
    other.close().await;
}

#[tokio::test]
async fn looking_leaves_the_list_as_it_was_and_its_updates_go_on_from_the_newest_row() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    let id = send(&clinic.store, &amina, "Bed 4 is free").await;
    let before = updates_after(&list(&tomas).await);
    for _ in 0..3 {
        assert_eq!(tomas.http.get(&format!("/messages/{id}")).await.status, 200);
    }
    let page = list(&tomas).await;
    assert!(page.contains("Bed 4 is free"));
    assert_eq!(updates_after(&page), before + 4, "the list's own row, and three of MESSAGE_VIEW");
    assert_eq!(updates_after(&page), clinic.store.audit_head().await.unwrap().id.get());
}

#[tokio::test]
async fn one_list_for_all_marks_each_readers_own_rows_and_carries_each_readers_own_token() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    send(&clinic.store, &amina, "From Amina").await;
    send(&clinic.store, &tomas, "From Tomas").await;
    for _ in 0..2 {
        for (reader, own, other) in [(&amina, "From Amina", "From Tomas"), (&tomas, "From Tomas", "From Amina")] {
            let page = list(reader).await;
            let row = |subject: &str| page.lines().find(|line| line.contains(subject)).expect("its row").to_owned();
            assert!(row(own).contains("<span class=\"tag\">you</span>"), "{page}");
            assert!(!row(other).contains("<span class=\"tag\">you</span>"), "{page}");
            let (mine, theirs) = if reader.csrf == amina.csrf { (&amina, &tomas) } else { (&tomas, &amina) };
            assert!(page.contains(&mine.csrf) && !page.contains(&theirs.csrf));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn however_many_read_beside_it_a_change_stands_in_the_next_list() {
    let clinic = Arc::new(Clinic::open().await);
    let amina = clinic.sign_in("amina").await;
    let other = another_process(&clinic).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for name in ["tomas", "zoe", "noor"] {
        let (reader, done) = (clinic.sign_in(name).await, Arc::clone(&done));
        readers.push(tokio::spawn(async move {
            let mut reads = 0_u32;
            while !done.load(Ordering::Relaxed) {
                list(&reader).await;
                reads += 1;
            }
            reads
        }));
    }
    for round in 0..40 {
        let store = if round % 2 == 0 { &other } else { &clinic.store };
        let subject = format!("Round {round}.");
        let id = send(store, &amina, &subject).await;
        assert!(list(&amina).await.contains(&subject), "{subject} is not in the list after it was sent");
        store.delete_message(amina.actor, id, Timestamp::now()).await.unwrap();
        assert!(!list(&amina).await.contains(&subject), "{subject} is in the list after it was deleted");
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 0, "nobody read beside it");
    }
    other.close().await;
}

/// The details of every MESSAGE_LIST row of a member.
async fn shown_to(clinic: &Clinic, member: &SignedIn) -> Vec<String> {
    let of_member =
        AuditFilter { person: Some(member.actor.person), action: Some(Action::MessageList), ..AuditFilter::default() };
    let head = clinic.store.audit_head().await.unwrap().id;
    let rows = clinic.store.audit_rows(&of_member, AuditId::ZERO, head, 100).await.unwrap();
    rows.into_iter().map(|row| row.details).collect()
}

#[tokio::test]
async fn subjects_in_a_list_are_written_down_once_a_minute_for_each_session() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    list(&tomas).await;
    assert!(shown_to(&clinic, &tomas).await.is_empty(), "an empty list shows no subject");
    for subject in ["One", "Two", "Three"] {
        send(&clinic.store, &amina, subject).await;
    }
    clinic.store.delete_message(amina.actor, MessageId::new(2).unwrap(), Timestamp::now()).await.unwrap();
    for _ in 0..3 {
        list(&tomas).await;
        tomas.http.get("/messages?before=2").await.expect_status(200);
    }
    let first = r#"{"messages":"1, 3"}"#;
    assert_eq!(shown_to(&clinic, &tomas).await, [first], "without the deleted one; the second page shows nothing new");
    send(&clinic.store, &amina, "Four").await;
    list(&tomas).await;
    assert_eq!(shown_to(&clinic, &tomas).await, [first, r#"{"messages":"1, 3-4"}"#]);

    let elsewhere = clinic.sign_in("tomas").await;
    list(&elsewhere).await;
    assert_eq!(shown_to(&clinic, &tomas).await.len(), 3, "another session has a row of its own");
}

#[tokio::test]
async fn subjects_that_arrive_in_an_open_list_are_written_down_before_once_a_minute() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    for subject in ["One", "Two"] {
        send(&clinic.store, &amina, subject).await;
    }
    let sent = clinic.store.audit_head().await.unwrap().id;
    clinic.store.delete_message(amina.actor, MessageId::new(2).unwrap(), Timestamp::now()).await.unwrap();
    let mut deletions = tomas.http.open_stream(&format!("/messages/updates?after={sent}")).await;
    deletions.read_until("event:deleted", SOON).await;
    assert!(shown_to(&clinic, &tomas).await.is_empty(), "a deletion shows no subject");
    drop(deletions);

    let mut stream = tomas.http.open_stream("/messages/updates?after=0").await;
    stream.read_until("One", SOON).await;
    assert_eq!(shown_to(&clinic, &tomas).await, [r#"{"live_seconds":60,"messages":"1"}"#]);
    send(&clinic.store, &amina, "Three").await;
    stream.read_until("Three", SOON).await;
    assert_eq!(shown_to(&clinic, &tomas).await.len(), 1, "the row covers what arrives in the next minute");
    clinic.clock.advance(Duration::from_secs(60));
    send(&clinic.store, &amina, "Four").await;
    stream.read_until("Four", SOON).await;
    assert_eq!(shown_to(&clinic, &tomas).await[1..], [r#"{"live_seconds":60,"messages":"4"}"#]);
}

#[tokio::test]
async fn the_audit_page_leaves_lists_out_unless_they_are_asked_for() {
    let clinic = Clinic::open().await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    send(&clinic.store, &amina, "One").await;
    list(&tomas).await;
    for (query, is_shown) in [("", false), ("?person=2", false), ("?lists=shown", true), ("?action=MESSAGE_LIST", true)]
    {
        let page = tomas.http.get(&format!("/audit{query}")).await.expect_status(200);
        assert_eq!(page.text().contains("<code>MESSAGE_LIST</code>"), is_shown, "{query}");
        let is_ticked = page.text().contains("name=\"lists\" value=\"shown\" checked");
        assert_eq!(is_ticked, query == "?lists=shown", "{query}");
    }
    let export = tomas.http.get("/audit/export.jsonl").await.expect_status(200);
    assert!(export.text().contains("MESSAGE_LIST"), "an export leaves nothing out");
}
