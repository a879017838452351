use std::time::Duration;

use super::*;
use crate::testing::*;
use crate::*;

#[tokio::test]
async fn a_restore_names_both_ends_the_archive_and_what_vouched_for_it() {
    let test = TestStore::new().await;
    let head = test.store.audit_head().await.unwrap();
    assert_eq!(test.store.restores().await.unwrap(), []);
    let given_up = GivenUp { stream: "old".into(), head };
    let restored = restoration(Some(given_up));
    test.store.record_restore(restored.clone(), at(0)).await.unwrap();
    let row = log(&test.store).await.remove(1);
    assert_eq!(row.action, "DATABASE_RESTORED");
    let details: serde_json::Value = serde_json::from_str(&row.details).unwrap();
    for end in ["restored_head", "given_up_head"] {
        assert_eq!(details[end]["row"], 1, "{end}");
        assert_eq!(details[end]["hash"], head.hash.to_string(), "{end}");
    }
    assert_eq!((&details["authenticated"], &details["known_from"]), (&true.into(), &"log".into()));
    assert_eq!(details["accepted"], serde_json::json!(["older"]));
    let end = RecordedHead { row: 1, hash: head.hash.to_string() };
    let known = RecordedBackup { head: Some(end), ..restored.archive };
    assert_eq!(test.store.recorded_backups().await.unwrap(), [known], "it is known from now on");
    let found = test.store.restores().await.unwrap().remove(0);
    assert_eq!((found.id.get(), found.at, found.previous_hash), (2, at(0), head.hash));
    assert_eq!(found.details.restored_head.as_ref().unwrap().position(), Some(head));
    assert_eq!(found.details.given_up_stream.as_deref(), Some("old"));
    assert_eq!(found.stream(test.store.database_id()), test.store.audit_stream().await.unwrap());
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_restore_on_a_new_machine_gives_up_nothing_that_is_known() {
    let test = TestStore::new().await;
    test.store.record_restore(restoration(None), at(0)).await.unwrap();
    let found = test.store.restores().await.unwrap().remove(0);
    assert_eq!((found.details.given_up_head, found.details.given_up_stream), (None, None));
}

#[tokio::test]
async fn no_session_and_no_emergency_code_survives_a_restore() {
    let test = TestStore::new().await;
    let (token, _) = sign_in(&test.store, "amina", at(0)).await;
    let (signed_out, session) = sign_in(&test.store, "bela", at(0)).await;
    let actor = Actor { person: session.person, session: session.id, ip: IP };
    test.store.sign_out(actor, at(1)).await.unwrap();
    let request = EmergencyRequest {
        email: "amina@clinic.example".into(),
        reason: "the provider is down".into(),
        minutes: 30,
        operator: "root".into(),
    };
    let Granted::Code { code, .. } = test.store.grant_emergency_access(request, at(1)).await.unwrap() else {
        panic!("no code")
    };

    let ended = test.store.record_restore(restoration(None), at(2)).await.unwrap();
    assert_eq!(ended, 1, "one was live");
    let limits = SessionLimits { idle: Duration::from_secs(900), absolute: Duration::from_secs(9_000) };
    let state = async |token| test.store.session(token, limits, at(2)).await.unwrap();
    assert!(matches!(state(&token).await, SessionState::Ended(EndReason::Restored)));
    assert!(matches!(state(&signed_out).await, SessionState::Ended(EndReason::SignedOut)), "ended before");
    let used = test.store.use_emergency_code(code, None, client(), at(3)).await.unwrap();
    assert!(matches!(used, EmergencyUse::Refused("revoked")), "{used:?}");
    let rows = log(&test.store).await;
    let restored = rows.iter().position(|row| row.action == "DATABASE_RESTORED").unwrap();
    let after: Vec<_> = rows[restored + 1..].iter().map(|row| row.action.as_str()).collect();
    assert_eq!(after, ["SESSION_EXPIRED", "EMERGENCY_ACCESS_ENDED", "EMERGENCY_ACCESS_REFUSED"]);
    assert!(rows[restored + 1].details.contains(r#""reason":"restored""#), "{}", rows[restored + 1].details);
    assert_sound(&test.store).await;
}

#[test]
fn rows_of_earlier_versions_and_rows_that_say_nonsense_are_read() {
    let read = |text: &str| serde_json::from_str::<RestoreDetails>(text).unwrap_or_default();
    let earlier = r#"{"backup":"a","given_up_head":null,"restored_head":{"hash":"00","row":7}}"#;
    assert_eq!((read(earlier).backup.as_str(), read(earlier).given_up_stream), ("a", None));
    assert_eq!(read(earlier).restored_head.unwrap().position(), None, "no hash is that short");
    for nonsense in ["{}", "[]", r#"{"restored_head":"7"}"#, r#"{"backup":7}"#, "x"] {
        assert_eq!(read(nonsense), RestoreDetails::default(), "{nonsense}");
    }
}
