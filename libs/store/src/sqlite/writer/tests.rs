use std::sync::mpsc;

use super::*;
use crate::testing::*;
use crate::{Action, Store};

/// Holds the writer inside a job until told to go on; what is submitted meanwhile shares the next batch.
fn hold(store: &Store) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel();
    let (entered, inside) = mpsc::channel();
    drop(store.writer().submit(move |_| {
        entered.send(()).unwrap();
        let _ = released.recv();
        Ok(())
    }));
    inside.recv().unwrap();
    release
}

fn entry(reason: &str) -> crate::ledger::audit::Entry {
    let details = serde_json::json!({ "reason": reason });
    crate::ledger::audit::Entry {
        at: at(1),
        person: None,
        action: Action::LoginFailed,
        message: None,
        details,
        ip: None,
    }
}

#[tokio::test]
async fn a_job_that_fails_or_panics_is_undone_alone() {
    let test = TestStore::new().await;
    let release = hold(&test.store);
    let writer = test.store.writer();
    let first = writer.submit(|write| write.append(entry("first"))).unwrap();
    let failing = writer
        .submit(|write| {
            write.append(entry("undone"))?;
            write.connection.execute_batch("INSERT INTO meta VALUES ('undone', '')")?;
            Err::<(), _>(StoreError::SessionEnded)
        })
        .unwrap();
    let faulty = writer.submit(|write| Ok(write.connection.execute("INSERT INTO nowhere VALUES (1)", ())?)).unwrap();
    let panicking = writer
        .submit(|write| -> Result<(), StoreError> {
            write.append(entry("undone"))?;
            panic!("on purpose")
        })
        .unwrap();
    let last = writer.submit(|write| write.append(entry("last"))).unwrap();
    release.send(()).unwrap();

    assert_eq!(first.await.unwrap().unwrap().get(), 2);
    assert!(matches!(failing.await.unwrap(), Err(StoreError::SessionEnded)));
    assert!(matches!(faulty.await.unwrap(), Err(StoreError::Internal(_))));
    assert!(matches!(panicking.await.unwrap(), Err(StoreError::Internal(_))));
    assert_eq!(last.await.unwrap().unwrap().get(), 3);
    let rows = log(&test.store).await;
    assert!(rows.iter().all(|row| !row.details.contains("undone")));
    let left: i64 =
        test.raw().query_row("SELECT count(*) FROM meta WHERE name = 'undone'", (), |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    assert_eq!(assert_sound(&test.store).await, 3);
}

/// As SQLite does by itself on a full disk.
#[tokio::test]
async fn a_transaction_that_is_lost_fails_what_was_in_it_and_nothing_else() {
    let test = TestStore::new().await;
    let release = hold(&test.store);
    let writer = test.store.writer();
    let before = writer.submit(|write| write.append(entry("before"))).unwrap();
    let losing = writer
        .submit(|write| -> Result<(), StoreError> {
            write.append(entry("losing"))?;
            write.connection.execute_batch("ROLLBACK")?;
            Err(StoreError::DiskFull)
        })
        .unwrap();
    let after = writer.submit(|write| write.append(entry("after"))).unwrap();
    release.send(()).unwrap();
    assert!(matches!(before.await.unwrap(), Err(StoreError::DiskFull)), "it was acknowledged to nobody");
    assert!(matches!(losing.await.unwrap(), Err(StoreError::DiskFull)));
    assert_eq!(after.await.unwrap().unwrap().get(), 2);
    assert_eq!(assert_sound(&test.store).await, 2);
    // It now tries for real, and finds that there is room.
    test.store.check_writable().await.unwrap();
}

/// A database that may not grow fails as a disk without room does.
#[tokio::test]
async fn no_room_is_said_and_passes() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let limit = |pages: i64| {
        test.store.write(move |write| {
            let set =
                write.connection.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0));
            Ok(set?)
        })
    };
    // The smallest limit SQLite takes is what the file has.
    let pages = limit(1).await.unwrap();
    let big = || new_message("subject", &"x".repeat(20_000));
    let mut sent = 0;
    let error = loop {
        match test.store.send_message(ada, big(), at(10)).await {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 100, "the limit of {pages} pages does not hold");
    };
    assert!(matches!(error, StoreError::DiskFull), "{error:?}");
    assert!(test.store.list_conversations(crate::ListQuery::default()).await.is_ok());
    limit(1_000_000).await.unwrap();
    test.store.check_writable().await.unwrap();
    test.store.send_message(ada, big(), at(10)).await.unwrap();
    assert_eq!(assert_sound(&test.store).await, 2 + sent + 1);
}

#[tokio::test]
async fn a_full_queue_says_busy_at_once() {
    let test = TestStore::new().await;
    let release = hold(&test.store);
    let mut waiting = Vec::new();
    let refused = loop {
        match test.store.writer().submit(|_| Ok(())) {
            Ok(answer) => waiting.push(answer),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Busy));
    assert_eq!(waiting.len(), crate::sqlite::writer::QUEUE);
    assert!(matches!(test.store.check_writable().await, Err(StoreError::Busy)));
    release.send(()).unwrap();
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    test.store.check_writable().await.unwrap();
}

#[tokio::test]
async fn a_log_whose_end_was_cut_off_takes_no_more_rows() {
    let test = TestStore::new().await;
    staff(&test.store, "ada").await;
    test.unguarded().execute_batch("DELETE FROM audit_log WHERE id = 2").unwrap();
    // The guards come back with the schema, as they are in a file that someone edited and put back.
    test.raw()
        .execute_batch(
            "CREATE TRIGGER audit_log_in_order BEFORE INSERT ON audit_log \
             WHEN NEW.id IS NOT (SELECT coalesce(max(id), 0) + 1 FROM audit_log) \
             BEGIN SELECT RAISE(ABORT, 'the next audit row has the next number'); END",
        )
        .unwrap();
    let refused = test.store.write(|write| write.append(entry("next"))).await;
    assert!(matches!(refused, Err(StoreError::Damaged(_))), "{refused:?}");
}
