use super::*;
use crate::testing::*;
use crate::{Body, NewMessage, Sent, Subject};

fn draft(body: &str, time: i64) -> Draft {
    Draft {
        conversation: None,
        key: IdempotencyKey([1; 16]),
        subject: String::new(),
        body: body.into(),
        addressed: Addressed::default(),
        saved_at: at(time),
    }
}

#[tokio::test]
async fn a_draft_is_kept_changed_and_thrown_away_with_a_row_each() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    test.store.save_draft(ada, draft("hal", 1), Seen::Unknown).await.unwrap();
    test.store.save_draft(ada, draft("half", 2), Seen::Unknown).await.unwrap();
    test.store.save_draft(ada, draft("half", 3), Seen::Unknown).await.unwrap();
    assert_eq!(test.store.draft(ada.person, None).await.unwrap(), Some(draft("half", 2)));
    assert_eq!(test.store.draft(ben.person, None).await.unwrap(), None);
    test.store.discard_draft(ada, None, IdempotencyKey([1; 16]), Seen::Unknown, at(4)).await.unwrap();
    test.store.discard_draft(ada, None, IdempotencyKey([1; 16]), Seen::Unknown, at(5)).await.unwrap();
    assert_eq!(test.store.draft(ada.person, None).await.unwrap(), None);
    assert_eq!(actions(&test.store).await[2..], ["DRAFT_SAVED", "DRAFT_SAVED", "DRAFT_DISCARDED"]);
}

#[tokio::test]
async fn sending_takes_the_draft_along_and_a_late_save_does_not_bring_it_back() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    test.store.save_draft(ada, draft("half", 1), Seen::Unknown).await.unwrap();
    let message = NewMessage {
        subject: Subject::parse("s").unwrap(),
        body: Body::parse("whole").unwrap(),
        addressed: Addressed::default(),
        key: IdempotencyKey([1; 16]),
    };
    assert!(matches!(test.store.send_message(ada, message, at(2)).await.unwrap(), Sent::Created(_)));
    assert_eq!(test.store.draft(ada.person, None).await.unwrap(), None);
    test.store.save_draft(ada, draft("whole", 3), Seen::Unknown).await.unwrap();
    assert_eq!(test.store.draft(ada.person, None).await.unwrap(), None);

    // A draft of something else stays where it is when a message is sent.
    let other = Draft { key: IdempotencyKey([2; 16]), ..draft("other", 4) };
    test.store.save_draft(ada, other.clone(), Seen::Unknown).await.unwrap();
    send(&test.store, ada, "s", "b").await;
    assert_eq!(test.store.draft(ada.person, None).await.unwrap(), Some(other));
}

#[tokio::test]
async fn what_is_too_long_is_cut_off() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let long = Draft { subject: "é".repeat(1_500), ..draft(&"é".repeat(50_000), 1) };
    test.store.save_draft(ada, long, Seen::Unknown).await.unwrap();
    let kept = test.store.draft(ada.person, None).await.unwrap().unwrap();
    assert_eq!((kept.subject.chars().count(), kept.body.chars().count()), (1_000, 40_000));
}

#[tokio::test]
async fn a_session_that_ran_out_can_still_hand_in_what_was_typed() {
    let test = TestStore::new().await;
    let (token, session) = sign_in(&test.store, "ada", at(0)).await;
    let late = |time| {
        test.store.save_draft_of_ended_session(&token, IP, LIMITS, draft(&format!("at {time}"), time), Seen::Unknown)
    };
    assert!(!late(999).await.unwrap(), "still live: the ordinary way is open");
    assert!(late(1_000).await.unwrap());
    assert!(
        !test
            .store
            .save_draft_of_ended_session(
                &SessionToken::random(&crate::SystemRandom),
                IP,
                LIMITS,
                draft("x", 1_000),
                Seen::Unknown
            )
            .await
            .unwrap()
    );
    // Swept or not is no matter.
    test.store.expire_sessions_by(LIMITS, || at(1_500)).await.unwrap();
    assert!(late(1_600).await.unwrap());
    let twelve_hours = 12 * 60 * 60 * 1_000;
    assert!(late(1_500 + twelve_hours).await.unwrap());
    assert!(!late(1_501 + twelve_hours).await.unwrap());
    assert_eq!(
        test.store.draft(session.person, None).await.unwrap().unwrap().body,
        format!("at {}", 1_500 + twelve_hours)
    );
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
    assert!(!test.store.save_draft_of_ended_session(&token, IP, LIMITS, draft("x", 20), Seen::Unknown).await.unwrap());

    let (token, _) = sign_in(&test.store, "ben", at(0)).await;
    test.store.expire_sessions_by(LIMITS, || at(1_000)).await.unwrap();
    test.store.set_staff_enabled("ben@clinic.example", false, "root", at(1_001)).await.unwrap();
    assert!(
        !test.store.save_draft_of_ended_session(&token, IP, LIMITS, draft("x", 1_002), Seen::Unknown).await.unwrap()
    );
}

#[tokio::test]
async fn an_old_page_does_not_overwrite_a_newer_draft() {
    let test = TestStore::new().await;
    let (old, _) = sign_in(&test.store, "ada", at(0)).await;
    test.store.expire_sessions_by(LIMITS, || at(1_000)).await.unwrap();
    let (_, session) = sign_in(&test.store, "ada", at(2_000)).await;
    let actor = Actor { person: session.person, session: session.id, ip: IP };
    let newer = Draft { key: IdempotencyKey([9; 16]), ..draft("newer", 2_100) };
    test.store.save_draft(actor, newer.clone(), Seen::Unknown).await.unwrap();
    assert!(
        !test.store.save_draft_of_ended_session(&old, IP, LIMITS, draft("older", 2_200), Seen::Unknown).await.unwrap()
    );
    assert_eq!(test.store.draft(session.person, None).await.unwrap(), Some(newer));
}

#[tokio::test]
async fn a_page_replaces_the_draft_that_it_has_seen_and_no_other() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let save = |text: &str, time, seen| test.store.save_draft(ada, draft(text, time), seen);
    let DraftSaved::Kept(first) = save("one", 1, Seen::Nothing).await.unwrap() else { panic!("there was none") };
    assert_eq!(first, draft("one", 99).version(), "the time is no part of it");
    let DraftSaved::Kept(second) = save("two", 2, Seen::Version(first)).await.unwrap() else { panic!("it was seen") };

    // Another page that saw the first one; and one that had none when it began, under a key of its own.
    let kept = DraftSaved::Other(draft("two", 2));
    assert_eq!(save("old", 3, Seen::Version(first)).await.unwrap(), kept);
    let own = Draft { key: IdempotencyKey([2; 16]), ..draft("mine", 4) };
    assert_eq!(test.store.save_draft(ada, own.clone(), Seen::Nothing).await.unwrap(), kept);
    let discarded = test.store.discard_draft(ada, None, own.key, Seen::Nothing, at(5)).await.unwrap();
    assert_eq!(discarded, Some(draft("two", 2)));
    let discarded = test.store.discard_draft(ada, None, draft("", 0).key, Seen::Version(first), at(5)).await.unwrap();
    assert_eq!(discarded, Some(draft("two", 2)));
    assert_eq!(actions(&test.store).await[1..], ["DRAFT_SAVED", "DRAFT_SAVED"], "what is refused leaves no row");

    // The same text is no other, from whichever page; nor is what the same form saved when its answer was lost.
    assert_eq!(save("two", 6, Seen::Version(first)).await.unwrap(), DraftSaved::Kept(second));
    assert!(matches!(save("three", 7, Seen::Nothing).await.unwrap(), DraftSaved::Kept(_)));
    assert_eq!(
        test.store.discard_draft(ada, None, own.key, Seen::Version(draft("three", 7).version()), at(8)).await.unwrap(),
        None
    );
    assert!(
        matches!(save("again", 9, Seen::Version(first)).await.unwrap(), DraftSaved::Kept(_)),
        "nothing is replaced"
    );
}

#[tokio::test]
async fn a_draft_that_was_sent_is_told_from_one_that_is_kept() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let sent = NewMessage {
        subject: Subject::parse("s").unwrap(),
        body: Body::parse("whole").unwrap(),
        addressed: Addressed::default(),
        key: IdempotencyKey([1; 16]),
    };
    test.store.send_message(ada, sent, at(1)).await.unwrap();
    assert_eq!(test.store.save_draft(ada, draft("more", 2), Seen::Nothing).await.unwrap(), DraftSaved::Sent);
}

#[tokio::test]
async fn two_tabs_of_a_session_that_ran_out_do_not_overwrite_each_other() {
    let test = TestStore::new().await;
    let (token, session) = sign_in(&test.store, "ada", at(0)).await;
    let actor = Actor { person: session.person, session: session.id, ip: IP };
    let DraftSaved::Kept(seen) = test.store.save_draft(actor, draft("both saw", 1), Seen::Nothing).await.unwrap()
    else {
        panic!("there was none");
    };
    let late = |text: &str| {
        test.store.save_draft_of_ended_session(&token, IP, LIMITS, draft(text, 1_001), Seen::Version(seen))
    };
    assert!(late("one tab").await.unwrap());
    assert!(!late("the other tab").await.unwrap());
    assert_eq!(test.store.draft(session.person, None).await.unwrap().unwrap().body, "one tab");
}

#[test]
fn a_version_survives_its_text_and_is_of_one_draft() {
    let one = Draft { subject: "ab".into(), ..draft("c", 1) };
    let other = Draft { subject: "a".into(), ..draft("bc", 1) };
    assert_ne!(one.version(), other.version());
    assert_ne!(one.version(), Draft { key: IdempotencyKey([2; 16]), ..one.clone() }.version());
    assert_eq!(DraftVersion::parse(&one.version().to_string()), Some(one.version()));
    for text in ["", &"0".repeat(31), &"g".repeat(32)] {
        assert_eq!(DraftVersion::parse(text), None);
    }
}
