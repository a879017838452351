use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::*;
use crate::DatabaseKey;
use crate::sqlite::error::{Kind, kind};
use crate::sqlite::schema::{MIGRATIONS, newest};
use crate::testing::*;
use crate::{Body, IdempotencyKey, IfMissing, ListQuery, Location, NewMessage, Sent, Subject};

async fn refusal(path: &Path, key: &DatabaseKey, if_missing: IfMissing) -> OpenError {
    match Store::open(&Location::file(path, key), if_missing).await {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_database_opens_again_with_its_key_and_its_name() {
    let test = TestStore::new().await;
    let id = test.store.database_id().to_owned();
    assert_eq!(id.len(), 32);
    let first = log(&test.store).await.remove(0);
    assert_eq!(first.action, "DATABASE_CREATED");
    assert_eq!(first.previous_hash, crate::genesis_hash(&id));
    let ada = staff(&test.store, "ada").await;
    send(&test.store, ada, "subject", "body").await;
    let mode = std::fs::metadata(&test.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (path, _directory) = test.close().await;

    let text = std::fs::read(&path).unwrap();
    assert!(!text.starts_with(b"SQLite format 3"), "the file is encrypted");
    assert!(!path.with_file_name("test.db-wal").exists(), "everything is in the one file");
    let store = Store::open(&Location::file(&path, &key()), IfMissing::Refuse).await.unwrap();
    assert_eq!(store.database_id(), id);
    assert_sound(&store).await;
}

#[tokio::test]
async fn a_wrong_key_opens_nothing_and_changes_nothing() {
    let test = TestStore::new().await;
    let (path, _directory) = test.close().await;
    let before = std::fs::read(&path).unwrap();
    let wrong = DatabaseKey::from_hex(&"0b".repeat(32)).unwrap();
    for if_missing in [IfMissing::Create, IfMissing::Refuse] {
        assert!(matches!(refusal(&path, &wrong, if_missing).await, OpenError::NotOurs { .. }));
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused_and_left_alone() {
    let directory = tempfile::TempDir::new().unwrap();
    let plain = directory.path().join("plain.db");
    Connection::open(&plain).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let text = directory.path().join("text.db");
    std::fs::write(&text, "hello ".repeat(2_000)).unwrap();
    // Under our key, but another program's.
    let foreign = directory.path().join("foreign.db");
    let connection = Connection::open(&foreign).unwrap();
    connection.execute_batch(&key().pragma()).unwrap();
    connection.execute_batch("CREATE TABLE t (a)").unwrap();
    drop(connection);
    for path in [plain, text, foreign] {
        let before = std::fs::read(&path).unwrap();
        for if_missing in [IfMissing::Create, IfMissing::Refuse] {
            let error = refusal(&path, &key(), if_missing).await;
            assert!(matches!(error, OpenError::NotOurs { .. }), "{}: {error:?}", path.display());
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let test = TestStore::new().await;
    test.raw().pragma_update(None, "user_version", 99).unwrap();
    let (path, _directory) = test.close().await;
    let error = refusal(&path, &key(), IfMissing::Create).await;
    assert!(matches!(error, OpenError::NewerSchema { found: 99, known } if known == newest()), "{error:?}");
}

#[tokio::test]
async fn the_file_and_its_companions_are_the_groups_only_in_a_folder_made_to_be_shared() {
    for (folder_mode, file_mode) in [(0o700, 0o600), (0o770, 0o600), (0o2750, 0o600), (0o2770, 0o660)] {
        let directory = tempfile::TempDir::new().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(folder_mode)).unwrap();
        let path = directory.path().join("test.db");
        let store = Store::open(&Location::file(&path, &key()), IfMissing::Create).await.unwrap();
        staff(&store, "amina").await;
        for name in ["test.db", "test.db-wal", "test.db-shm"] {
            let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, file_mode, "{name} in a folder of mode {folder_mode:o}");
        }
        store.close().await;
    }
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date_and_nothing_of_it_is_lost() {
    let test = TestStore::new().await;
    let (amina, ben) = (staff(&test.store, "amina").await, staff(&test.store, "ben").await);
    // Keys move to a table of their own.
    let keys: Vec<_> = (0..=255).map(|byte| [byte; 16]).collect();
    let sent = |key: &[u8; 16]| NewMessage {
        subject: Subject::parse("s").unwrap(),
        body: Body::parse("b").unwrap(),
        addressed: crate::Addressed::default(),
        key: IdempotencyKey(*key),
    };
    for key in &keys {
        test.store.send_message(amina, sent(key), at(1)).await.unwrap();
    }
    let deleted = send(&test.store, amina, "s", "b").await;
    test.store.delete_message(amina, deleted, at(2)).await.unwrap();
    send(&test.store, ben, "s", "b").await;
    let head = test.store.audit_head().await.unwrap().id.get();
    let (path, directory) = test.close().await;
    let schema = schema_of(&path);
    for older in 1..MIGRATIONS.len() {
        let file = directory.path().join(format!("{older}.db"));
        write_older(&path, &file, older);
        assert_ne!(schema_of(&file), schema);
        let store = Store::open(&Location::file(&file, &key()), IfMissing::Refuse).await.unwrap();
        // The log vouches for both from here on, where it did not.
        let recorded = if older < 6 { vec!["PERSON_RECORDED"; 2] } else { Vec::new() };
        assert_eq!(actions(&store).await[head as usize - 1..], recorded, "from schema {older}");
        assert_sound(&store).await;
        for key in &keys {
            let repeated = store.send_message(amina, sent(key), at(3)).await.unwrap();
            assert!(matches!(repeated, Sent::Repeated(_)), "{key:?}: {repeated:?}");
        }
        let query = ListQuery { author: Some(amina.person), limit: 1000, ..ListQuery::default() };
        assert_eq!(store.list_conversations(query).await.unwrap().conversations.len(), keys.len() + 1);
        assert_eq!(send(&store, ben, "s", "b").await.get(), 259);
        assert_sound(&store).await;
        store.close().await;
        assert_eq!(schema_of(&file), schema, "from schema {older}");
    }
}

/// All tables, indexes and triggers of a closed file, and its version.
fn schema_of(path: &Path) -> (i64, Vec<(String, Option<String>)>) {
    let connection = open(path, &key(), Role::Reader).unwrap();
    let mut select = connection.prepare("SELECT name, sql FROM sqlite_master ORDER BY name").unwrap();
    let made = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    (connection.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap(), made)
}

#[tokio::test]
async fn who_waits_too_long_for_anothers_migration_is_told_so() {
    let test = TestStore::new().await;
    let (path, directory) = test.close().await;
    let file = directory.path().join("older.db");
    write_older(&path, &file, 3);
    let migrating = open(&file, &key(), Role::Writer).unwrap();
    migrating.execute_batch("BEGIN IMMEDIATE; CREATE TABLE t (x)").unwrap();
    assert!(matches!(refusal(&file, &key(), IfMissing::Refuse).await, OpenError::Busy));
}

/// A migration has foreign keys off, and must not let through what they would have refused.
#[tokio::test]
async fn an_older_file_with_a_row_that_refers_to_nothing_is_refused_as_it_is() {
    let test = TestStore::new().await;
    let amina = staff(&test.store, "amina").await;
    send(&test.store, amina, "s", "b").await;
    let (path, directory) = test.close().await;
    let file = directory.path().join("older.db");
    write_older(&path, &file, 3);
    let raw = open(&file, &key(), Role::Writer).unwrap();
    raw.execute_batch("PRAGMA foreign_keys = OFF; UPDATE message SET author_id = 77").unwrap();
    drop(raw);
    let before = schema_of(&file);
    assert!(matches!(refusal(&file, &key(), IfMissing::Refuse).await, OpenError::Sqlite(_)));
    assert_eq!(schema_of(&file), before);
}

#[tokio::test]
async fn a_file_that_is_not_in_wal_mode_gets_there() {
    let test = TestStore::new().await;
    let (path, _directory) = test.close().await;
    let mode =
        |connection: &Connection, sql: &str| connection.query_row(sql, (), |row| row.get::<_, String>(0)).unwrap();
    let raw = open(&path, &key(), Role::Writer).unwrap();
    assert_eq!(mode(&raw, "PRAGMA journal_mode = DELETE"), "delete");
    drop(raw);
    let store = Store::open(&Location::file(&path, &key()), IfMissing::Refuse).await.unwrap();
    let raw = open(&path, &key(), Role::Writer).unwrap();
    assert_eq!(mode(&raw, "PRAGMA journal_mode"), "wal");
    drop(raw);
    store.close().await;
}

#[tokio::test]
async fn a_missing_database_is_made_only_where_it_may_be() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("test.db");
    assert!(matches!(refusal(&path, &key(), IfMissing::Refuse).await, OpenError::Missing { .. }));
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(matches!(refusal(&path, &key(), IfMissing::Refuse).await, OpenError::Missing { .. }));
    let nowhere = directory.path().join("no/test.db");
    assert!(matches!(refusal(&nowhere, &key(), IfMissing::Refuse).await, OpenError::Missing { .. }));
    let error = refusal(&nowhere, &key(), IfMissing::Create).await;
    assert!(matches!(error, OpenError::NoDirectory { .. }), "{error:?}");
    assert!(error.to_string().contains(directory.path().join("no").to_str().unwrap()));
    Store::open(&Location::file(&path, &key()), IfMissing::Create).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_start_at_once_make_one_database() {
    let directory = tempfile::TempDir::new().unwrap();
    let path: Arc<Path> = directory.path().join("test.db").into();
    let opening: Vec<_> = (0..6)
        .map(|_| {
            let path = path.clone();
            tokio::spawn(async move { Store::open(&Location::file(&*path, &key()), IfMissing::Create).await.unwrap() })
        })
        .collect();
    let mut stores = Vec::new();
    for task in opening {
        stores.push(task.await.unwrap());
    }
    assert!(stores.iter().all(|store| store.database_id() == stores[0].database_id()));
    assert_eq!(assert_sound(&stores[0]).await, 1);
}

/// Two stores have the connections that two processes have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_writing_at_once_never_meet_a_lock_and_keep_one_chain() {
    let test = TestStore::new().await;
    let other = test.another().await;
    let ada = staff(&test.store, "ada").await;
    let senders: Vec<_> = (0..8)
        .map(|turn| {
            let store = if turn % 2 == 0 { test.store.clone() } else { other.clone() };
            tokio::spawn(async move {
                for _ in 0..50 {
                    let sent = store.send_message(ada, new_message("subject", "body"), at(10)).await.unwrap();
                    assert!(matches!(sent, Sent::Created(_)));
                    store.touch_session(ada.session, at(11)).await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    assert_eq!(assert_sound(&test.store).await, 402);
    assert_sound(&other).await;
}

#[tokio::test]
async fn changes_move_with_own_rows_at_once_and_with_others_when_polled() {
    let test = TestStore::new().await;
    let other = test.another().await;
    let mut changes = other.changes();
    other.poll_foreign_commits().await.unwrap();
    assert!(!changes.has_changed().unwrap());
    let ada = staff(&test.store, "ada").await;
    assert!(!changes.has_changed().unwrap(), "not seen before it is looked for");
    other.poll_foreign_commits().await.unwrap();
    assert_eq!(*changes.borrow_and_update(), 2);
    other.poll_foreign_commits().await.unwrap();
    assert!(!changes.has_changed().unwrap());

    send(&other, ada, "subject", "body").await;
    assert_eq!(*changes.borrow_and_update(), 3, "its own, at once");
    other.poll_foreign_commits().await.unwrap();
    assert!(!changes.has_changed().unwrap(), "its own is nobody else's");
    // No row, nothing to hear of.
    test.store.touch_session(ada.session, at(5)).await.unwrap();
    other.poll_foreign_commits().await.unwrap();
    assert!(!changes.has_changed().unwrap());
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let test = TestStore::new().await;
    let handle = test.store.clone();
    let ada = staff(&handle, "ada").await;
    let waiting = handle.writer().submit(|_| Ok(17)).unwrap();
    test.close().await;
    assert_eq!(waiting.await.unwrap().unwrap(), 17, "what was queued is done");
    assert!(matches!(handle.touch_session(ada.session, at(1)).await, Err(StoreError::Closed)));
    assert!(matches!(handle.people().await, Err(StoreError::Closed)));
    assert!(matches!(handle.poll_foreign_commits().await, Err(StoreError::Closed)));
    assert!(matches!(handle.check_writable().await, Err(StoreError::Closed)));
    handle.close().await;
}

#[tokio::test]
async fn readers_cannot_write() {
    let test = TestStore::new().await;
    let written =
        test.store.read(|connection| Ok(connection.execute("INSERT INTO meta VALUES ('a', 'b')", ()))).await.unwrap();
    assert!(matches!(kind(&written.unwrap_err()), Kind::Permission));
    let panicked: Result<(), _> = test.store.read(|_| panic!("on purpose")).await;
    assert!(matches!(panicked, Err(StoreError::Internal(_))));
    for _ in 0..10 {
        test.store.people().await.unwrap();
    }
}

#[tokio::test]
async fn time_and_randomness_are_what_is_handed_in() {
    let (path, directory) = TestStore::new().await.close().await;
    let sources = TestSources::default();
    sources.set(7);
    let location = Location::file(directory.path().join("made.db"), &key());
    let store = Store::open_with(&location, IfMissing::Create, sources.environment()).await.unwrap();
    let first = log(&store).await.remove(0);
    assert_eq!((first.at, store.database_id()), (at(7), "000102030405060708090a0b0c0d0e0f"));
    let (token, session) = sign_in(&store, "amina", at(8)).await;
    // After the salt of the person: no byte is from elsewhere.
    assert!(token.reveal().starts_with("202122") && session.csrf_token.starts_with("404142"), "{}", token.reveal());
    store.close().await;

    // Rows that bringing a database up to date writes.
    let older = directory.path().join("older.db");
    let (with_people, _directory) = {
        let test = TestStore::copy_of(&path).await;
        staff(&test.store, "ben").await;
        test.close().await
    };
    write_older(&with_people, &older, 5);
    sources.set(99);
    let older = Location::file(older, &key());
    let store = Store::open_with(&older, IfMissing::Refuse, sources.environment()).await.unwrap();
    let recorded = log(&store).await.pop().unwrap();
    assert_eq!((recorded.action.as_str(), recorded.at), ("PERSON_RECORDED", at(99)));
    store.close().await;
}
