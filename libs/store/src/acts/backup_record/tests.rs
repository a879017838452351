use super::*;
use crate::testing::*;

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
        BackupEvent::Verified {
            name: "a".into(),
            data_age_seconds: 5,
            restore_seconds: 1.5,
            accepted: vec![],
            by_hand: true,
        },
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
async fn an_archive_is_known_from_its_row_also_from_an_older_one() {
    let test = TestStore::new().await;
    let content = restoration(None).archive.content;
    for (name, content) in [("old", None), ("new", content)] {
        let event = BackupEvent::Created { name: name.into(), bytes: 7, sha256: "00".into(), head: None, content };
        test.store.record_backup(event, at(0)).await.unwrap();
    }
    let proved = BackupEvent::Verified {
        name: "c".into(),
        data_age_seconds: 1,
        restore_seconds: 1.0,
        accepted: vec![],
        by_hand: false,
    };
    test.store.record_backup(proved, at(0)).await.unwrap();
    let known = test.store.recorded_backups().await.unwrap();
    assert_eq!(known.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["old", "new"]);
    assert_eq!((known[0].content.is_none(), known[1].content.is_some()), (true, true));
    // Rows of restores by older programs name no sums.
    assert_eq!(RecordedBackup::of_row("DATABASE_RESTORED", r#"{"backup":"a","restored_head":{"row":1}}"#), None);
}
