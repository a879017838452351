use super::*;
use crate::testing::*;
use crate::types::{Actor, EndReason, StoreError};
use crate::{Client, SessionState, SignIn};

async fn actor_of(store: &Store, name: &str, time: i64) -> Actor {
    let (_, session) = sign_in(store, name, at(time)).await;
    Actor { person: session.person, session: session.id, ip: IP }
}

#[tokio::test]
async fn a_member_sees_her_own_live_sessions_with_where_each_began() {
    let test = TestStore::new().await;
    let ward = actor_of(&test.store, "ada", 0).await;
    let phone = Client { ip: "2001:db8::7".parse().unwrap(), user_agent: "Phone/1".into() };
    // In the same millisecond as somebody else, and twice by herself.
    actor_of(&test.store, "ben", 100).await;
    let SignIn::SignedIn { session: on_phone, .. } =
        test.store.sign_in(identity("ada"), None, phone, at(100)).await.unwrap()
    else {
        panic!("not signed in");
    };
    let third = actor_of(&test.store, "ada", 100).await;
    test.store.touch_session(ward.session, at(300)).await.unwrap();

    let seen = test.store.own_sessions(ward.person, LIMITS, at(400)).await.unwrap();
    assert_eq!(seen.iter().map(|own| own.id).collect::<Vec<_>>(), [ward.session, third.session, on_phone.id]);
    assert_eq!((seen[0].started_at, seen[0].last_active_at), (at(0), at(300)));
    let began = |at: usize| (seen[at].ip.as_deref().unwrap(), seen[at].user_agent.as_deref().unwrap());
    assert_eq!(
        (began(0), began(1), began(2)),
        (("192.0.2.7", "test"), ("192.0.2.7", "test"), ("2001:db8::7", "Phone/1"))
    );

    // Past a limit it is no session of hers, though no sweep has been.
    let later = test.store.own_sessions(ward.person, LIMITS, at(1_200)).await.unwrap();
    assert_eq!(later.iter().map(|own| own.id).collect::<Vec<_>>(), [ward.session]);
}

#[tokio::test]
async fn ending_one_session_ends_that_one_at_once_with_its_row() {
    let test = TestStore::new().await;
    let (token, forgotten) = sign_in(&test.store, "ada", at(0)).await;
    let here = actor_of(&test.store, "ada", 10).await;
    assert_eq!(test.store.end_own_session(here, forgotten.id, at(20)).await.unwrap(), EndedOne::Ended);
    let state = test.store.session(&token, LIMITS, at(20)).await.unwrap();
    assert!(matches!(state, SessionState::Ended(EndReason::Elsewhere)), "{state:?}");
    let there = Actor { session: forgotten.id, ..here };
    assert!(matches!(test.store.touch_session(there.session, at(21)).await, Err(StoreError::SessionEnded)));
    assert!(matches!(test.store.end_other_sessions(there, at(21)).await, Err(StoreError::SessionEnded)));

    assert_eq!(test.store.end_own_session(here, forgotten.id, at(22)).await.unwrap(), EndedOne::Already);
    let rows = log(&test.store).await;
    assert_eq!(actions(&test.store).await, ["LOGIN", "LOGIN", "SESSION_ENDED"], "once");
    let row = rows.last().unwrap();
    let details: serde_json::Value = serde_json::from_str(&row.details).unwrap();
    assert_eq!(details, json!({ "session": forgotten.id, "reason": "elsewhere", "by_session": here.session }));
    assert_eq!((row.person.as_ref().unwrap().id, row.ip.as_deref()), (here.person, Some("192.0.2.7")));
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn nobody_ends_somebody_elses_session() {
    let test = TestStore::new().await;
    let (token, _) = sign_in(&test.store, "ada", at(0)).await;
    let ben = actor_of(&test.store, "ben", 10).await;
    let ada = SessionId::new(1).unwrap();
    assert_eq!(test.store.end_own_session(ben, ada, at(20)).await.unwrap(), EndedOne::Unknown);
    assert_eq!(test.store.end_own_session(ben, SessionId::new(99).unwrap(), at(20)).await.unwrap(), EndedOne::Unknown);
    assert_eq!(test.store.end_other_sessions(ben, at(20)).await.unwrap(), 0);
    assert!(matches!(test.store.session(&token, LIMITS, at(20)).await.unwrap(), SessionState::Live(_)));
    assert_eq!(actions(&test.store).await, ["LOGIN", "LOGIN"]);
}

#[tokio::test]
async fn ending_all_others_leaves_the_one_that_asks() {
    let test = TestStore::new().await;
    let (first, _) = sign_in(&test.store, "ada", at(0)).await;
    let (second, _) = sign_in(&test.store, "ada", at(1)).await;
    let (here, session) = sign_in(&test.store, "ada", at(2)).await;
    let actor = Actor { person: session.person, session: session.id, ip: IP };
    assert_eq!(test.store.end_other_sessions(actor, at(10)).await.unwrap(), 2);
    for token in [first, second] {
        let state = test.store.session(&token, LIMITS, at(11)).await.unwrap();
        assert!(matches!(state, SessionState::Ended(EndReason::Elsewhere)), "{state:?}");
    }
    assert!(matches!(test.store.session(&here, LIMITS, at(11)).await.unwrap(), SessionState::Live(_)));
    assert_eq!(test.store.own_sessions(actor.person, LIMITS, at(11)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_way_a_session_ends_is_heard_of() {
    let test = TestStore::new().await;
    let store = &test.store;
    let before = store.audit_head().await.unwrap().id;
    let signs_out = actor_of(store, "ada", 0).await;
    let (replaced, replaced_session) = sign_in(store, "ada", at(0)).await;
    let ended = actor_of(store, "ada", 0).await;
    let idle = actor_of(store, "ben", 0).await;
    let disabled = actor_of(store, "cai", 900).await;
    let middle = store.audit_head().await.unwrap().id;
    assert!(store.sessions_ended_between(before, middle).await.unwrap().is_empty());
    store.sign_in(identity("ada"), Some(replaced), client(), at(900)).await.unwrap();
    store.end_own_session(signs_out, ended.session, at(900)).await.unwrap();
    store.sign_out(signs_out, at(900)).await.unwrap();
    store.expire_sessions_by(LIMITS, || at(1_000)).await.unwrap();
    store.set_staff_enabled("cai@clinic.example", false, "root", at(1_001)).await.unwrap();
    let head = store.audit_head().await.unwrap().id;
    let heard = store.sessions_ended_between(middle, head).await.unwrap();
    assert_eq!(heard, [replaced_session.id, ended.session, signs_out.session, idle.session, disabled.session]);
    assert!(store.sessions_ended_between(head, head).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_sign_ins_of_sessions_are_found_by_their_time() {
    let test = TestStore::new().await;
    let plan = plan_of(&test.raw(), OWN_SESSIONS);
    assert!(plan.contains("SEARCH b USING INDEX audit_log_at (at=?)"), "{plan}");
}

#[tokio::test]
async fn old_rows_go_and_neither_live_ones_nor_the_newest_number() {
    let test = TestStore::new().await;
    let first = actor_of(&test.store, "ada", 0).await;
    let live = actor_of(&test.store, "ada", 0).await;
    let recent = actor_of(&test.store, "ada", 0).await;
    let newest = actor_of(&test.store, "ada", 0).await;
    let late = at(i64::try_from(ENDED_SESSION_KEPT.as_millis()).unwrap() + 10);
    test.store.sign_out(first, at(9)).await.unwrap();
    test.store.sign_out(newest, at(9)).await.unwrap();
    test.store.sign_out(recent, at(10)).await.unwrap();
    let log_before = log(&test.store).await.len();
    assert_eq!(test.store.remove_old_sessions(late).await.unwrap(), 1);
    assert_eq!(test.store.remove_old_sessions(late).await.unwrap(), 0);
    let raw = test.raw();
    let mut select = raw.prepare("SELECT id FROM session ORDER BY id").unwrap();
    let left: Vec<SessionId> = select.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(left, [live.session, recent.session, newest.session]);
    assert_eq!(log(&test.store).await.len(), log_before, "start and end of each stay in the log");
    let (_, next) = sign_in(&test.store, "ada", late).await;
    assert!(next.id > newest.session, "no number is given twice");
}

#[test]
fn a_session_ends_by_the_actions_that_say_so() {
    assert_eq!(actions_in(ENDED), actions_that(Action::ends_session));
}
