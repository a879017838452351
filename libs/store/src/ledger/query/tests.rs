use serde_json::json;

use super::*;
use crate::ExportFormat;
use crate::testing::*;
use crate::types::Actor;

fn filters(person: PersonId, action: Action) -> Vec<AuditFilter> {
    let mut all = Vec::new();
    for bits in 0..32 {
        all.push(AuditFilter {
            person: (bits & 1 != 0).then_some(person),
            action: (bits & 2 != 0).then_some(action),
            from: (bits & 4 != 0).then_some(at(10)),
            to: (bits & 8 != 0).then_some(at(21)),
            without_lists: bits & 16 != 0,
        });
    }
    all
}

fn matches(filter: &AuditFilter, row: &AuditRow) -> bool {
    filter.person.is_none_or(|person| row.person.as_ref().is_some_and(|author| author.id == person))
        && filter.action.is_none_or(|action| row.action == action.as_str())
        && filter.from.is_none_or(|from| row.at >= from)
        && filter.to.is_none_or(|to| row.at < to)
        && (row.action != "MESSAGE_LIST" || !filter.without_lists || filter.action == Some(Action::MessageList))
}

/// Two people's acts at times that go forth and back, several at the same time.
async fn varied() -> (TestStore, Actor) {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let id = send(&test.store, ada, "subject", "body").await;
    for (turn, time) in [10, 30, 20, 20, 21, 9, 20, 11, 10, 40].into_iter().enumerate() {
        let who = if turn % 3 == 0 { ben } else { ada };
        open_message(&test.store, who, id, at(time)).await;
        test.store.record_list_shown(who, [id].into(), None, at(time)).await.unwrap();
    }
    (test, ada)
}

#[tokio::test]
async fn pages_and_exports_hold_exactly_the_rows_of_every_filter() {
    let (test, ada) = varied().await;
    let of = |action| filters(ada.person, action);
    for filter in of(Action::MessageView).into_iter().chain(of(Action::MessageList)) {
        let up_to = test.store.begin_audit_export(ada, filter.clone(), ExportFormat::Csv, at(99)).await.unwrap();
        let mut expected: Vec<_> =
            log(&test.store).await.into_iter().filter(|row| row.id <= up_to && matches(&filter, row)).collect();
        if filter != AuditFilter::default() {
            expected.sort_by_key(|row| (row.at, row.id));
        }
        let expected: Vec<_> = expected.into_iter().map(|row| row.id).collect();
        for limit in [1, 2, 3, 100] {
            let (mut after, mut seen) = (AuditId::ZERO, Vec::new());
            loop {
                let rows = test.store.audit_rows(&filter, after, up_to, limit).await.unwrap();
                let Some(last) = rows.last() else { break };
                after = last.id;
                seen.extend(rows.iter().map(|row| row.id));
            }
            assert_eq!(seen, expected, "export {limit} at a time of {filter:?}");
        }

        let (mut before, mut seen) = (None, Vec::new());
        loop {
            let page = test.store.view_audit(ada, filter.clone(), before, 3, at(99)).await.unwrap();
            assert!(page.rows.iter().all(|row| matches(&filter, row)));
            seen.extend(page.rows.iter().map(|row| row.id).filter(|id| *id <= up_to));
            before = page.rows.last().map(|row| row.id);
            if !page.older {
                break;
            }
        }
        seen.reverse();
        assert_eq!(seen, expected, "pages of {filter:?}");
    }
}

#[tokio::test]
async fn looking_and_exporting_are_recorded_first_with_what_was_asked() {
    let (test, ada) = varied().await;
    let filter = AuditFilter {
        person: Some(ada.person),
        action: Some(Action::Login),
        from: Some(at(1)),
        to: Some(at(2)),
        without_lists: true,
    };
    let page = test.store.view_audit(ada, AuditFilter::default(), None, 2, at(99)).await.unwrap();
    assert_eq!(page.rows[0].action, "AUDIT_VIEW", "the look itself is the newest row");
    assert_eq!((page.rows.len(), page.older, page.head), (2, true, page.rows[0].id));
    assert_eq!(page.rows[0].details, "{}");
    let without_lists = AuditFilter { without_lists: true, ..AuditFilter::default() };
    test.store.view_audit(ada, without_lists, None, 2, at(99)).await.unwrap();
    assert_eq!(log(&test.store).await.pop().unwrap().details, r#"{"without":"MESSAGE_LIST"}"#);

    let up_to = test.store.begin_audit_export(ada, filter, ExportFormat::JsonLines, at(100)).await.unwrap();
    let row = log(&test.store).await.pop().unwrap();
    assert_eq!((row.id, row.action.as_str()), (up_to.next(), "AUDIT_EXPORT"));
    let details: serde_json::Value = serde_json::from_str(&row.details).unwrap();
    // That lists are left out goes without saying where one other action is asked for.
    let expected = json!({
        "person": ada.person, "action": "LOGIN", "from": at(1).to_rfc3339(), "to": at(2).to_rfc3339(), "format": "jsonl",
    });
    assert_eq!(details, expected);
}

/// In a log of millions, a page that sorts or walks the whole table takes seconds.
#[tokio::test]
async fn every_filter_walks_an_index_and_sorts_nothing() {
    let (test, ada) = varied().await;
    let raw = test.raw();
    let beyond = Some((at(5), AuditId::ZERO.next()));
    for filter in filters(ada.person, Action::Login) {
        for order in [Order::NewestFirst, Order::OldestFirst] {
            for beyond in [None, beyond] {
                for up_to in [None, Some(AuditId::ZERO.next())] {
                    for kind in kinds(&raw, &filter).unwrap() {
                        let plan = plan_of(&raw, &walk(&filter, &kind, order, beyond, up_to, 50).0);
                        assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
                        let expected = match (kind, filter.person) {
                            (Kind::Action(_), Some(_)) => {
                                "USING COVERING INDEX audit_log_person_action (person_id=? AND action=?"
                            }
                            (Kind::Action(_), None) => "USING COVERING INDEX audit_log_action (action=?",
                            (Kind::WithoutLists, _) => "USING INDEX audit_log_at",
                            (Kind::Whole, _) if beyond.is_some() || up_to.is_some() => {
                                "SEARCH audit_log USING INTEGER PRIMARY KEY"
                            }
                            (Kind::Whole, _) => "SCAN audit_log",
                        };
                        assert!(plan.contains(expected), "{filter:?}: {plan}");
                    }
                }
            }
        }
    }
    let plan = plan_of(&raw, ROW);
    assert!(plan.starts_with("SEARCH a USING INTEGER PRIMARY KEY (rowid=?)") && !plan.contains("SCAN"), "{plan}");
    let plan = plan_of(&raw, NEXT_ACTION);
    assert_eq!(plan, "SEARCH audit_log USING COVERING INDEX audit_log_person_action (person_id=? AND action>?)");
}
