#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::testing::*;

#[tokio::test]
async fn the_history_gives_back_what_was_recorded() {
    let test = TestStore::new().await;
    let head = test.store.audit_head().await.unwrap();
    let events = [
        BackupEvent::Created { name: "a".into(), bytes: 7, sha256: "00".into(), head: None },
        BackupEvent::Created { name: "b".into(), bytes: 7, sha256: "00".into(), head: Some(head.into()) },
        BackupEvent::Failed { name: None, during: "backup".into(), reason: "the disk is full".into() },
        BackupEvent::Failed { name: Some("a".into()), during: "drill".into(), reason: "no".into() },
        BackupEvent::Verified { name: "a".into(), data_age_seconds: 5, restore_seconds: 1.5 },
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
