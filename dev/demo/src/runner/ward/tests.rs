use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use store::{AuditFilter, AuditId, AuditRow, ChainVerdict};

use super::clinic::{TEAMS, TEMPLATES};
use super::script::{steps, talks};
use super::*;

#[test]
fn a_ward_has_some_fifty_conversations_by_people_of_the_demo_in_the_order_of_time() {
    let subjects: HashSet<_> = talks().map(|talk| talk.subject).collect();
    assert_eq!(subjects.len(), talks().count(), "each has a subject of its own");
    // On the first page of the list, with those of the handover.
    assert!((40..=46).contains(&subjects.len()), "{}", subjects.len());
    let people = DemoPerson::everyone();
    let steps = steps();
    let members = |by: &str| people.iter().any(|person| person.id == by && person.hosted_domain.is_some());
    assert!(steps.iter().all(|step| members(step.by)));
    assert!(steps.is_sorted_by_key(|step| Reverse(step.minutes_ago)));
    for talk in talks() {
        assert!(Subject::parse(talk.subject).is_ok() && Body::parse(talk.body).is_ok(), "{}", talk.subject);
        assert!(
            talk.to.iter().all(|name| members(name) || TEAMS.iter().any(|team| team.0 == *name)),
            "{}",
            talk.subject
        );
    }
}

#[tokio::test]
async fn everybody_has_something_to_do_what_was_urgent_is_over_and_the_chain_holds() {
    let directory = tempfile::tempdir().unwrap();
    let folder = Folder::open(&directory.path().join("demo")).unwrap();
    folder.secrets().unwrap();
    write(&folder, "http://127.0.0.1:1", &DemoPerson::everyone()).await.unwrap();
    let key = DatabaseKey::from_hex(&folder.database_key().unwrap()).unwrap();
    let store = Store::open(&Location::file(folder.database(), &key), IfMissing::Refuse).await.unwrap();

    let verdict = store.verify_chain(None, |_| ()).await.unwrap();
    assert!(matches!(verdict, ChainVerdict::Sound { .. }), "{verdict:?}");
    let end = store.audit_head().await.unwrap().id;
    let rows = async |filter| store.audit_rows(&filter, AuditId::ZERO, end, 10_000).await.unwrap();
    let all = rows(AuditFilter::default()).await;
    let late = all.windows(2).find(|rows| rows[1].at < rows[0].at);
    assert!(late.is_none(), "the log is in the order of time: {late:?}");
    let mut for_each = BTreeMap::new();
    for person in all.iter().filter_map(|row| row.person.as_ref()) {
        for_each.insert(person.name.clone(), store.own_duties(person.id).await.unwrap().messages);
    }
    assert_eq!(for_each.into_values().collect::<Vec<_>>(), [2, 1, 2, 1]);

    assert_eq!(store.urgent_messages().await.unwrap().len(), 0, "the demo opens calmly");
    let urgent = all.iter().find(|row| row.action == "URGENT_STEP").unwrap().message;
    let told = rows(AuditFilter { message: urgent, ..AuditFilter::default() }).await;
    let told: Vec<_> = told.iter().filter(|row| row.action != "MESSAGE_VIEW").collect();
    let minutes = |row: &AuditRow| row.at.since(told[0].at).as_secs() / 60;
    let told: Vec<_> = told.iter().map(|row| (row.action.as_str(), minutes(row))).collect();
    let (sent, reminded, answered) = (("MESSAGE_CREATE", 0), ("URGENT_STEP", 2), ("URGENT_ON_MY_WAY", 3));
    assert_eq!(told, [sent, reminded, answered, ("DUTY_DONE", 19), ("CONVERSATION_DONE", 19)]);

    let teams = store.teams().await.unwrap();
    assert_eq!(teams.len(), TEAMS.len());
    assert!(teams.iter().all(|team| team.members.len() >= 2));
    assert_eq!(store.former_members().await.unwrap().len(), 1);
    assert_eq!(store.templates().await.unwrap().len(), TEMPLATES.len());
    store.close().await;
}
