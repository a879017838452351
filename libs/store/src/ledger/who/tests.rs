use super::*;
use crate::testing::*;
use crate::{ChainError, ChainVerdict, Identity, Location, SignIn, Store};

fn person(id: i64, error: PersonError) -> ChainError {
    ChainError::Person(PersonId::new(id).unwrap(), error)
}

/// 1 made, 2 ada signs in, 3 ben, 4 ada under another name, 5 ben is switched off.
async fn filled() -> TestStore {
    let test = TestStore::new().await;
    sign_in(&test.store, "ada", at(0)).await;
    sign_in(&test.store, "ben", at(1)).await;
    let renamed = Identity { email: "ada.l@clinic.example".into(), name: "Ada L".into(), ..identity("ada") };
    test.store.sign_in(renamed, None, client(), at(2)).await.unwrap();
    test.store.set_staff_enabled("ben@clinic.example", false, "root", at(3)).await.unwrap();
    assert!(assert_sound(&test.store).await >= 5);
    test
}

/// Exchanges a column of the two people; the account's two parts are unique together.
fn swap(column: &str) -> String {
    format!(
        "DROP TABLE IF EXISTS s; CREATE TEMP TABLE s AS SELECT id, {column} AS v FROM person; UPDATE person SET {column} = 'away' || id; \
         UPDATE person SET {column} = (SELECT v FROM s WHERE s.id = 3 - person.id)"
    )
}

#[tokio::test]
async fn anyone_who_is_exchanged_or_changed_in_the_file_is_named() {
    use PersonError::*;
    let test = filled().await;
    let (source, _directory) = test.close().await;
    let cases: &[(&str, i64, ChainError)] = &[
        (&swap("email"), 4, person(1, Profile)),
        (&swap("name"), 4, person(1, Profile)),
        (&swap("subject"), 4, person(1, Account)),
        ("UPDATE person SET issuer = 'https://evil.example' WHERE id = 2", 5, person(2, Account)),
        ("UPDATE person SET salt = randomblob(16) WHERE id = 2", 5, person(2, Account)),
        ("UPDATE person SET salt = NULL WHERE id = 2", 5, person(2, Account)),
        ("UPDATE person SET email = 'eve@clinic.example' WHERE id = 2", 5, person(2, Profile)),
        // Back to a name that the log had once.
        ("UPDATE person SET email = 'ada@clinic.example', name = 'ada' WHERE id = 1", 4, person(1, Profile)),
        ("UPDATE person SET disabled_at = NULL WHERE id = 2", 5, person(2, Disabled)),
        ("UPDATE person SET disabled_at = disabled_at + 1 WHERE id = 2", 5, person(2, Disabled)),
        ("UPDATE person SET disabled_at = 5 WHERE id = 1", 4, person(1, Disabled)),
        (
            "INSERT INTO person SELECT 3, issuer, 'new', email, name, 0, 0, NULL, salt FROM person WHERE id = 1",
            0,
            person(3, Unrecorded),
        ),
        ("DELETE FROM person WHERE id = 2", 5, person(2, Missing)),
    ];
    for (sql, row, error) in cases {
        let copy = TestStore::copy_of(&source).await;
        let head = copy.store.audit_head().await.unwrap().id.get();
        let ChainVerdict::Sound { head: before, people, .. } = copy.store.verify_chain(None, |_| ()).await.unwrap()
        else {
            panic!("not sound");
        };
        copy.unguarded().execute_batch(sql).unwrap();
        let row = if *row == 0 { head } else { *row };
        assert_eq!(first_error(&copy.store).await, (row, *error), "{sql}");
        // So does a look at the new rows alone, of which there are none.
        let again = copy.store.verify_chain(Some((before, people)), |_| ()).await.unwrap();
        assert!(matches!(again, ChainVerdict::Broken { error: found, .. } if found == *error), "{sql}: {again:?}");
    }
    assert_eq!(person(1, Profile).to_string(), "person 1 has another name or e-mail address than the log says");
}

/// A sign-in writes the truth over what was changed, and must not cover up that somebody came in as somebody else.
#[tokio::test]
async fn an_exchanged_account_shows_for_good_once_somebody_has_used_it() {
    let test = TestStore::new().await;
    for name in ["ada", "ben"] {
        sign_in(&test.store, name, at(0)).await;
    }
    let raw = test.unguarded();
    raw.execute_batch(&swap("subject")).unwrap();
    let (_, session) = sign_in(&test.store, "ada", at(1)).await;
    assert_eq!(session.person.get(), 2, "ada came in as ben");
    sign_in(&test.store, "ben", at(2)).await;
    assert_eq!(first_error(&test.store).await, (4, person(2, PersonError::Account)));
    // Also once everything was put back.
    raw.execute_batch(&swap("subject")).unwrap();
    for name in ["ada", "ben"] {
        sign_in(&test.store, name, at(3)).await;
    }
    assert_eq!(first_error(&test.store).await, (4, person(2, PersonError::Account)));
}

/// The operator names an address, and the file says whose it is.
#[tokio::test]
async fn switching_somebody_off_whose_address_was_exchanged_shows_for_good() {
    let test = TestStore::new().await;
    for name in ["ada", "ben"] {
        sign_in(&test.store, name, at(0)).await;
    }
    let raw = test.unguarded();
    raw.execute_batch(&swap("email")).unwrap();
    test.store.set_staff_enabled("ada@clinic.example", false, "root", at(1)).await.unwrap();
    raw.execute_batch(&swap("email")).unwrap();
    assert_eq!(first_error(&test.store).await, (4, person(2, PersonError::Profile)));
}

#[tokio::test]
async fn people_from_before_schema_6_are_vouched_for_from_then_on() {
    let test = filled().await;
    let (path, directory) = test.close().await;
    let file = directory.path().join("older.db");
    write_older(&path, &file, 5);
    let older = crate::backup::inspect(&file, &key(), |_| ()).unwrap();
    let store = Store::open(&Location::file(&file, &key()), crate::IfMissing::Refuse).await.unwrap();
    let rows = log(&store).await;
    let new = &rows[usize::try_from(older.head.id.get()).unwrap()..];
    assert_eq!(new.iter().map(|row| row.action.as_str()).collect::<Vec<_>>(), ["PERSON_RECORDED"; 2]);
    assert_eq!(details(&new[1])["person"], 2);
    assert!(rows[1].details.contains("ada@clinic.example"), "old rows stay as they are: {}", rows[1].details);
    assert_sound(&store).await;
    let (one, other) = (new[0].id.get(), new[1].id.get());
    store.close().await;
    let copy = TestStore::copy_of(&file).await;
    let salts: i64 = copy.raw().query_row("SELECT count(DISTINCT salt) FROM person", (), |row| row.get(0)).unwrap();
    assert_eq!(salts, 2, "each has a salt of its own");

    let cases: &[(&str, i64, ChainError)] = &[
        (&swap("name"), one, person(1, PersonError::Profile)),
        ("UPDATE person SET subject = 'x' WHERE id = 2", other, person(2, PersonError::Account)),
        // By the row from before.
        ("UPDATE person SET disabled_at = NULL", 5, person(2, PersonError::Disabled)),
        // To have them recorded once more, with the change.
        (
            "UPDATE person SET name = 'x'; ALTER TABLE person DROP COLUMN salt; DROP TABLE audit_personal; DROP TABLE migration; DROP TABLE urgent_step; DROP TABLE urgent; DROP TABLE duty; DROP TABLE template_draft; DROP TABLE template; DROP TABLE team_stay; DROP TABLE team; DROP TABLE conversation; DROP TABLE message_opening; DROP TABLE read_range; DROP INDEX audit_log_message; DROP INDEX audit_log_done_to; DROP TABLE message_reply; DROP TABLE draft; CREATE TABLE draft (person_id, filler, saved_at, idempotency_key, subject, body); PRAGMA user_version = 5",
            other + 1,
            person(1, PersonError::Account),
        ),
    ];
    for (sql, row, error) in cases {
        let copy = TestStore::copy_of(&file).await;
        copy.unguarded().execute_batch(sql).unwrap();
        let found = first_error(&copy.another().await).await;
        assert_eq!((found.1, found.0), (*error, *row), "{sql}");
    }

    // A backup of the older schema tells of nobody but who is switched off.
    let file = directory.path().join("older-again.db");
    write_older(&path, &file, 5);
    let raw = crate::sqlite::connection::open(&file, &key(), crate::sqlite::connection::Role::Writer).unwrap();
    raw.execute_batch("UPDATE person SET disabled_at = NULL").unwrap();
    drop(raw);
    let error = crate::backup::inspect(&file, &key(), |_| ()).unwrap_err().to_string();
    assert!(error.contains("person 2 is not switched off or on as the log says"), "{error}");
}

/// The row of the restore must follow the end of the log that was restored.
#[tokio::test]
async fn a_restored_database_of_an_older_schema_vouches_for_people_after_the_row_of_its_restore() {
    let test = filled().await;
    let (path, directory) = test.close().await;
    let file = directory.path().join("older.db");
    write_older(&path, &file, 5);
    let head = crate::backup::inspect(&file, &key(), |_| ()).unwrap().head;
    let store = Store::open_restored(&Location::file(&file, &key())).await.unwrap();
    assert_eq!(store.audit_head().await.unwrap(), head);
    store.record_restore(restoration(None), at(9)).await.unwrap();
    store.close().await;
    for _ in 0..2 {
        let store = Store::open(&Location::file(&file, &key()), crate::IfMissing::Refuse).await.unwrap();
        let rows = log(&store).await;
        let new = rows[usize::try_from(head.id.get()).unwrap()..].iter().map(|row| row.action.as_str());
        let new: Vec<_> = new.filter(|action| *action != "SESSION_EXPIRED").collect();
        assert_eq!(new, ["DATABASE_RESTORED", "PERSON_RECORDED", "PERSON_RECORDED"]);
        assert_sound(&store).await;
        store.close().await;
    }
}

#[tokio::test]
async fn somebody_whose_salt_was_spoilt_can_be_switched_off_and_sign_in_and_is_named() {
    let test = TestStore::new().await;
    for name in ["ada", "ben"] {
        sign_in(&test.store, name, at(0)).await;
    }
    test.unguarded().execute_batch("UPDATE person SET salt = x'00'").unwrap();
    sign_in(&test.store, "ada", at(1)).await;
    let change = test.store.set_staff_enabled("ben@clinic.example", false, "root", at(2)).await.unwrap();
    assert_eq!(change, crate::StaffChange::Changed { people: 1, sessions_ended: 1, moved: vec![] });
    assert_eq!(first_error(&test.store).await, (4, person(1, PersonError::Account)));
}

#[tokio::test]
async fn a_copy_in_which_somebody_was_exchanged_is_no_backup() {
    let test = filled().await;
    test.tamper(&swap("name"));
    let (path, _directory) = test.close().await;
    let error = crate::backup::inspect(&path, &key(), |_| ()).unwrap_err().to_string();
    assert!(error.contains("row 4: person 1 has another name or e-mail address than the log says"), "{error}");
}

/// Computed once with another implementation from the description above.
#[test]
fn the_hashes_are_the_documented_ones() {
    let who = Who::of(PersonId::new(3).unwrap(), &[7; 16], ("https://id.example", "s"), ("a@b.example", "Ada"));
    assert_eq!(who.account, "cb19a3efe51d336bfa065bb6cee9855257a11f4d8008b9647dd2d63b019e3b99");
    assert_eq!(who.profile, "d6750612df5a9ca36944b6e25c61cb9354f65df4633db934671eb31f7daa62bb");
}

#[tokio::test]
async fn a_salt_is_a_persons_own_and_stays() {
    let test = TestStore::new().await;
    for name in ["ada", "ben", "ada"] {
        let SignIn::SignedIn { .. } = test.store.sign_in(identity(name), None, client(), at(0)).await.unwrap() else {
            panic!("disabled");
        };
    }
    let rows = log(&test.store).await;
    let who = |row: usize| details(&rows[row])["who"].clone();
    assert_eq!(who(1), who(3));
    assert_ne!(who(1), who(2));
    let salts: i64 = test.raw().query_row("SELECT count(DISTINCT salt) FROM person", (), |row| row.get(0)).unwrap();
    assert_eq!(salts, 2);
}
