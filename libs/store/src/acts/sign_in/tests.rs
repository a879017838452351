use super::*;
use crate::testing::*;
use crate::{RefusedSignIn, SessionState};

#[tokio::test]
async fn a_first_sign_in_makes_the_person_and_a_second_updates_them() {
    let test = TestStore::new().await;
    let (_, first) = sign_in(&test.store, "ada", at(0)).await;
    let renamed = Identity { email: "ada.l@clinic.example".into(), name: "Ada L".into(), ..identity("ada") };
    let SignIn::SignedIn { session, .. } = test.store.sign_in(renamed, None, client(), at(10)).await.unwrap() else {
        panic!("not signed in");
    };
    assert_eq!(session.person, first.person);
    assert_ne!(session.csrf_token, first.csrf_token);
    let people = test.store.people().await.unwrap();
    assert_eq!(people.len(), 1);
    assert_eq!((people[0].email.as_str(), people[0].name.as_str()), ("ada.l@clinic.example", "Ada L"));
    assert_eq!((people[0].created_at, people[0].last_sign_in_at), (at(0), Some(at(10))));
    let rows = log(&test.store).await;
    assert_eq!(details(&rows[1])["new_person"], true);
    assert_eq!(details(&rows[2])["new_person"], false);
    assert_eq!(details(&rows[2])["changed"], serde_json::json!(["email", "name"]));
    assert_eq!(details(&rows[2])["email"], "ada.l@clinic.example");
}

#[tokio::test]
async fn the_same_subject_from_another_issuer_is_another_person() {
    let test = TestStore::new().await;
    let (_, first) = sign_in(&test.store, "ada", at(0)).await;
    let elsewhere = Identity { issuer: "https://other.example".into(), ..identity("ada") };
    let SignIn::SignedIn { session, .. } = test.store.sign_in(elsewhere, None, client(), at(1)).await.unwrap() else {
        panic!("not signed in");
    };
    assert_ne!(session.person, first.person);
}

#[tokio::test]
async fn a_new_sign_in_ends_the_session_this_browser_had() {
    let test = TestStore::new().await;
    let (old, session) = sign_in(&test.store, "ada", at(0)).await;
    let again = SessionToken::parse(&old.reveal());
    test.store.sign_in(identity("ben"), again, client(), at(10)).await.unwrap();
    let state = test.store.session(&old, LIMITS, at(11)).await.unwrap();
    assert!(matches!(state, SessionState::Ended(EndReason::Replaced)), "{state:?}");
    let rows = log(&test.store).await;
    assert_eq!(actions(&test.store).await, ["LOGIN", "SESSION_ENDED", "LOGIN"]);
    assert_eq!(rows[2].person.as_ref().unwrap().id, session.person);
    assert_eq!(details(&rows[2])["reason"], "replaced");

    // A token that means nothing any more is no matter.
    let stale = SessionToken::parse(&old.reveal());
    test.store.sign_in(identity("ben"), stale, client(), at(12)).await.unwrap();
    assert_eq!(actions(&test.store).await.len(), 4);
}

#[tokio::test]
async fn refusals_and_failures_are_recorded_and_clipped() {
    let test = TestStore::new().await;
    let outsider = Identity { email: "x".repeat(5_000), ..identity("eve") };
    let denied = RefusedSignIn { verified_account: Some(outsider), reason: "domain", ip: IP };
    test.store.record_refused_sign_in(denied, at(1)).await.unwrap();
    let failed = RefusedSignIn { verified_account: None, reason: "nonce", ip: IP };
    test.store.record_refused_sign_in(failed, at(2)).await.unwrap();
    let rows = log(&test.store).await;
    assert_eq!(actions(&test.store).await, ["LOGIN_DENIED", "LOGIN_FAILED"]);
    assert_eq!(details(&rows[1])["reason"], "domain");
    assert_eq!(details(&rows[1])["email"].as_str().unwrap().len(), 320);
    assert_eq!(details(&rows[2]), serde_json::json!({ "reason": "nonce" }));
    assert!(rows[1].person.is_none(), "nobody we know");
    assert!(test.store.people().await.unwrap().is_empty());
}
