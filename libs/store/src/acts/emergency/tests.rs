use super::*;
use crate::testing::*;
use crate::types::{EmergencyGrantId, EndReason, SessionToken};
use crate::{Actor, Session, SessionLimits, SessionState};

const HOUR: SessionLimits =
    SessionLimits { idle: Duration::from_secs(24 * 60), absolute: Duration::from_secs(12 * 3600) };
const MINUTE: i64 = 60_000;

fn request(name: &str, minutes: u8) -> EmergencyRequest {
    EmergencyRequest {
        email: format!("{name}@clinic.example"),
        reason: "the provider is down".into(),
        minutes,
        operator: "root".into(),
    }
}

async fn granted(store: &Store, name: &str, minutes: u8, time: Timestamp) -> (EmergencyGrantId, EmergencyCode) {
    match store.grant_emergency_access(request(name, minutes), time).await.unwrap() {
        Granted::Code { id, code, .. } => (id, code),
        other => panic!("{other:?}"),
    }
}

fn again(code: &EmergencyCode) -> EmergencyCode {
    EmergencyCode::parse(&code.reveal()).unwrap()
}

async fn used(store: &Store, code: &EmergencyCode, time: Timestamp) -> Result<(SessionToken, Session), &'static str> {
    match store.use_emergency_code(again(code), None, client(), time).await.unwrap() {
        EmergencyUse::SignedIn { token, session } => Ok((token, session)),
        EmergencyUse::Refused(reason) => Err(reason),
    }
}

async fn ended(store: &Store, token: &SessionToken, time: Timestamp) -> Option<EndReason> {
    match store.session(token, HOUR, time).await.unwrap() {
        SessionState::Live(_) => None,
        SessionState::Ended(reason) => Some(reason),
        SessionState::Unknown => panic!("the session is unknown"),
    }
}

/// Why the newest grant that is over ended.
async fn last_end(store: &Store) -> Value {
    let rows = log(store).await;
    let last = rows.iter().rev().find(|row| row.action == "EMERGENCY_ACCESS_ENDED").unwrap();
    details(last)["reason"].clone()
}

/// A clinic in which ada has signed in once.
async fn clinic() -> TestStore {
    let test = TestStore::new().await;
    sign_in(&test.store, "ada", at(0)).await;
    test
}

#[tokio::test]
async fn a_code_opens_one_session_and_grant_use_and_end_stand_in_the_log() {
    let test = clinic().await;
    let (id, code) = granted(&test.store, "ADA", 30, at(0)).await;
    let (token, session) = used(&test.store, &code, at(MINUTE)).await.unwrap();
    assert_eq!(session.emergency_until, Some(at(31 * MINUTE)));
    assert_eq!(ended(&test.store, &token, at(2 * MINUTE)).await, None);
    let actor = Actor { person: session.person, session: session.id, ip: IP };
    send(&test.store, actor, "in an emergency", "text").await;
    test.store.sign_out(actor, at(3 * MINUTE)).await.unwrap();
    let expected = [
        "LOGIN",
        "EMERGENCY_ACCESS_GRANTED",
        "SECURITY_ALERT",
        "EMERGENCY_ACCESS_USED",
        "SECURITY_ALERT",
        "MESSAGE_CREATE",
        "EMERGENCY_ACCESS_ENDED",
        "LOGOUT",
    ];
    assert_eq!(actions(&test.store).await, expected);
    let rows = log(&test.store).await;
    let grant = details(&rows[2]);
    assert_eq!(
        (&grant["reason"], &grant["operator"], &grant["minutes"]),
        (&json!("the provider is down"), &json!("root"), &json!(30))
    );
    assert_eq!(details(&rows[3])["alarm"], "emergency_access_granted");
    assert_eq!(rows[4].person.as_ref().unwrap().name, "ada");
    assert_eq!(
        details(&rows[7]),
        json!({ "grant": id, "person": session.person, "session": session.id, "reason": "signed_out" })
    );
    let text = code.reveal();
    assert!(rows.iter().all(|row| !row.details.contains(text.as_str())), "the code is in the log");
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn of_many_uses_at_once_in_two_programs_one_wins() {
    let test = clinic().await;
    let another = test.another().await;
    let (_, code) = granted(&test.store, "ada", 30, at(0)).await;
    let tries = (0..8).map(|number| {
        let (store, code) = (if number % 2 == 0 { test.store.clone() } else { another.clone() }, again(&code));
        tokio::spawn(async move { used(&store, &code, at(MINUTE)).await.map(|_| ()) })
    });
    let mut won = 0;
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Ok(()) => won += 1,
            Err(reason) => assert_eq!(reason, "used"),
        }
    }
    assert_eq!(won, 1);
    let actions = actions(&test.store).await;
    assert_eq!(actions.iter().filter(|action| *action == "EMERGENCY_ACCESS_REFUSED").count(), 7);
    another.close().await;
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes_to_the_millisecond() {
    let test = clinic().await;
    let (_, code) = granted(&test.store, "ada", 30, at(0)).await;
    assert_eq!(used(&test.store, &code, at(10 * MINUTE)).await.unwrap_err(), "too_old");
    used(&test.store, &code, at(10 * MINUTE - 1)).await.unwrap();
    assert_eq!(used(&test.store, &EmergencyCode::random(&crate::SystemRandom), at(0)).await.unwrap_err(), "unknown");
}

#[tokio::test]
async fn the_session_ends_when_the_grant_says_or_when_nothing_happens() {
    let test = clinic().await;
    let (_, code) = granted(&test.store, "ada", 30, at(0)).await;
    let (token, session) = used(&test.store, &code, at(0)).await.unwrap();
    assert_eq!(ended(&test.store, &token, at(24 * MINUTE)).await, Some(EndReason::Idle), "idle as for anybody");
    assert_eq!(
        test.store.expire_sessions_by(HOUR, || at(24 * MINUTE)).await.unwrap(),
        2,
        "and the one from the sign-in"
    );
    assert_eq!(last_end(&test.store).await, "idle");

    let (_, code) = granted(&test.store, "ada", 30, at(0)).await;
    let (token, busy) = used(&test.store, &code, at(0)).await.unwrap();
    assert_ne!(session.id, busy.id);
    test.store.touch_session(busy.id, at(20 * MINUTE)).await.unwrap();
    assert_eq!(ended(&test.store, &token, at(30 * MINUTE - 1)).await, None);
    let fresh = test.another().await;
    assert_eq!(ended(&fresh, &token, at(30 * MINUTE)).await, Some(EndReason::EmergencyOver));
    assert_eq!(fresh.expire_sessions_by(HOUR, || at(30 * MINUTE)).await.unwrap(), 1);
    assert_eq!(last_end(&test.store).await, "emergency_over");
    fresh.close().await;
}

#[tokio::test]
async fn who_is_switched_off_or_unknown_gets_nothing_and_no_code_comes_back_to_life() {
    let test = clinic().await;
    assert!(matches!(test.store.grant_emergency_access(request("ben", 5), at(0)).await.unwrap(), Granted::Unknown));
    let (_, code) = granted(&test.store, "ada", 30, at(0)).await;
    test.store.set_staff_enabled("ada@clinic.example", false, "root", at(1)).await.unwrap();
    assert!(matches!(test.store.grant_emergency_access(request("ada", 5), at(2)).await.unwrap(), Granted::Disabled));
    assert_eq!(used(&test.store, &code, at(2)).await.unwrap_err(), "disabled");
    test.store.set_staff_enabled("ada@clinic.example", true, "root", at(3)).await.unwrap();
    assert_eq!(used(&test.store, &code, at(4)).await.unwrap_err(), "revoked");

    let (_, code) = granted(&test.store, "ada", 30, at(5)).await;
    let (token, _) = used(&test.store, &code, at(6)).await.unwrap();
    test.store.set_staff_enabled("ada@clinic.example", false, "root", at(7)).await.unwrap();
    assert_eq!(ended(&test.store, &token, at(8)).await, Some(EndReason::Disabled));
    assert!(actions(&test.store).await.ends_with(&["EMERGENCY_ACCESS_ENDED".into(), "SESSION_ENDED".into()]));
}

#[tokio::test]
async fn revoking_ends_code_and_session_and_the_list_tells_all_of_it() {
    let test = clinic().await;
    let (open, code) = granted(&test.store, "ada", 30, at(0)).await;
    assert_eq!(test.store.revoke_emergency_access(open, "root", at(1)).await.unwrap(), Some(true));
    assert_eq!(test.store.revoke_emergency_access(open, "root", at(2)).await.unwrap(), Some(false));
    assert_eq!(used(&test.store, &code, at(2)).await.unwrap_err(), "revoked");
    let nobody = EmergencyGrantId::new(99).unwrap();
    assert_eq!(test.store.revoke_emergency_access(nobody, "root", at(2)).await.unwrap(), None);

    let (on, code) = granted(&test.store, "ada", 30, at(3)).await;
    let (token, _) = used(&test.store, &code, at(4)).await.unwrap();
    let (unused, _) = granted(&test.store, "ada", 7, at(5)).await;
    let states = |grants: &[EmergencyGrant], time| -> Vec<_> {
        grants.iter().map(|grant| (grant.id, grant.state(at(time)))).collect()
    };
    let list = test.store.emergency_grants().await.unwrap();
    assert_eq!(states(&list, 6), [(unused, GrantState::Open), (on, GrantState::InUse), (open, GrantState::Ended)]);
    assert_eq!(states(&list, 30 * MINUTE + 4), [unused, on, open].map(|id| (id, GrantState::Ended)));
    assert_eq!((list[0].minutes, list[0].person.name.as_str(), list[0].operator.as_str()), (7, "ada", "root"));

    assert_eq!(test.store.revoke_emergency_access(on, "root", at(6)).await.unwrap(), Some(true));
    assert_eq!(ended(&test.store, &token, at(7)).await, Some(EndReason::EmergencyRevoked));
    assert_eq!(test.store.expire_emergency_grants(at(10 * MINUTE)).await.unwrap(), 0);
    assert_eq!(test.store.expire_emergency_grants(at(10 * MINUTE + 5)).await.unwrap(), 1);
    assert_eq!(test.store.expire_emergency_grants(at(11 * MINUTE)).await.unwrap(), 0);
    let list = test.store.emergency_grants().await.unwrap();
    let reasons: Vec<_> = list.iter().map(|grant| grant.end_reason.as_deref().unwrap()).collect();
    assert_eq!(reasons, ["unused", "emergency_revoked", "revoked"]);
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn the_file_holds_no_code_and_a_used_one_cannot_be_given_back() {
    let test = clinic().await;
    let (_, code) = granted(&test.store, "ada", 30, at(0)).await;
    used(&test.store, &code, at(1)).await.unwrap();
    let raw = test.raw();
    let stored: Vec<u8> = raw.query_row("SELECT code_hash FROM emergency_grant", (), |row| row.get(0)).unwrap();
    assert_eq!(stored.len(), 32);
    let back = "UPDATE emergency_grant SET used_at = NULL, session_id = NULL, session_until = NULL";
    assert!(raw.execute(back, ()).is_err());
    assert!(raw.execute("DELETE FROM emergency_grant", ()).is_err());
}
