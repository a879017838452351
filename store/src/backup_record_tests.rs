#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use std::time::Duration;

use super::*;
use crate::testing::*;
use crate::*;

#[tokio::test]
async fn the_history_gives_back_what_was_recorded() {
    let test = TestStore::new().await;
    let head = test.store.audit_head().await.unwrap();
    let events = [
        BackupEvent::Created { name: "a".into(), bytes: 7, sha256: "00".into(), head: None, content: None },
        BackupEvent::Created {
            name: "b".into(),
            bytes: 7,
            sha256: "00".into(),
            head: Some(head.into()),
            content: None,
        },
        BackupEvent::Failed { name: None, during: "backup".into(), reason: "the disk is full".into() },
        BackupEvent::Failed { name: Some("a".into()), during: "drill".into(), reason: "no".into() },
        BackupEvent::Verified { name: "a".into(), data_age_seconds: 5, restore_seconds: 1.5, accepted: vec![] },
    ];
    for (minute, event) in (0..).zip(events.clone()) {
        test.store.record_backup(event, at(minute)).await.unwrap();
    }
    let history = test.store.backup_history(at(0)).await.unwrap();
    assert_eq!(history.iter().map(|record| record.event.clone()).collect::<Vec<_>>(), events);
    assert_eq!(test.store.backup_history(at(4)).await.unwrap().len(), 1);
    assert_eq!(
        actions(&test.store).await,
        ["BACKUP_CREATED", "BACKUP_CREATED", "BACKUP_FAILED", "BACKUP_FAILED", "BACKUP_VERIFIED"]
    );
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_reason_of_any_length_fits() {
    let test = TestStore::new().await;
    let event = BackupEvent::Failed { name: None, during: "backup".into(), reason: "é".repeat(5_000) };
    test.store.record_backup(event, at(0)).await.unwrap();
    assert!(log(&test.store).await[1].details.len() < 1_000);
}

#[tokio::test]
async fn a_restore_names_both_ends_the_archive_and_who_vouched_for_it() {
    let test = TestStore::new().await;
    let head = test.store.audit_head().await.unwrap();
    let restored = restoration(Some(GivenUp { stream: "old".into(), head }));
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

#[tokio::test]
async fn an_archive_is_known_from_its_row_also_from_an_older_one() {
    let test = TestStore::new().await;
    let content = restoration(None).archive.content;
    for (name, content) in [("old", None), ("new", content)] {
        let event = BackupEvent::Created { name: name.into(), bytes: 7, sha256: "00".into(), head: None, content };
        test.store.record_backup(event, at(0)).await.unwrap();
    }
    let proved =
        BackupEvent::Verified { name: "c".into(), data_age_seconds: 1, restore_seconds: 1.0, accepted: vec![] };
    test.store.record_backup(proved, at(0)).await.unwrap();
    let known = test.store.recorded_backups().await.unwrap();
    assert_eq!(known.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["old", "new"]);
    assert_eq!((known[0].content.is_none(), known[1].content.is_some()), (true, true));
    // Rows of restores by older programs name no sums.
    assert_eq!(RecordedBackup::of_row("DATABASE_RESTORED", r#"{"backup":"a","restored_head":{"row":1}}"#), None);
}
