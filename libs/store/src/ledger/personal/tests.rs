use serde_json::json;

use super::*;
use crate::testing::*;
use crate::{ChainError, EmergencyRequest, Granted, Identity, PersonId, RefusedSignIn, SessionState, Store};

/// Computed once with another implementation from the description above.
#[test]
fn the_hash_is_the_documented_one() {
    let personal = Personal { salt: [7; 16], details: "{\"email\":\"a@b.example\"}".into() };
    assert_eq!(personal.hash().to_string(), "cfc7a71bf961afcf3e800fe9bfb52309fd097f02383481a36c9bb94fbe06992d");
}

#[test]
fn a_reader_gets_the_fields_instead_of_the_hash_and_without_them_the_hash() {
    let details = r#"{"new_person":false,"personal":"ab"}"#;
    let read = |personal| Value::from(with_personal(details, personal).unwrap());
    assert_eq!(read(Some(r#"{"email":"a@b.example"}"#)), json!({ "new_person": false, "email": "a@b.example" }));
    for none in [None, Some("    "), Some("[]")] {
        assert_eq!(read(none), json!({ "new_person": false, "personal": "ab" }), "{none:?}");
    }
    assert!(with_personal("no JSON", None).is_none());
}

/// Everything that writes down a name, with names that are easy to find.
async fn everything_that_names(store: &Store) -> PersonId {
    let ada = Identity { name: "Name-Ada".into(), ..identity("ada") };
    let (token, session) = match store.sign_in(ada, None, client(), at(0)).await.unwrap() {
        crate::SignIn::SignedIn { token, session } => (token, session),
        crate::SignIn::Disabled => panic!("disabled"),
    };
    let stranger = Identity { subject: "Name-subject".into(), ..identity("eve") };
    for n in 0..11 {
        let ip = std::net::IpAddr::from([203, 0, 113, n]);
        let refusal = RefusedSignIn { verified_account: Some(stranger.clone()), reason: "not_staff", ip };
        store.record_refused_sign_in(refusal, at(1)).await.unwrap();
    }
    for revoke_used in [false, true] {
        let request = EmergencyRequest {
            email: "ada@clinic.example".into(),
            reason: "Name-reason".into(),
            minutes: 30,
            operator: "Name-operator".into(),
        };
        let Granted::Code { id, code, .. } = store.grant_emergency_access(request, at(2)).await.unwrap() else {
            panic!("no code");
        };
        if revoke_used {
            store.use_emergency_code(code, None, client(), at(3)).await.unwrap();
        }
        store.revoke_emergency_access(id, "Name-operator", at(4)).await.unwrap();
    }
    store.set_staff_enabled("ada@clinic.example", false, "Name-operator", at(5)).await.unwrap();
    assert!(!matches!(store.session(&token, LIMITS, at(6)).await.unwrap(), SessionState::Live(_)));
    store.set_staff_enabled("ada@clinic.example", true, "Name-operator", at(7)).await.unwrap();
    store.record_identity_shown("Name-operator", at(8)).await.unwrap();
    session.person
}

#[tokio::test]
async fn no_row_of_the_log_names_anybody_and_readers_find_all_of_it_beside() {
    let test = TestStore::new().await;
    everything_that_names(&test.store).await;
    let rows = log(&test.store).await;
    let named = ["Name-", "@clinic.example", "https://id.example", "subject-"];
    for row in &rows {
        assert!(!named.iter().any(|name| row.details.contains(name)), "{}: {}", row.action, row.details);
        assert_eq!(row.details.contains("\"personal\""), row.personal.is_some(), "{}", row.action);
    }
    let of = |action: &str| details(rows.iter().rfind(|row| row.action == action).unwrap());
    assert_eq!(of("LOGIN")["email"], "ada@clinic.example");
    assert_eq!(of("LOGIN_DENIED")["subject"], "Name-subject");
    assert_eq!(of("SECURITY_ALERT")["alarm"], "emergency_access_used");
    let alert = rows.iter().map(details).find(|details| details["alarm"] == "failed_sign_ins").unwrap();
    assert_eq!(alert["account"]["email"], "eve@clinic.example");
    let granted = of("EMERGENCY_ACCESS_GRANTED");
    assert_eq!((&granted["email"], &granted["reason"]), (&json!("ada@clinic.example"), &json!("Name-reason")));
    for action in ["EMERGENCY_ACCESS_GRANTED", "STAFF_DISABLED", "STAFF_ENABLED", "BACKUP_IDENTITY_SHOWN"] {
        assert_eq!(of(action)["operator"], "Name-operator", "{action}");
    }
    for action in ["EMERGENCY_ACCESS_ENDED", "SESSION_ENDED"] {
        let told = rows.iter().filter(|row| row.action == action).map(details);
        assert!(told.into_iter().any(|details| details["operator"] == "Name-operator"), "{action}");
    }
    let shipped = test.store.audit_events(AuditId::ZERO, 1_000, 1 << 20).await.unwrap();
    for (event, row) in shipped.iter().zip(&rows) {
        assert_eq!(event.personal.as_ref().map(|personal| &personal.details), row.personal.as_ref());
    }
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn what_stands_beside_a_row_is_held_against_it() {
    let test = TestStore::new().await;
    everything_that_names(&test.store).await;
    let head = test.store.audit_head().await.unwrap().id.get();
    let (source, _directory) = test.close().await;
    for (sql, row, error) in [
        ("UPDATE audit_personal SET details = replace(details, 'ada@', 'ben@') WHERE audit_id = 2", 2, "Changed"),
        ("UPDATE audit_personal SET salt = randomblob(16) WHERE audit_id = 3", 3, "Changed"),
        ("UPDATE audit_personal SET salt = x'00' WHERE audit_id = 3", 3, "Changed"),
        ("UPDATE audit_personal SET details = ''", 2, "Changed"),
        ("INSERT INTO audit_personal VALUES (1, randomblob(16), '{}')", 1, "Changed"),
        ("INSERT INTO audit_personal VALUES (999, randomblob(16), '{}')", head, "Changed"),
        ("DELETE FROM audit_personal WHERE audit_id = 4", 4, "Gone"),
        ("DROP TABLE audit_personal", 2, "Gone"),
        // As erasing will leave it.
        (
            "UPDATE audit_personal SET salt = zeroblob(16), details = printf('%*s', length(details), '') WHERE audit_id = 5",
            5,
            "Gone",
        ),
    ] {
        let copy = TestStore::copy_of(&source).await;
        copy.unguarded().execute_batch(sql).unwrap();
        let expected = if error == "Gone" { ChainError::PersonalGone } else { ChainError::PersonalChanged };
        assert_eq!(first_error(&copy.store).await, (row, expected), "{sql}");
        // Pages, exports and the copy go on without it.
        let shipped = copy.store.audit_events(AuditId::ZERO, 1_000, 1 << 20).await;
        assert!(sql.starts_with("DROP") || shipped.unwrap().len() as i64 == head, "{sql}");
    }
}

#[tokio::test]
async fn the_guards_refuse_every_change_beside_the_log() {
    let test = TestStore::new().await;
    sign_in(&test.store, "ada", at(0)).await;
    for sql in ["UPDATE audit_personal SET details = '{}'", "DELETE FROM audit_personal"] {
        let error = test.raw().execute_batch(sql).expect_err(sql);
        assert!(error.to_string().contains("stays as it was"), "{error}");
    }
    assert_sound(&test.store).await;
}

/// Ten refusals are remembered by their account also where the memory is made from rows.
#[tokio::test]
async fn an_account_whose_names_are_gone_counts_by_its_address_alone() {
    let test = TestStore::new().await;
    let refused = |n: u8, time| {
        let ip = std::net::IpAddr::from([203, 0, 113, n]);
        let refusal = RefusedSignIn { verified_account: Some(identity("eve")), reason: "not_staff", ip };
        (refusal, at(time))
    };
    for n in 0..9 {
        let (refusal, time) = refused(n, i64::from(n));
        test.store.record_refused_sign_in(refusal, time).await.unwrap();
    }
    test.unguarded().execute_batch("DELETE FROM audit_personal").unwrap();
    let started_again = test.another().await;
    let (refusal, time) = refused(9, 10);
    started_again.record_refused_sign_in(refusal, time).await.unwrap();
    assert_eq!(actions(&test.store).await.last().unwrap(), "LOGIN_DENIED");
}
