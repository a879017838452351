use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc;

use tempfile::TempDir;

use super::*;
use crate::backup::inspect;
use crate::rekey::rekey;
use crate::sqlite::backup::CopyError;
use crate::testing::*;
use crate::{IfMissing, Location, Store};

fn new_key() -> DatabaseKey {
    DatabaseKey::from_hex(&"0b".repeat(32)).unwrap()
}

/// A closed database with messages.
async fn closed(messages: usize) -> (PathBuf, TempDir) {
    let test = TestStore::new().await;
    let actor = staff(&test.store, "amina").await;
    for number in 0..messages {
        send(&test.store, actor, &format!("s{number}"), &"text ".repeat(40)).await;
    }
    test.close().await
}

fn change(path: &Path) -> Result<Rekeyed, RekeyError> {
    rekey(path, &key(), &new_key(), "root", at(500), |_| ())
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn opens(path: &Path) -> OpensWith {
    opens_with(path, &key(), Some(&new_key())).unwrap()
}

#[tokio::test]
async fn the_database_has_the_new_key_and_everything_else_as_before_and_a_row_that_says_so() {
    let (path, _folder) = closed(300).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    let before = inspect(&path, &key(), |_| ()).unwrap();
    let mut steps = Vec::new();
    let done = rekey(&path, &key(), &new_key(), "root", at(500), |step| steps.push(step)).unwrap();
    assert!(steps.contains(&Step::Copying(before.pages, before.pages)) && steps.last() == Some(&Step::Placing));
    assert_eq!(opens(&path), OpensWith::New);
    assert_eq!(names(&path), ["test.db"]);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);

    let store = Store::open(&Location::file(&path, &new_key()), IfMissing::Refuse).await.unwrap();
    assert_sound(&store).await;
    let rows = log(&store).await;
    let last = rows.last().unwrap();
    assert_eq!((last.action.as_str(), last.at), ("DATABASE_REKEYED", at(500)));
    assert_eq!(store.audit_head().await.unwrap(), done.head);
    let details = details(last);
    assert_eq!(details["operator"], "root");
    assert_eq!(details["old_key"], key().fingerprint());
    assert_eq!(details["new_key"], new_key().fingerprint());
    assert_eq!(store.database_id(), before.database_id);
    let actor = staff(&store, "ben").await;
    send(&store, actor, "after", "it is written on").await;
    store.close().await;
    let after = inspect(&path, &new_key(), |_| ()).unwrap();
    assert_eq!(after.rows["message"], before.rows["message"] + 1);
}

#[tokio::test]
async fn what_is_in_the_write_ahead_log_comes_along() {
    let test = TestStore::new().await;
    let actor = staff(&test.store, "amina").await;
    send(&test.store, actor, "kept", "text").await;
    // As a killed program leaves them: the log beside a file that lacks what is in it.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("left.db");
    for end in ["", "-wal"] {
        fs::copy(beside(&test.path, end), beside(&path, end)).unwrap();
    }
    assert!(fs::metadata(beside(&path, "-wal")).unwrap().len() > 0, "nothing is in the log, so this proves nothing");
    change(&path).unwrap();
    assert_eq!(names(&path), ["left.db"]);
    assert_eq!(inspect(&path, &new_key(), |_| ()).unwrap().rows["message"], 1);
}

#[tokio::test]
async fn it_is_refused_under_a_program_that_has_the_database_open_for_reading_or_writing() {
    let test = TestStore::new().await;
    staff(&test.store, "amina").await;
    // The lock that a claim meets is another process's; this process's own is met by SQLite.
    assert!(matches!(change(&test.path), Err(RekeyError::InUse)));
    let reader = open(&test.path, &key(), Role::Reader).unwrap();
    let (path, _folder) = test.close().await;
    assert!(matches!(change(&path), Err(RekeyError::InUse)));
    drop(reader);
    change(&path).unwrap();
}

#[tokio::test]
async fn nobody_gets_in_while_it_works_and_who_waited_finds_no_old_database() {
    let (path, _folder) = closed(20).await;
    let (waiting, waits) = mpsc::channel();
    let mut waiter = None;
    rekey(&path, &key(), &new_key(), "root", at(500), |step| {
        if step == Step::Placing && waiter.is_none() {
            let (path, waiting) = (path.clone(), waiting.clone());
            waiter = Some(std::thread::spawn(move || {
                let connection = Connection::open(&path).unwrap();
                connection.execute_batch(&key().pragma()).unwrap();
                let (mut told, mut slept) = (Some(waiting), 0);
                // Opened before the rename, and patient: a program that a supervisor starts meanwhile.
                let read = loop {
                    match connection.query_row("SELECT count(*) FROM sqlite_master", (), |row| row.get::<_, i64>(0)) {
                        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
                            if let Some(told) = told.take() {
                                told.send(()).unwrap();
                            }
                            slept += 1;
                            assert!(slept < 100_000, "locked forever");
                            std::thread::sleep(Duration::from_micros(100));
                        }
                        other => break other,
                    }
                };
                read.map_err(|error| error.sqlite_error_code())
            }));
            waits.recv_timeout(Duration::from_secs(20)).expect("the other one meets the lock");
        }
    })
    .unwrap();
    let read = waiter.unwrap().join().unwrap();
    assert_eq!(read, Err(Some(rusqlite::ErrorCode::NotADatabase)), "it opened a database that is no more");
    assert_eq!((opens(&path), names(&path)), (OpensWith::New, vec!["test.db".to_owned()]));
}

#[tokio::test]
async fn what_a_killed_run_has_left_is_no_hindrance_and_goes() {
    let (path, _folder) = closed(5).await;
    for end in ["", "-journal", "-wal"] {
        fs::write(beside(&beside(&path, UNFINISHED), end), "half").unwrap();
    }
    assert!(is_unfinished(&path));
    assert_eq!(opens(&path), OpensWith::Old);
    change(&path).unwrap();
    assert_eq!(names(&path), ["test.db"]);
    fs::write(beside(&path, UNFINISHED), "half").unwrap();
    tidy_up(&path).unwrap();
    assert_eq!((names(&path), is_unfinished(&path)), (vec!["test.db".to_owned()], false));
}

#[tokio::test]
async fn a_link_to_the_database_stays_a_link() {
    let (path, folder) = closed(5).await;
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    change(&link).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(opens(&path), OpensWith::New);
}

#[tokio::test]
async fn a_database_that_is_not_sound_and_a_wrong_key_change_nothing() {
    let (path, _folder) = closed(30).await;
    let same = rekey(&path, &key(), &key(), "root", at(500), |_| ());
    assert!(matches!(same, Err(RekeyError::SameKey)), "{same:?}");
    let wrong = rekey(&path, &new_key(), &key(), "root", at(500), |_| ());
    assert!(matches!(wrong, Err(RekeyError::Open(OpenError::NotOurs { .. }))), "{wrong:?}");
    let none = change(&path.with_extension("none"));
    assert!(matches!(none, Err(RekeyError::Open(OpenError::Missing { .. }))), "{none:?}");

    let connection = open(&path, &key(), Role::Writer).unwrap();
    connection.execute_batch("UPDATE message_body SET body = 'other' WHERE message_id = 7").unwrap();
    drop(connection);
    let altered = change(&path);
    assert!(matches!(altered, Err(RekeyError::Inspection(CopyError::Chain { .. }))), "{altered:?}");

    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 100;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let damaged = change(&path);
    assert!(matches!(damaged, Err(RekeyError::Damaged(CopyError::CipherDamage { .. }))), "{damaged:?}");
    assert_eq!((opens(&path), names(&path)), (OpensWith::Old, vec!["test.db".to_owned()]));
}
