#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::testing::*;
use crate::{Body, NewMessage, Sent, Subject};

fn draft(body: &str, time: i64) -> Draft {
    Draft { key: IdempotencyKey([1; 16]), subject: String::new(), body: body.into(), saved_at: at(time) }
}

#[tokio::test]
async fn a_draft_is_kept_changed_and_thrown_away_with_a_row_each() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    test.store.save_draft(ada, draft("hal", 1)).await.unwrap();
    test.store.save_draft(ada, draft("half", 2)).await.unwrap();
    test.store.save_draft(ada, draft("half", 3)).await.unwrap();
    assert_eq!(test.store.draft(ada.person).await.unwrap(), Some(draft("half", 2)));
    assert_eq!(test.store.draft(ben.person).await.unwrap(), None);
    test.store.discard_draft(ada, at(4)).await.unwrap();
    test.store.discard_draft(ada, at(5)).await.unwrap();
    assert_eq!(test.store.draft(ada.person).await.unwrap(), None);
    assert_eq!(actions(&test.store).await[2..], ["DRAFT_SAVED", "DRAFT_SAVED", "DRAFT_DISCARDED"]);
}

#[tokio::test]
async fn sending_takes_the_draft_along_and_a_late_save_does_not_bring_it_back() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    test.store.save_draft(ada, draft("half", 1)).await.unwrap();
    let message = NewMessage {
        subject: Subject::parse("s").unwrap(),
        body: Body::parse("whole").unwrap(),
        key: IdempotencyKey([1; 16]),
    };
    assert!(matches!(test.store.send_message(ada, message, at(2)).await.unwrap(), Sent::Created(_)));
    assert_eq!(test.store.draft(ada.person).await.unwrap(), None);
    test.store.save_draft(ada, draft("whole", 3)).await.unwrap();
    assert_eq!(test.store.draft(ada.person).await.unwrap(), None);

    // A draft of something else stays where it is when a message is sent.
    let other = Draft { key: IdempotencyKey([2; 16]), ..draft("other", 4) };
    test.store.save_draft(ada, other.clone()).await.unwrap();
    send(&test.store, ada, "s", "b").await;
    assert_eq!(test.store.draft(ada.person).await.unwrap(), Some(other));
}

#[tokio::test]
async fn what_is_too_long_is_cut_off() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let long = Draft { subject: "é".repeat(1_500), ..draft(&"é".repeat(50_000), 1) };
    test.store.save_draft(ada, long).await.unwrap();
    let kept = test.store.draft(ada.person).await.unwrap().unwrap();
    assert_eq!((kept.subject.chars().count(), kept.body.chars().count()), (1_000, 40_000));
}

#[tokio::test]
async fn a_session_that_ran_out_can_still_hand_in_what_was_typed() {
    let test = TestStore::new().await;
    let (token, session) = sign_in(&test.store, "ada", at(0)).await;
    let late = |time| test.store.save_draft_of_ended_session(&token, IP, LIMITS, draft(&format!("at {time}"), time));
    assert!(!late(999).await.unwrap(), "still live: the ordinary way is open");
    assert!(late(1_000).await.unwrap());
    assert!(
        !test.store.save_draft_of_ended_session(&SessionToken::random(), IP, LIMITS, draft("x", 1_000)).await.unwrap()
    );
    // Swept or not is no matter.
    test.store.expire_sessions(LIMITS, at(1_500)).await.unwrap();
    assert!(late(1_600).await.unwrap());
    let twelve_hours = 12 * 60 * 60 * 1_000;
    assert!(late(1_500 + twelve_hours).await.unwrap());
    assert!(!late(1_501 + twelve_hours).await.unwrap());
    assert_eq!(test.store.draft(session.person).await.unwrap().unwrap().body, format!("at {}", 1_500 + twelve_hours));
    let row = log(&test.store).await.pop().unwrap();
    assert_eq!((row.action.as_str(), row.person.unwrap().id), ("DRAFT_SAVED", session.person));
    assert!(row.details.contains("after_session_end"), "{}", row.details);
}

#[tokio::test]
async fn a_session_that_was_ended_otherwise_hands_in_nothing() {
    let test = TestStore::new().await;
    let (token, session) = sign_in(&test.store, "ada", at(0)).await;
    let actor = Actor { person: session.person, session: session.id, ip: IP };
    test.store.sign_out(actor, at(10)).await.unwrap();
    assert!(!test.store.save_draft_of_ended_session(&token, IP, LIMITS, draft("x", 20)).await.unwrap());

    let (token, _) = sign_in(&test.store, "ben", at(0)).await;
    test.store.expire_sessions(LIMITS, at(1_000)).await.unwrap();
    test.store.set_staff_enabled("ben@clinic.example", false, "root", at(1_001)).await.unwrap();
    assert!(!test.store.save_draft_of_ended_session(&token, IP, LIMITS, draft("x", 1_002)).await.unwrap());
}

#[tokio::test]
async fn an_old_page_does_not_overwrite_a_newer_draft() {
    let test = TestStore::new().await;
    let (old, _) = sign_in(&test.store, "ada", at(0)).await;
    test.store.expire_sessions(LIMITS, at(1_000)).await.unwrap();
    let (_, session) = sign_in(&test.store, "ada", at(2_000)).await;
    let actor = Actor { person: session.person, session: session.id, ip: IP };
    let newer = Draft { key: IdempotencyKey([9; 16]), ..draft("newer", 2_100) };
    test.store.save_draft(actor, newer.clone()).await.unwrap();
    assert!(!test.store.save_draft_of_ended_session(&old, IP, LIMITS, draft("older", 2_200)).await.unwrap());
    assert_eq!(test.store.draft(session.person).await.unwrap(), Some(newer));
}
