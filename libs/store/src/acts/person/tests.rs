use super::*;
use crate::testing::*;
use crate::types::Identity;
use crate::{SessionState, SignIn};

#[tokio::test]
async fn disabling_ends_every_session_and_keeps_the_person_out() {
    let test = TestStore::new().await;
    let (one, _) = sign_in(&test.store, "ada", at(0)).await;
    let (two, _) = sign_in(&test.store, "ada", at(1)).await;
    let (other, _) = sign_in(&test.store, "ben", at(1)).await;
    let change = test.store.set_staff_enabled(" ADA@clinic.example ", false, "root", at(10)).await.unwrap();
    assert_eq!(change, StaffChange::Changed { people: 1, sessions_ended: 2, moved: vec![] });
    for token in [&one, &two] {
        let state = test.store.session(token, LIMITS, at(11)).await.unwrap();
        assert!(matches!(state, SessionState::Ended(EndReason::Disabled)), "{state:?}");
    }
    assert!(matches!(test.store.session(&other, LIMITS, at(11)).await.unwrap(), SessionState::Live(_)));
    let refused = test.store.sign_in(identity("ada"), None, client(), at(12)).await.unwrap();
    assert!(matches!(refused, SignIn::Disabled));
    assert_eq!(actions(&test.store).await[3..], ["STAFF_DISABLED", "SESSION_ENDED", "SESSION_ENDED", "LOGIN_DENIED"]);
    let rows = log(&test.store).await;
    assert_eq!(details(&rows[4])["operator"], "root");
    assert_eq!(test.store.people().await.unwrap()[0].disabled_at, Some(at(10)));

    // The same address under a new account does not slip through.
    let other = Identity { subject: "new".into(), email: "Ada@Clinic.example".into(), ..identity("ada") };
    assert!(matches!(test.store.sign_in(other, None, client(), at(13)).await.unwrap(), SignIn::Disabled));

    let change = test.store.set_staff_enabled("ada@clinic.example", true, "root", at(20)).await.unwrap();
    assert_eq!(change, StaffChange::Changed { people: 1, sessions_ended: 0, moved: vec![] });
    assert_eq!(actions(&test.store).await.last().unwrap(), "STAFF_ENABLED");
    sign_in(&test.store, "ada", at(21)).await;
}

#[tokio::test]
async fn changing_nothing_or_nobody_is_said_and_not_recorded() {
    let test = TestStore::new().await;
    sign_in(&test.store, "ada", at(0)).await;
    let unknown = test.store.set_staff_enabled("eve@clinic.example", false, "root", at(10)).await.unwrap();
    assert_eq!(unknown, StaffChange::Unknown);
    let unchanged = test.store.set_staff_enabled("ada@clinic.example", true, "root", at(10)).await.unwrap();
    assert_eq!(unchanged, StaffChange::Unchanged);
    assert_eq!(actions(&test.store).await, ["LOGIN"]);
}

#[tokio::test]
async fn people_are_listed_by_name() {
    let test = TestStore::new().await;
    for name in ["cyd", "Ben", "ada"] {
        sign_in(&test.store, name, at(0)).await;
    }
    let names: Vec<_> = test.store.people().await.unwrap().into_iter().map(|person| person.name).collect();
    assert_eq!(names, ["ada", "Ben", "cyd"]);
}
