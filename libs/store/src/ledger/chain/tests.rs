use std::sync::{Arc, Mutex};

use super::*;
use crate::NewReply;
use crate::ledger::audit::Entry;
use crate::testing::*;
use crate::types::{Action, Body, Hash, IdempotencyKey, MessageId, PersonId, Timestamp};

/// A log with every kind of row that touches messages: 1 made, 2-3 sign-ins, 4-6 sent (messages 1-3), 7 viewed,
/// 8 deleted (message 2), 9 viewed.
async fn filled() -> TestStore {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(send(&test.store, ada, &format!("subject {number}"), &format!("body {number}")).await);
    }
    open_message(&test.store, ben, ids[0], at(20)).await;
    test.store.delete_message(ada, ids[1], at(21)).await.unwrap();
    open_message(&test.store, ben, ids[2], at(22)).await;
    assert_eq!(assert_sound(&test.store).await, 9);
    test
}

fn row(id: i64) -> AuditId {
    AuditId::new(id).unwrap()
}

fn message(id: i64) -> ChainError {
    ChainError::Message(MessageId::new(id).unwrap())
}

#[tokio::test]
async fn every_tampering_is_found_at_the_right_row() {
    let cases: &[(&str, i64, ChainError)] = &[
        // Each column.
        ("UPDATE audit_log SET at = at + 1 WHERE id = 5", 5, ChainError::Altered),
        ("UPDATE audit_log SET person_id = 2 WHERE id = 5", 5, ChainError::Altered),
        ("UPDATE audit_log SET person_id = NULL WHERE id = 5", 5, ChainError::Altered),
        ("UPDATE audit_log SET action = 'MESSAGE_VIEW' WHERE id = 5", 5, ChainError::Altered),
        ("UPDATE audit_log SET action = 'NONSENSE' WHERE id = 5", 5, ChainError::Altered),
        ("UPDATE audit_log SET message_id = 1 WHERE id = 5", 5, ChainError::Altered),
        ("UPDATE audit_log SET message_id = NULL WHERE id = 7", 7, ChainError::Altered),
        ("UPDATE audit_log SET message_id = 1 WHERE id = 2", 2, ChainError::Altered),
        ("UPDATE audit_log SET details = '{}' WHERE id = 7", 7, ChainError::Altered),
        ("UPDATE audit_log SET details = details || ' ' WHERE id = 3", 3, ChainError::Altered),
        ("UPDATE audit_log SET ip = '192.0.2.8' WHERE id = 5", 5, ChainError::Altered),
        ("UPDATE audit_log SET ip = NULL WHERE id = 5", 5, ChainError::Altered),
        ("UPDATE audit_log SET ip = '' WHERE id = 1", 1, ChainError::Altered),
        ("UPDATE audit_log SET hash = zeroblob(32) WHERE id = 5", 5, ChainError::Altered),
        ("UPDATE audit_log SET hash = zeroblob(32) WHERE id = 9", 9, ChainError::Altered),
        ("UPDATE audit_log SET hash = x'00' WHERE id = 5", 5, ChainError::Altered),
        ("UPDATE audit_log SET previous_hash = zeroblob(32) WHERE id = 5", 5, ChainError::Unlinked),
        ("UPDATE audit_log SET previous_hash = zeroblob(32) WHERE id = 1", 1, ChainError::Unlinked),
        // Rows gone, moved, put in between, added.
        ("DELETE FROM audit_log WHERE id = 5", 5, ChainError::Missing),
        ("DELETE FROM audit_log WHERE id = 1", 1, ChainError::Missing),
        ("DELETE FROM audit_log WHERE id BETWEEN 4 AND 6", 4, ChainError::Missing),
        ("DELETE FROM audit_log WHERE id = 9", 9, ChainError::CutOff),
        ("DELETE FROM audit_log WHERE id > 6", 7, ChainError::CutOff),
        ("DELETE FROM audit_log", 1, ChainError::CutOff),
        (
            "UPDATE audit_log SET id = -1 WHERE id = 4; UPDATE audit_log SET id = 4 WHERE id = 5; \
          UPDATE audit_log SET id = 5 WHERE id = -1",
            4,
            ChainError::Unlinked,
        ),
        (
            "DELETE FROM audit_log WHERE id = 5; UPDATE audit_log SET id = id - 1 WHERE id > 5; \
          UPDATE audit_head SET id = 8",
            5,
            ChainError::Unlinked,
        ),
        (
            "UPDATE audit_log SET id = id + 100 WHERE id > 4; UPDATE audit_log SET id = id - 99 WHERE id > 100; \
          INSERT INTO audit_log SELECT 5, at, person_id, action, message_id, details, ip, previous_hash, hash \
          FROM audit_log WHERE id = 4",
            5,
            ChainError::Unlinked,
        ),
        (
            "INSERT INTO audit_log SELECT 10, at, person_id, action, message_id, details, ip, previous_hash, hash \
          FROM audit_log WHERE id = 9",
            10,
            ChainError::Unlinked,
        ),
        ("UPDATE audit_head SET id = 8", 9, ChainError::Unlinked),
        ("UPDATE audit_head SET hash = zeroblob(32)", 9, ChainError::Altered),
        // Messages against the log.
        ("UPDATE message SET subject = 'other' WHERE id = 1", 4, message(1)),
        ("UPDATE message_body SET body = 'other' WHERE message_id = 3", 6, message(3)),
        ("UPDATE message SET salt = zeroblob(16) WHERE id = 1", 4, message(1)),
        ("UPDATE message SET author_id = 2 WHERE id = 1", 4, message(1)),
        ("UPDATE message SET sent_at = sent_at + 1 WHERE id = 1", 4, message(1)),
        ("DELETE FROM message WHERE id = 3", 6, message(3)),
        ("DELETE FROM message_body WHERE message_id = 1", 4, message(1)),
        ("INSERT INTO message_deletion VALUES (1, 5)", 4, message(1)),
        ("DELETE FROM message_deletion WHERE message_id = 2", 5, message(2)),
        ("UPDATE message_deletion SET at = at + 1", 8, message(2)),
        ("UPDATE message_body SET body = 'back again' WHERE message_id = 2", 8, message(2)),
        (
            "INSERT INTO message SELECT 4, author_id, sent_at, salt, subject FROM message WHERE id = 1; \
          INSERT INTO message_body VALUES (4, 'never sent')",
            9,
            message(4),
        ),
        // Another database's name.
        ("UPDATE meta SET value = 'other'", 1, ChainError::Unlinked),
    ];
    let (source, _directory) = filled().await.close().await;
    assert_each_is_found(&source, cases).await;
}

/// A field that is added to messages is among them: the chain has to vouch for it.
#[tokio::test]
async fn no_column_of_a_message_can_be_changed_unseen() {
    const COLUMNS: &str = "SELECT t.name, c.name, c.type FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
         WHERE t.name IN ('message', 'message_body', 'message_reply', 'message_deletion') AND c.pk = 0";
    let original = filled().await;
    let ben = staff(&original.store, "ben").await;
    let (to, body, key) = (MessageId::new(1).unwrap(), Body::parse("a reply").unwrap(), IdempotencyKey::fresh());
    original
        .store
        .send_reply(ben, NewReply { to, body, addressed: crate::Addressed::default(), key }, at(23))
        .await
        .unwrap();
    assert_sound(&original.store).await;
    let columns: Vec<(String, String, String)> = {
        let raw = original.raw();
        let mut select = raw.prepare(COLUMNS).unwrap();
        let found = select.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        found.map(Result::unwrap).collect()
    };
    assert!(columns.len() > 6, "{columns:?}");
    let (source, _directory) = original.close().await;
    for (table, column, kind) in columns {
        let other = match kind.as_str() {
            "TEXT" => format!("coalesce({column}, '') || 'x'"),
            "BLOB" => format!("zeroblob(length({column}))"),
            _ => format!("coalesce({column}, 0) + 1"),
        };
        let copy = TestStore::copy_of(&source).await;
        copy.unguarded().execute_batch(&format!("UPDATE {table} SET {column} = {other}")).unwrap();
        let verdict = copy.store.verify_chain(None, |_| ()).await.unwrap();
        assert!(matches!(verdict, ChainVerdict::Broken { .. }), "{table}.{column} was changed: {verdict:?}");
    }
}

/// Someone with the key can hash again what they changed; the row after it tells.
#[tokio::test]
async fn a_row_that_was_changed_and_hashed_again_breaks_the_link_to_the_next() {
    let test = filled().await;
    let raw = test.unguarded();
    let (previous, at, person, details, ip): (Hash, Timestamp, PersonId, String, String) = raw
        .query_row("SELECT previous_hash, at, person_id, details, ip FROM audit_log WHERE id = 3", (), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .unwrap();
    let at = at.to_rfc3339();
    let fields =
        HashedFields { id: row(3), at: &at, person: Some(person), action: "LOGOUT", details: &details, ip: Some(&ip) };
    let forged = chain_hash(&previous, &fields);
    raw.execute("UPDATE audit_log SET action = 'LOGOUT', hash = ?1 WHERE id = 3", [forged]).unwrap();
    assert_eq!(first_error(&test.store).await, (4, ChainError::Unlinked));
}

#[tokio::test]
async fn the_guards_refuse_changes_to_the_log_and_to_tombstones() {
    let test = filled().await;
    let raw = test.raw();
    for sql in [
        "UPDATE audit_log SET ip = NULL WHERE id = 5",
        "UPDATE audit_log SET id = 50 WHERE id = 9",
        "DELETE FROM audit_log WHERE id = 9",
        "INSERT INTO audit_log SELECT 11, at, person_id, action, message_id, details, ip, previous_hash, hash \
         FROM audit_log WHERE id = 9",
        "INSERT OR REPLACE INTO audit_log SELECT 9, at, person_id, action, message_id, details, NULL, previous_hash, \
         hash FROM audit_log WHERE id = 9",
        "DELETE FROM message WHERE id = 3",
        "DELETE FROM message_body WHERE message_id = 3",
        "DELETE FROM message_deletion",
        "UPDATE message_deletion SET at = 1",
    ] {
        let error = raw.execute_batch(sql).expect_err(sql);
        assert_eq!(
            error.sqlite_extended_error_code(),
            Some(rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER),
            "{sql}: {error}"
        );
    }
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_check_goes_on_from_a_position_checked_before() {
    let test = filled().await;
    let rows = log(&test.store).await;
    let ChainVerdict::Sound { people, .. } = test.store.verify_chain(None, |_| ()).await.unwrap() else {
        panic!("not sound");
    };
    for from in &rows {
        let position = ChainPosition { id: from.id, hash: from.hash };
        let ChainVerdict::Sound { head, rows: checked, .. } =
            test.store.verify_chain(Some((position, people.clone())), |_| ()).await.unwrap()
        else {
            panic!("from row {}", from.id);
        };
        assert_eq!((head.id, checked), (row(9), 9 - from.id.get().unsigned_abs()));
    }
    let altered = ChainPosition { id: row(5), hash: rows[0].hash };
    let verdict = test.store.verify_chain(Some((altered, people.clone())), |_| ()).await.unwrap();
    assert_eq!(verdict, ChainVerdict::Broken { row: row(5), error: ChainError::Altered });
    let beyond = ChainPosition { id: row(12), hash: rows[0].hash };
    let verdict = test.store.verify_chain(Some((beyond, people)), |_| ()).await.unwrap();
    assert_eq!(verdict, ChainVerdict::Broken { row: row(10), error: ChainError::CutOff });
}

/// What an action says of itself, appending and checking the chain agree on: no act can write a row that is then taken for
/// tampering.
#[tokio::test]
async fn a_row_of_any_action_is_refused_or_sound() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    send(&test.store, ada, "subject", "body").await;
    for action in Action::ALL {
        // Something stands beside the rows of these, which their acts write as well.
        if matches!(
            action,
            Action::MessageCreate
                | Action::MessageDelete
                | Action::MessageView
                | Action::ConversationDone
                | Action::TeamCreated
                | Action::TeamRenamed
                | Action::TeamJoined
                | Action::TeamLeft
                | Action::TemplateCreated
                | Action::TemplateChanged
                | Action::TemplateDeleted
                | Action::DutyDone
                | Action::DutyTaken
                | Action::DutyMoved
                | Action::UrgentCannot
                | Action::UrgentStep
                | Action::UrgentStepsSkipped
                | Action::UrgentWithdrawn
        ) {
            continue;
        }
        for message in [None, MessageId::new(1)] {
            let (at, details) = (at(20), serde_json::json!({}));
            let entry = Entry { at, person: None, action: *action, message, details, ip: None };
            let appended = test.store.write(|write| write.append(entry)).await;
            assert_eq!(appended.is_ok(), message.is_some() == action.concerns_message(), "{action:?} {message:?}");
            assert_sound(&test.store).await;
        }
    }
}

#[tokio::test]
async fn a_log_of_several_chunks_is_checked_with_progress_after_each() {
    let test = TestStore::new().await;
    test.store
        .write(|write| {
            for number in 0..25_000 {
                let details = serde_json::json!({ "n": number });
                let action = Action::LoginFailed;
                write.append(Entry { at: at(number), person: None, action, message: None, details, ip: None })?;
            }
            Ok(())
        })
        .await
        .unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let verdict = test.store.verify_chain(None, move |id| noted.lock().unwrap().push(id.get())).await.unwrap();
    assert!(matches!(verdict, ChainVerdict::Sound { rows: 25_001, .. }), "{verdict:?}");
    assert_eq!(*seen.lock().unwrap(), [10_000, 20_000, 25_001]);
}

#[tokio::test]
async fn the_faults_are_sentences() {
    assert_eq!(message(7).to_string(), "message 7 is not what the log says was sent or deleted");
    assert!(ChainError::CutOff.to_string().contains("cut off"));
}

#[tokio::test]
async fn going_on_from_a_row_does_not_look_at_the_messages_before_it() {
    let test = filled().await;
    assert_eq!(plan_of(&test.raw(), LAST_CREATED), "SEARCH audit_log USING INDEX audit_log_message_event (id<?)");
    let listed = plan_of(&test.raw(), messages::LISTED);
    assert!(listed.contains("USING INDEX audit_log_message (") && !listed.contains("TEMP B-TREE"), "{listed}");
}
