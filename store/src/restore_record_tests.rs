#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::testing::*;

#[tokio::test]
async fn a_restore_names_both_ends_and_the_log_that_was_given_up() {
    let test = TestStore::new().await;
    let head = test.store.audit_head().await.unwrap();
    assert_eq!(test.store.restores().await.unwrap(), []);
    let given_up = GivenUp { stream: "old".into(), head };
    test.store.record_restore(restoration(Some(given_up)), at(0)).await.unwrap();
    let row = log(&test.store).await.remove(1);
    assert_eq!(row.action, "DATABASE_RESTORED");
    let details: serde_json::Value = serde_json::from_str(&row.details).unwrap();
    for end in ["restored_head", "given_up_head"] {
        assert_eq!(details[end]["row"], 1, "{end}");
        assert_eq!(details[end]["hash"], head.hash.to_string(), "{end}");
    }
    let found = test.store.restores().await.unwrap().remove(0);
    assert_eq!((found.id.get(), found.at, found.previous_hash), (2, at(0), head.hash));
    assert_eq!(found.details.restored_head.as_ref().unwrap().position(), Some(head));
    assert_eq!(found.details.given_up_stream.as_deref(), Some("old"));
    assert_eq!(found.stream(test.store.database_id()), test.store.audit_stream().await.unwrap());
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_restore_on_a_new_machine_gives_up_nothing_that_is_known() {
    let test = TestStore::new().await;
    test.store.record_restore(restoration(None), at(0)).await.unwrap();
    let found = test.store.restores().await.unwrap().remove(0);
    assert_eq!((found.details.given_up_head, found.details.given_up_stream), (None, None));
}

#[test]
fn rows_of_earlier_versions_and_rows_that_say_nonsense_are_read() {
    let read = |text: &str| serde_json::from_str::<RestoreDetails>(text).unwrap_or_default();
    let earlier = r#"{"backup":"a","given_up_head":null,"restored_head":{"hash":"00","row":7}}"#;
    assert_eq!((read(earlier).backup.as_str(), read(earlier).given_up_stream), ("a", None));
    assert_eq!(read(earlier).restored_head.unwrap().position(), None, "no hash is that short");
    for nonsense in ["{}", "[]", r#"{"restored_head":"7"}"#, r#"{"backup":7}"#, "x"] {
        assert_eq!(read(nonsense), RestoreDetails::default(), "{nonsense}");
    }
}
