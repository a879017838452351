use super::*;
use crate::testing::*;
use crate::{RefusedSignIn, Store};

const MINUTE: i64 = 60_000;

async fn fail(store: &Store, name: Option<&str>, ip: &str, time: i64) {
    let ip = ip.parse().unwrap();
    let refusal = RefusedSignIn { verified_account: name.map(identity), reason: "nonce", ip };
    store.record_refused_sign_in(refusal, at(time)).await.unwrap();
}

async fn alerts(store: &Store) -> Vec<Value> {
    let rows = log(store).await.into_iter().filter(|row| row.action == "SECURITY_ALERT");
    rows.map(|row| details(&row)).collect()
}

#[tokio::test]
async fn ten_failures_from_one_address_raise_one_alert_right_behind_the_tenth() {
    let test = TestStore::new().await;
    for n in 0..15 {
        fail(&test.store, None, &format!("2001:db8:1:2::{n}"), n).await;
        fail(&test.store, None, &format!("203.0.113.{n}"), n).await;
    }
    let rows = log(&test.store).await;
    let alert = rows.iter().position(|row| row.action == "SECURITY_ALERT").unwrap();
    assert_eq!(rows[..alert].iter().filter(|row| row.ip.as_deref().unwrap_or("").contains(':')).count(), 10);
    assert_eq!(rows[alert].ip, rows[alert - 1].ip);
    let expected = json!({ "alarm": "failed_sign_ins", "failures": 10, "minutes": 5, "address": "2001:db8:1:2::/64" });
    assert_eq!(alerts(&test.store).await, [expected]);
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn ten_failures_for_one_account_raise_an_alert_wherever_they_come_from() {
    let test = TestStore::new().await;
    let (_, ada) = sign_in(&test.store, "ada", at(0)).await;
    test.store.set_staff_enabled("ada@clinic.example", false, "root", at(0)).await.unwrap();
    for n in 0..5 {
        fail(&test.store, Some("ada"), &format!("203.0.113.{n}"), n).await;
        let client =
            crate::Client { ip: IpAddr::from([198, 51, 100, u8::try_from(n).unwrap()]), user_agent: String::new() };
        test.store.sign_in(identity("ada"), None, client, at(n)).await.unwrap();
    }
    let raised = alerts(&test.store).await;
    assert_eq!(raised.len(), 1);
    assert_eq!(raised[0]["account"]["email"], "ada@clinic.example");
    let row = log(&test.store).await.pop().unwrap();
    assert_eq!(row.person.unwrap().id, ada.person);
}

#[tokio::test]
async fn a_restart_forgets_neither_failures_nor_alerts() {
    let test = TestStore::new().await;
    for n in 0..9 {
        fail(&test.store, Some("eve"), "203.0.113.1", n).await;
    }
    let started_again = test.another().await;
    fail(&started_again, Some("eve"), "203.0.113.1", 20).await;
    assert_eq!(alerts(&test.store).await.len(), 2, "the address and the account");
    let and_again = test.another().await;
    for n in 0..10 {
        fail(&and_again, Some("eve"), "203.0.113.1", 30 + n).await;
    }
    assert_eq!(alerts(&test.store).await.len(), 2, "once in a window");
    for n in 0..10 {
        fail(&and_again, Some("eve"), "203.0.113.1", 6 * MINUTE + n).await;
    }
    assert_eq!(alerts(&test.store).await.len(), 4);
}

#[tokio::test]
async fn a_write_that_failed_takes_nothing_from_the_count() {
    let test = TestStore::new().await;
    for n in 0..9 {
        fail(&test.store, None, "203.0.113.1", n).await;
    }
    let failures = test.store.failed_sign_ins();
    assert!(failures.settle::<()>(Err(StoreError::Busy)).is_err());
    assert!(failures.lock().is_none(), "what was counted may not be on the disk");
    fail(&test.store, None, "203.0.113.1", 10).await;
    assert_eq!(alerts(&test.store).await.len(), 1);
}

fn unproven(failures: u64, from_ip: u64, ip: &str) -> crate::UnprovenSignIns {
    let reasons = vec![("invalid_grant", failures)];
    crate::UnprovenSignIns { failures, reasons, addresses: 3, ip: ip.parse().unwrap(), from_ip }
}

/// Two rows tell of twelve failures of an address, and an alert of them; a restart reads the same out of the rows.
#[tokio::test]
async fn failures_that_share_a_row_are_counted_as_many() {
    let test = TestStore::new().await;
    test.store.record_unproven_sign_ins(unproven(100, 6, "203.0.113.1"), at(0)).await.unwrap();
    assert_eq!(alerts(&test.store).await.len(), 0);
    let started_again = test.another().await;
    started_again.record_unproven_sign_ins(unproven(50, 6, "203.0.113.1"), at(MINUTE)).await.unwrap();
    assert_eq!(alerts(&test.store).await.len(), 1);
    started_again.record_unproven_sign_ins(unproven(u64::MAX, u64::MAX, "203.0.113.1"), at(2 * MINUTE)).await.unwrap();
    assert_eq!(alerts(&test.store).await.len(), 1, "once in a window");
    let rows = log(&test.store).await;
    let failed: Vec<_> = rows.iter().filter(|row| row.action == "LOGIN_FAILED").collect();
    assert_eq!(failed.len(), 3);
    let details: Value = serde_json::from_str(&failed[0].details).unwrap();
    let expected = json!({ "reason": "several", "failures": 100, "reasons": { "invalid_grant": 100 }, "addresses": 3, "from_this_address": 6 });
    assert_eq!(details, expected);
    test.store.record_unproven_sign_ins(unproven(1, 1, "203.0.113.9"), at(3 * MINUTE)).await.unwrap();
    assert_eq!(log(&test.store).await.pop().unwrap().details, r#"{"reason":"invalid_grant"}"#);
    assert_sound(&test.store).await;
}
