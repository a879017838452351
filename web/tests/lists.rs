//! The list is rendered once for all readers, and is right at every request all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::{Body, IdempotencyKey, IfMissing, MessageId, NewMessage, Sent, SignIn, Store, Subject, Timestamp};
use support::{Clinic, SignedIn, client, identity, key};

async fn list(member: &SignedIn) -> String {
    let reply = member.http.get("/messages").await;
    assert_eq!(reply.status, 200);
    reply.text().to_owned()
}

/// The store as another process has it: nothing of what it does is announced in this one.
async fn another_process(clinic: &Clinic) -> Store {
    Store::open(&clinic.folder.path().join("wardpost.db"), &key(), IfMissing::Refuse).await.unwrap()
}

async fn send(store: &Store, author: &SignedIn, subject: &str) -> MessageId {
    let message = NewMessage {
        subject: Subject::parse(subject).unwrap(),
        body: Body::parse("Text").unwrap(),
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
    assert_eq!(updates_after(&page), before + 3, "three rows of MESSAGE_VIEW");
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
