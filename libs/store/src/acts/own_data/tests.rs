use super::messages::{OPENINGS, OWN_MESSAGES};
use super::*;
use crate::acts::conversation::tests::{open, send_reply};
use crate::testing::*;
use crate::{DraftSaved, OpeningKey, Seen, TeamName, TeamNamed};

const END: i64 = i64::MAX;

fn end() -> AuditId {
    AuditId::new(END).unwrap()
}

#[tokio::test]
async fn pages_of_ones_own_messages_hold_each_once_and_nobody_elses() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let root = send(&test.store, ada, "hers", "first").await;
    let others = send(&test.store, ben, "his", "second").await;
    let reply = send_reply(&test.store, ada, others, "a reply", 50).await;
    let gone = send(&test.store, ada, "gone", "third").await;
    test.store.delete_message(ada, gone, at(60)).await.unwrap();
    let mut found = Vec::new();
    let mut after = AuditId::ZERO;
    loop {
        let page = test.store.own_messages(ada.person, after, end(), 1).await.unwrap();
        let Some(message) = page.into_iter().next() else { break };
        after = message.row;
        found.push((message.id, message.conversation, message.subject, message.body, message.deleted_at));
    }
    // The clock of the reply was later than that of what came after it: the walk goes along the times.
    assert_eq!(
        found,
        [
            (root, root, Some("hers".into()), Some("first".into()), None),
            (gone, gone, None, None, Some(at(60))),
            (reply, others, None, Some("a reply".into()), None),
        ]
    );
    let row = test.store.own_messages(ada.person, AuditId::ZERO, end(), 1).await.unwrap()[0].row;
    assert_eq!(test.store.own_messages(ada.person, AuditId::ZERO, row, 9).await.unwrap().len(), 1, "up to a row");
}

#[tokio::test]
async fn who_else_opened_ones_messages_is_told_page_by_page() {
    let test = TestStore::new().await;
    let mut all = Vec::new();
    for name in ["ada", "ben", "cleo"] {
        all.push(staff(&test.store, name).await);
    }
    let [ada, ben, cleo] = all[..] else { panic!() };
    let root = send(&test.store, ada, "hers", "text").await;
    let reply = send_reply(&test.store, ben, root, "his", 50).await;
    let second = send(&test.store, ada, "hers too", "text").await;
    for actor in [cleo, ben, ada, cleo] {
        open(&test.store, actor, root, 0, 50).await;
    }
    open(&test.store, ben, second, 0, 50).await;
    let mut found = Vec::new();
    let mut key = OpeningKey::default();
    while let Some(opening) = test.store.openings_of_own(ada.person, key, end(), 1).await.unwrap().pop() {
        key = opening.key;
        found.push((opening.message, opening.by.name));
    }
    let named = |message, name: &str| (message, name.to_owned());
    assert_eq!(found, [named(root, "ben"), named(root, "cleo"), named(root, "cleo"), named(second, "ben")]);
    let of_ben = test.store.openings_of_own(ben.person, OpeningKey::default(), end(), 9).await.unwrap();
    assert!(of_ben.iter().all(|opening| opening.message == reply), "{of_ben:?}");

    let counts = test.store.own_data_counts(ada.person, end()).await.unwrap();
    let acts =
        log(&test.store).await.iter().filter(|row| row.person.as_ref().is_some_and(|by| by.id == ada.person)).count();
    let expected = OwnDataCounts { acts: u64::try_from(acts).unwrap(), messages: 2, openings: 1, opened_by_others: 4 };
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn drafts_and_sessions_are_ones_own() {
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let root = send(&test.store, ben, "his", "text").await;
    for (actor, conversation, body) in [(ada, None, "new"), (ada, Some(root), "reply"), (ben, None, "his own")] {
        let key = IdempotencyKey::fresh();
        let draft = Draft {
            conversation,
            key,
            subject: String::new(),
            body: body.into(),
            addressed: Addressed::default(),
            saved_at: at(70),
        };
        let saved = test.store.save_draft(actor, draft, Seen::Nothing).await.unwrap();
        assert!(matches!(saved, DraftSaved::Kept(_)));
    }
    let first = test.store.own_drafts(ada.person, None, 1).await.unwrap();
    assert_eq!((first[0].conversation, first[0].body.as_str()), (None, "new"));
    let rest = test.store.own_drafts(ada.person, Some(first[0].conversation), 9).await.unwrap();
    assert_eq!(
        rest.iter().map(|draft| (draft.conversation, draft.body.as_str())).collect::<Vec<_>>(),
        [(Some(root), "reply")]
    );

    test.store.sign_out(ada, at(80)).await.unwrap();
    let (_, second) = sign_in(&test.store, "ada", at(90)).await;
    let read = async |after| test.store.past_sessions(ada.person, Action::Login, after, end(), 1).await.unwrap();
    let page = read(AuditId::ZERO).await;
    assert_eq!(
        (page[0].id, page[0].ended_at, page[0].user_agent.as_deref()),
        (Some(ada.session), Some(at(80)), Some("test"))
    );
    let page = read(page[0].row).await;
    assert_eq!((page[0].id, page[0].ended_at), (Some(second.id), None));
    assert!(read(page[0].row).await.is_empty());
    let account = test.store.own_account(ada.person).await.unwrap();
    assert_eq!((account.subject.as_str(), account.last_sign_in_at), ("subject-ada", Some(at(90))));
}

#[tokio::test]
async fn teams_are_ones_own_stay_by_stay_and_as_they_were_at_the_row() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let name = |text| TeamName::parse(text).unwrap();
    let TeamNamed::Named(ward) = store.create_team(ada, name("Ward 3"), at(10)).await.unwrap() else { panic!() };
    let TeamNamed::Named(call) = store.create_team(ben, name("On call"), at(11)).await.unwrap() else { panic!() };
    store.leave_team(ada, ward, true, at(12)).await.unwrap();
    store.join_team(ada, call, at(13)).await.unwrap();
    let up_to = store.audit_head().await.unwrap().id;
    store.join_team(ada, ward, at(14)).await.unwrap();
    store.leave_team(ada, call, true, at(15)).await.unwrap();
    store.rename_team(ben, ward, name("Ward 4"), at(16)).await.unwrap();
    let read = async |up_to| {
        let (mut found, mut after) = (Vec::new(), AuditId::ZERO);
        while let Some(stay) = store.own_teams(ada.person, after, up_to, 1).await.unwrap().pop() {
            after = stay.row;
            found.push((stay.id, stay.name, stay.from, stay.until));
        }
        found
    };
    let of = |team, name: &str, from, until: Option<i64>| (team, name.to_owned(), at(from), until.map(at));
    assert_eq!(read(up_to).await, [of(ward, "Ward 4", 10, Some(12)), of(call, "On call", 13, None)]);
    let all = [of(ward, "Ward 4", 10, Some(12)), of(call, "On call", 13, Some(15)), of(ward, "Ward 4", 14, None)];
    assert_eq!(read(end()).await, all);
}

#[tokio::test]
async fn every_walk_goes_along_an_index_and_sorts_nothing() {
    let test = TestStore::new().await;
    let raw = test.raw();
    for sql in [COUNT_MESSAGES, COUNT_VIEWS, COUNT_OPENINGS, OWN_MESSAGES, PAST_SESSIONS, OWN_TEAMS, OPENINGS] {
        let plan = plan_of(&raw, sql);
        assert!(plan.contains("audit_log_person_action (person_id=? AND action=?"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{sql}: {plan}");
    }
    for sql in [COUNT_ACTS, OWN_DRAFTS] {
        let plan = plan_of(&raw, sql);
        assert!(plan.contains("(person_id=?") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn a_column_of_a_text_is_in_the_copy_or_is_left_out_on_purpose() {
    let test = TestStore::new().await;
    let raw = test.raw();
    let columns = |table: &str| -> Vec<String> {
        let mut select = raw.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
        select.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for (table, in_the_copy, left_out) in [
        ("message", ["id", "sent_at", "subject"].as_slice(), ["author_id", "salt"].as_slice()),
        ("message_body", &["message_id", "body"], &[]),
        (
            "draft",
            &["root_id", "saved_at", "subject", "body", "addressed"],
            &["person_id", "filler", "idempotency_key"],
        ),
    ] {
        let mut known = [in_the_copy, left_out].concat();
        let mut found = columns(table);
        known.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, known, "{table}: own_data.rs and the archive of /me, or left out here");
    }
}
