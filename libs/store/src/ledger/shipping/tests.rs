use proptest::prelude::*;

use super::*;
use crate::testing::*;

fn copy_named(sink: &str) -> AuditCopy {
    AuditCopy { sink: sink.into(), stream: "s".into() }
}

pub(in crate::ledger) fn id(number: i64) -> AuditId {
    AuditId::new(number).unwrap()
}

pub(in crate::ledger) async fn store_with_rows(rows: usize) -> TestStore {
    let test = TestStore::new().await;
    let actor = staff(&test.store, "amina").await;
    for number in 2..rows {
        send(&test.store, actor, "s", &format!("b {number}")).await;
    }
    test
}

fn refused(id_: i64) -> Quarantined {
    Quarantined { id: id(id_), reason: "too strange".into() }
}

#[tokio::test]
async fn the_shipping_state_of_a_copy_begins_empty_and_adds_up() {
    let test = store_with_rows(10).await;
    let copy = copy_named("a");
    let empty = test.store.shipping_state(&copy).await.unwrap();
    assert_eq!((empty.cursor, empty.shipped, empty.quarantined, empty.last_success), (AuditId::ZERO, 0, 0, None));

    assert!(test.store.advance_shipping(&copy, AuditId::ZERO, id(4), vec![], at(1)).await.unwrap());
    assert!(test.store.advance_shipping(&copy, id(4), id(7), vec![refused(5)], at(2)).await.unwrap());
    assert!(test.store.advance_shipping(&copy, id(7), id(8), vec![refused(8)], at(3)).await.unwrap());
    let state = test.store.shipping_state(&copy).await.unwrap();
    assert_eq!((state.cursor, state.shipped, state.quarantined), (id(8), 6, 2));
    assert_eq!(state.last_success, Some(at(2)), "a row that was given up on is no success");
    assert_eq!(test.store.quarantined(&copy).await.unwrap(), vec![refused(5), refused(8)]);
    let given_up = log(&test.store).await.into_iter().filter(|row| row.action == "AUDIT_ROW_QUARANTINED");
    assert_eq!(given_up.count(), 2);
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_cursor_that_somebody_else_moved_stays() {
    let test = store_with_rows(10).await;
    let copy = copy_named("a");
    assert!(test.store.advance_shipping(&copy, AuditId::ZERO, id(4), vec![], at(1)).await.unwrap());
    assert!(!test.store.advance_shipping(&copy, AuditId::ZERO, id(5), vec![], at(2)).await.unwrap());
    assert_eq!(test.store.shipping_state(&copy).await.unwrap().cursor, id(4));
}

#[tokio::test]
async fn a_row_that_was_not_on_its_way_cannot_be_quarantined() {
    let test = store_with_rows(10).await;
    let copy = copy_named("a");
    assert!(test.store.advance_shipping(&copy, AuditId::ZERO, id(4), vec![refused(5)], at(1)).await.is_err());
    assert_eq!(test.store.shipping_state(&copy).await.unwrap().cursor, AuditId::ZERO);
    assert_eq!(log(&test.store).await.len(), 10);
}

#[tokio::test]
async fn another_place_has_a_state_of_its_own() {
    let test = store_with_rows(10).await;
    assert!(test.store.advance_shipping(&copy_named("a"), AuditId::ZERO, id(4), vec![], at(1)).await.unwrap());
    assert_eq!(test.store.shipping_state(&copy_named("b")).await.unwrap().cursor, AuditId::ZERO);
}

#[tokio::test]
async fn an_error_is_written_down_and_moves_nothing() {
    let test = store_with_rows(4).await;
    let copy = copy_named("a");
    test.store.record_shipping_error(&copy, "nobody answers", at(5)).await.unwrap();
    assert!(test.store.advance_shipping(&copy, AuditId::ZERO, id(2), vec![], at(6)).await.unwrap());
    let state = test.store.shipping_state(&copy).await.unwrap();
    assert_eq!(state.last_error, Some((at(5), "nobody answers".into())));
    assert_eq!((state.cursor, state.last_success), (id(2), Some(at(6))));
}

#[tokio::test]
async fn the_shipping_state_cannot_be_set_back_or_thrown_away() {
    let test = store_with_rows(10).await;
    let copy = copy_named("a");
    assert!(test.store.advance_shipping(&copy, AuditId::ZERO, id(4), vec![refused(2)], at(1)).await.unwrap());
    let raw = test.raw();
    for sql in [
        "UPDATE shipping SET cursor = 2, shipped = 1",
        "UPDATE shipping SET cursor = 5",
        "DELETE FROM shipping",
        "DELETE FROM shipping_quarantine",
        "UPDATE shipping_quarantine SET reason = ''",
    ] {
        assert!(raw.execute(sql, ()).is_err(), "{sql}");
    }
}

#[tokio::test]
async fn a_new_stream_is_an_alert_once_for_each_place() {
    let test = TestStore::new().await;
    let copy = |sink: &str, stream: &str| AuditCopy { sink: sink.into(), stream: stream.into() };
    let first = test.store.alert_new_stream(&copy("a", "s"), at(0)).await.unwrap();
    assert_eq!(first, Some(id(2)));
    assert_eq!(test.store.alert_new_stream(&copy("a", "s"), at(1)).await.unwrap(), None);
    assert_eq!(test.store.alert_new_stream(&copy("b", "s"), at(2)).await.unwrap(), Some(id(3)));
    assert_eq!(test.store.alert_new_stream(&copy("a", "t"), at(3)).await.unwrap(), Some(id(4)));
    let row = log(&test.store).await.remove(1);
    assert_eq!(row.action, "SECURITY_ALERT");
    assert_eq!(row.details, r#"{"alarm":"new_audit_stream","sink":"a","stream":"s"}"#);
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn the_journals_position_is_kept_for_each_place() {
    let test = TestStore::new().await;
    test.store.set_journal_position("a", "s=1").await.unwrap();
    test.store.set_journal_position("a", "s=2").await.unwrap();
    assert_eq!(test.store.journal_position("a").await.unwrap().as_deref(), Some("s=2"));
    assert_eq!(test.store.journal_position("b").await.unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    /// Whatever steps a shipper takes, what was shipped and what was given up on add up to the cursor.
    #[test]
    fn shipped_and_quarantined_add_up(steps in proptest::collection::vec((1..4_i64, 0..3_usize), 1..8)) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let test = store_with_rows(12).await;
            let copy = copy_named("a");
            let mut cursor = 0;
            for (length, given_up) in steps {
                let from = AuditId::new(cursor).unwrap_or(AuditId::ZERO);
                let rows: Vec<_> = (cursor + 1..=cursor + length).take(given_up).map(refused).collect();
                if cursor + length > test.store.audit_head().await.unwrap().id.get() { break; }
                prop_assert!(test.store.advance_shipping(&copy, from, id(cursor + length), rows, at(1)).await.unwrap());
                cursor += length;
                let state = test.store.shipping_state(&copy).await.unwrap();
                prop_assert_eq!(state.shipped + state.quarantined, cursor.unsigned_abs());
                prop_assert_eq!(test.store.quarantined(&copy).await.unwrap().len() as u64, state.quarantined);
            }
            Ok(())
        })?;
    }
}
