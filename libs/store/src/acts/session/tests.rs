use super::*;
use crate::sqlite::readers::READERS;
use crate::testing::*;
use crate::types::{Actor, SessionState, SessionToken, StoreError};
use crate::{IfMissing, Location};

async fn state(store: &Store, token: &SessionToken, time: i64) -> Result<Session, Option<EndReason>> {
    match store.session(token, LIMITS, at(time)).await.unwrap() {
        SessionState::Live(session) => Ok(session),
        SessionState::Ended(reason) => Err(Some(reason)),
        SessionState::Unknown => Err(None),
    }
}

#[tokio::test]
async fn a_session_is_what_its_token_says() {
    let test = TestStore::new().await;
    let (token, session) = sign_in(&test.store, "ada", at(0)).await;
    let found = state(&test.store, &token, 5).await.unwrap();
    assert_eq!((found.id, found.person, found.csrf_token), (session.id, session.person, session.csrf_token));
    assert_eq!((found.person_name.as_str(), found.person_email.as_str()), ("ada", "ada@clinic.example"));
    assert_eq!(state(&test.store, &SessionToken::random(&crate::SystemRandom), 5).await.unwrap_err(), None);
}

#[tokio::test]
async fn a_session_is_found_with_the_newest_audit_row_whichever_program_wrote_it() {
    let test = TestStore::new().await;
    let other = test.another().await;
    let (token, _) = sign_in(&test.store, "ada", at(0)).await;
    for name in ["ben", "cleo"] {
        sign_in(&other, name, at(1)).await;
        let found = state(&test.store, &token, 2).await.unwrap();
        assert_eq!(found.as_of, test.store.audit_head().await.unwrap().id);
    }
    other.close().await;
}

#[tokio::test]
async fn the_idle_limit_ends_a_session_on_its_very_millisecond() {
    let test = TestStore::new().await;
    let (token, session) = sign_in(&test.store, "ada", at(0)).await;
    assert!(state(&test.store, &token, 999).await.is_ok());
    test.store.touch_session(session.id, at(500)).await.unwrap();
    assert!(state(&test.store, &token, 1_499).await.is_ok());
    assert_eq!(state(&test.store, &token, 1_500).await.unwrap_err(), Some(EndReason::Idle));
}

#[tokio::test]
async fn the_absolute_limit_ends_a_busy_session_on_its_very_millisecond() {
    let test = TestStore::new().await;
    let (token, session) = sign_in(&test.store, "ada", at(0)).await;
    test.store.touch_session(session.id, at(4_900)).await.unwrap();
    assert!(state(&test.store, &token, 4_999).await.is_ok());
    assert_eq!(state(&test.store, &token, 5_000).await.unwrap_err(), Some(EndReason::Absolute));
}

#[tokio::test]
async fn a_clock_set_back_brings_no_session_to_life() {
    let test = TestStore::new().await;
    let (token, session) = sign_in(&test.store, "ada", at(0)).await;
    assert!(state(&test.store, &token, 1_000).await.is_err());
    assert_eq!(state(&test.store, &token, 10).await.unwrap_err(), Some(EndReason::Idle), "reported once, for good");
    // The sweep runs under the clock that was set back, and writes down what was reported.
    assert_eq!(test.store.expire_sessions_by(LIMITS, || at(20)).await.unwrap(), 1);
    assert_eq!(state(&test.another().await, &token, 10).await.unwrap_err(), Some(EndReason::Idle));
    assert!(matches!(test.store.touch_session(session.id, at(30)).await, Err(StoreError::SessionEnded)));

    // Far behind the session's own last activity nobody can say how long it was idle.
    let (token, _) = sign_in(&test.store, "ben", at(100_000)).await;
    assert!(state(&test.store, &token, 40_000).await.is_ok(), "a small correction is no matter");
    assert_eq!(state(&test.store, &token, 39_999).await.unwrap_err(), Some(EndReason::Idle));
}

/// However long the sweep waits for its turn: to a time from before, the clock would seem to have been set back.
#[tokio::test]
async fn a_session_that_begins_while_the_sweep_waits_goes_on() {
    let (directory, sources) = (tempfile::tempdir().unwrap(), TestSources::default());
    let location = Location::file(directory.path().join("test.db"), &key());
    let store = Store::open_with(&location, IfMissing::Create, sources.environment()).await.unwrap();
    let (started, mut have_started) = tokio::sync::mpsc::unbounded_channel();
    let mut long_reads = Vec::new();
    for _ in 1..READERS {
        let (store, started, (release, released)) = (store.clone(), started.clone(), std::sync::mpsc::channel::<()>());
        let read = async move {
            store
                .read(move |_| {
                    started.send(()).unwrap();
                    Ok(released.recv().is_err())
                })
                .await
        };
        long_reads.push((release, tokio::spawn(read)));
        have_started.recv().await.unwrap();
    }
    let sweep = tokio::spawn({
        let store = store.clone();
        async move { store.expire_sessions(LIMITS).await }
    });
    tokio::task::yield_now().await;
    assert!(!sweep.is_finished());

    sources.set(100_000);
    let (token, _) = sign_in(&store, "ada", at(100_000)).await;
    for (release, read) in long_reads {
        drop(release);
        assert!(read.await.unwrap().unwrap());
    }
    assert_eq!(sweep.await.unwrap().unwrap(), 0);
    assert!(state(&store, &token, 100_000).await.is_ok());
    store.close().await;
}

#[tokio::test]
async fn the_last_activity_never_moves_backwards() {
    let test = TestStore::new().await;
    let (token, session) = sign_in(&test.store, "ada", at(0)).await;
    test.store.touch_session(session.id, at(700)).await.unwrap();
    test.store.touch_session(session.id, at(300)).await.unwrap();
    assert_eq!(state(&test.store, &token, 800).await.unwrap().last_active_at, at(700));
}

#[tokio::test]
async fn the_sweep_ends_what_is_due_with_a_row_each_and_only_once() {
    let test = TestStore::new().await;
    let (idle, _) = sign_in(&test.store, "ada", at(0)).await;
    let (busy, busy_session) = sign_in(&test.store, "ben", at(0)).await;
    test.store.touch_session(busy_session.id, at(900)).await.unwrap();
    assert_eq!(test.store.expire_sessions_by(LIMITS, || at(999)).await.unwrap(), 0);
    assert_eq!(test.store.expire_sessions_by(LIMITS, || at(1_000)).await.unwrap(), 1);
    assert_eq!(test.store.expire_sessions_by(LIMITS, || at(1_000)).await.unwrap(), 0);
    assert_eq!(state(&test.store, &idle, 1_000).await.unwrap_err(), Some(EndReason::Idle));
    assert!(state(&test.store, &busy, 1_000).await.is_ok());
    let rows = log(&test.store).await;
    let row = rows.last().unwrap();
    let details: serde_json::Value = serde_json::from_str(&row.details).unwrap();
    assert_eq!(row.action, "SESSION_EXPIRED");
    assert_eq!(details["reason"], "idle");
    assert_eq!(details["last_active"], at(0).to_rfc3339());
    assert_eq!(row.person.as_ref().unwrap().name, "ada");
}

#[tokio::test]
async fn signing_out_ends_the_session_and_is_recorded() {
    let test = TestStore::new().await;
    let (token, session) = sign_in(&test.store, "ada", at(0)).await;
    let actor = Actor { person: session.person, session: session.id, ip: IP };
    test.store.sign_out(actor, at(10)).await.unwrap();
    assert_eq!(state(&test.store, &token, 11).await.unwrap_err(), Some(EndReason::SignedOut));
    assert_eq!(actions(&test.store).await, ["LOGIN", "LOGOUT"]);
}

#[tokio::test]
async fn the_file_holds_no_token() {
    let test = TestStore::new().await;
    let (token, _) = sign_in(&test.store, "ada", at(0)).await;
    let stored: Vec<u8> = test.raw().query_row("SELECT token_hash FROM session", (), |row| row.get(0)).unwrap();
    assert_ne!(hex::encode(stored), token.reveal());
}
