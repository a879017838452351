use serde_json::json;

use super::walk::{NEXT_ACTION, NEXT_ACTION_TO, NEXT_READER};
use super::*;
use crate::testing::*;
use crate::types::{Actor, Body, IdempotencyKey};
use crate::{EmergencyRequest, ExportFormat, NewReply};

fn filters(person: PersonId, action: Action) -> Vec<AuditFilter> {
    let mut all = Vec::new();
    for bits in 0..32 {
        all.push(AuditFilter {
            person: (bits & 1 != 0).then_some(person),
            action: (bits & 2 != 0).then_some(action),
            from: (bits & 4 != 0).then_some(at(10)),
            to: (bits & 8 != 0).then_some(at(21)),
            message: None,
            without_looks: bits & 16 != 0,
        });
    }
    all
}

fn matches(filter: &AuditFilter, row: &AuditRow) -> bool {
    let details: serde_json::Value = serde_json::from_str(&row.details).unwrap();
    let concerns = |person: PersonId| match &row.person {
        Some(actor) => actor.id == person,
        None => details["person"] == person.get(),
    };
    let names = |message: MessageId| match (row.action.as_str(), details["messages"].as_str()) {
        ("MESSAGE_VIEW", Some(named)) => named.split(", ").any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            (first.parse().unwrap()..=last.parse().unwrap()).contains(&message.get())
        }),
        _ => row.message == Some(message),
    };
    let is_look = ["AUDIT_VIEW", "MESSAGE_LIST"].contains(&row.action.as_str());
    filter.person.is_none_or(concerns)
        && filter.message.is_none_or(names)
        && filter.action.is_none_or(|action| row.action == action.as_str())
        && filter.from.is_none_or(|from| row.at >= from)
        && filter.to.is_none_or(|to| row.at < to)
        && (!is_look || !filter.without_looks || filter.action.is_some())
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
    // A conversation of three, opened as a whole and page by page, by both.
    let reply = |body| NewReply {
        to: id,
        body: Body::parse(body).unwrap(),
        addressed: crate::Addressed::default(),
        key: IdempotencyKey::fresh(),
    };
    for (who, time) in [(ben, 15), (ada, 22)] {
        test.store.send_reply(who, reply("reply"), at(time)).await.unwrap().unwrap();
    }
    let other = send(&test.store, ben, "another", "body").await;
    open_message(&test.store, ada, other, at(12)).await;
    for (who, page, size, time) in
        [(ada, 0, 50, 12), (ben, 1, 1, 13), (ada, 1, 2, 8), (ben, 0, 2, 20), (ada, 0, 50, 19)]
    {
        test.store.open_conversation(who, id, page, size, at(time)).await.unwrap().unwrap();
    }
    test.store.delete_message(ada, id, at(25)).await.unwrap();
    // What an operator does to somebody stands in a row of nobody signed in.
    for (enabled, time) in [(false, 18), (true, 24)] {
        test.store.set_staff_enabled("ben@clinic.example", enabled, "root", at(time)).await.unwrap();
    }
    for (email, time) in [("ada@clinic.example", 21), ("ben@clinic.example", 26)] {
        let request = EmergencyRequest { email: email.into(), reason: "x".into(), minutes: 5, operator: "root".into() };
        test.store.grant_emergency_access(request, at(time)).await.unwrap();
    }
    test.store.expire_emergency_grants(at(4_000_000)).await.unwrap();
    (test, ada)
}

#[tokio::test]
async fn pages_and_exports_hold_exactly_the_rows_of_every_filter() {
    let (test, ada) = varied().await;
    let ben =
        log(&test.store).await.iter().filter_map(|row| row.person.as_ref()).find(|by| by.name == "ben").unwrap().id;
    let message = |number| MessageId::new(number);
    let mut all = filters(ada.person, Action::MessageView);
    all.extend(filters(ada.person, Action::MessageList));
    all.extend(filters(ben, Action::StaffDisabled));
    all.extend(filters(ben, Action::SessionEnded));
    for number in 1..=5 {
        let of_message = filters(ada.person, Action::MessageView).into_iter();
        all.extend(of_message.map(|filter| AuditFilter { message: message(number), ..filter }));
    }
    for filter in all {
        let up_to = test.store.begin_audit_export(ada, filter.clone(), ExportFormat::Csv, at(99)).await.unwrap();
        let mut expected: Vec<_> =
            log(&test.store).await.into_iter().filter(|row| row.id <= up_to && matches(&filter, row)).collect();
        if filter != AuditFilter::default() && filter.message.is_none() {
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
        message: MessageId::new(7),
        without_looks: true,
    };
    let page = test.store.view_audit(ada, AuditFilter::default(), None, 2, at(99)).await.unwrap();
    assert_eq!(page.rows[0].action, "AUDIT_VIEW", "the look itself is the newest row");
    assert_eq!((page.rows.len(), page.older, page.head), (2, true, page.rows[0].id));
    assert_eq!(page.rows[0].details, "{}");
    let without_looks = AuditFilter { without_looks: true, ..AuditFilter::default() };
    test.store.view_audit(ada, without_looks, None, 2, at(99)).await.unwrap();
    assert_eq!(log(&test.store).await.pop().unwrap().details, r#"{"without":["AUDIT_VIEW","MESSAGE_LIST"]}"#);

    let up_to = test.store.begin_audit_export(ada, filter, ExportFormat::JsonLines, at(100)).await.unwrap();
    let row = log(&test.store).await.pop().unwrap();
    assert_eq!((row.id, row.action.as_str()), (up_to.next(), "AUDIT_EXPORT"));
    let details: serde_json::Value = serde_json::from_str(&row.details).unwrap();
    // That lists are left out goes without saying where one other action is asked for.
    let expected = json!({
        "person": ada.person, "action": "LOGIN", "message": 7, "from": at(1).to_rfc3339(), "to": at(2).to_rfc3339(), "format": "jsonl",
    });
    assert_eq!(details, expected);
}

#[test]
fn what_a_view_leaves_out_are_all_mere_looks_and_nothing_else() {
    let looks: Vec<_> = LOOKS.iter().map(|action| action.as_str()).collect();
    let sorted = |mut actions: Vec<&'static str>| {
        actions.sort_unstable();
        actions
    };
    assert_eq!(sorted(actions_in(Kind::WithoutLooks.from())), looks);
    assert_eq!(sorted(actions_that(Action::is_mere_look)), looks);
}

#[tokio::test]
async fn what_an_operator_did_to_somebody_concerns_them() {
    let (test, ada) = varied().await;
    let ben =
        AuditFilter { person: log(&test.store).await[2].person.as_ref().map(|by| by.id), ..AuditFilter::default() };
    assert_ne!(ben.person, Some(ada.person));
    let page = test.store.view_audit(ada, ben, None, 100, at(99)).await.unwrap();
    let to_ben: Vec<_> = page.rows.iter().filter(|row| row.person.is_none()).map(|row| row.action.as_str()).collect();
    let expected = [
        "EMERGENCY_ACCESS_ENDED",
        "SECURITY_ALERT",
        "EMERGENCY_ACCESS_GRANTED",
        "STAFF_ENABLED",
        "SESSION_ENDED",
        "STAFF_DISABLED",
    ];
    assert_eq!(to_ben, expected);
}

/// Details that somebody broke must not keep the index from being made, or rows from being found.
#[tokio::test]
async fn a_row_whose_details_are_no_json_any_more_does_not_break_the_index() {
    let (test, ada) = varied().await;
    test.tamper("UPDATE audit_log SET details = '{cut' WHERE action = 'STAFF_DISABLED'");
    let filter = AuditFilter { person: Some(ada.person), ..AuditFilter::default() };
    test.store.view_audit(ada, filter, None, 100, at(99)).await.unwrap();
    test.raw().execute_batch("REINDEX audit_log_done_to").unwrap();
}

/// In a log of millions, a page that sorts or walks the whole table takes seconds.
#[tokio::test]
async fn every_filter_walks_an_index_and_sorts_nothing() {
    let (test, ada) = varied().await;
    let raw = test.raw();
    let beyond = Some((at(5), AuditId::ZERO.next()));
    let messages = [None, MessageId::new(1)];
    let all = messages.iter().flat_map(|message| {
        let of = filters(ada.person, Action::Login).into_iter();
        of.map(|filter| AuditFilter { message: *message, ..filter })
    });
    for filter in all {
        for order in [Order::NewestFirst, Order::OldestFirst] {
            for beyond in [None, beyond] {
                for up_to in [None, Some(AuditId::ZERO.next())] {
                    for kind in kinds(&raw, &filter).unwrap() {
                        let plan = plan_of(&raw, &walk(&filter, &kind, order, beyond, up_to, 50).0);
                        assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
                        let expected = match &kind {
                            Kind::By(..) => "USING COVERING INDEX audit_log_person_action (person_id=? AND action=?",
                            Kind::To(..) => "INDEX audit_log_done_to (<expr>=? AND action=?",
                            Kind::Action(_) => "USING COVERING INDEX audit_log_action (action=?",
                            Kind::WithoutLooks => "USING INDEX audit_log_at",
                            Kind::Whole if beyond.is_some() || up_to.is_some() => "SEARCH a USING INTEGER PRIMARY KEY",
                            Kind::Whole => "SCAN a",
                            Kind::Sending(_) => "audit_log_person_action (person_id=? AND action=? AND at=?",
                            Kind::Opening(..) => "SEARCH o USING PRIMARY KEY (message_id=? AND person_id=?",
                            Kind::OnMessage(_) => "INDEX audit_log_message (message_id=?",
                        };
                        assert!(plan.contains(expected), "{kind:?} of {filter:?}: {plan}");
                        assert!(kind == Kind::Whole || kind == Kind::WithoutLooks || !plan.contains("SCAN"), "{plan}");
                    }
                }
            }
        }
    }
    let plan = plan_of(&raw, ROW);
    assert!(plan.starts_with("SEARCH a USING INTEGER PRIMARY KEY (rowid=?)") && !plan.contains("SCAN"), "{plan}");
    let plan = plan_of(&raw, NEXT_ACTION);
    assert_eq!(plan, "SEARCH audit_log USING COVERING INDEX audit_log_person_action (person_id=? AND action>?)");
    let plan = plan_of(&raw, NEXT_ACTION_TO);
    assert!(plan.contains("INDEX audit_log_done_to (<expr>=? AND action>?)"), "{plan}");
    let plan = plan_of(&raw, NEXT_READER);
    assert_eq!(plan, "SEARCH message_opening USING PRIMARY KEY (message_id=? AND person_id>?)");
}
