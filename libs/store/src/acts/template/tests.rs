use super::*;
use crate::testing::*;
use crate::{ListQuery, Seen, TemplateDraft, TemplateTexts};

fn name(text: &str) -> TemplateName {
    TemplateName::parse(text).unwrap()
}

fn rows(text: &str) -> TemplateRows {
    TemplateRows::parse(text).unwrap()
}

async fn made(store: &Store, actor: Actor, text: &str) -> TemplateId {
    match store.create_template(actor, name(text), rows("Room 1\nRoom 2 | pain"), at(10)).await.unwrap() {
        TemplateChange::Done(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn version(store: &Store, id: TemplateId) -> Option<AuditId> {
    Some(store.template(id).await.unwrap().unwrap().version)
}

fn filled(filled: &[(&str, &str)]) -> Vec<FilledRow> {
    let row = |(label, text): &(&str, &str)| FilledRow {
        label: (*label).to_owned(),
        subject: Subject::parse(&format!("{label}: Evening")).unwrap(),
        body: Body::parse(text).unwrap(),
    };
    filled.iter().map(row).collect()
}

fn ids(sent: &RowsSent) -> Vec<(bool, i64)> {
    let RowsSent::Sent(sent) = sent else { panic!("{sent:?}") };
    let id = |sent: &Sent| match sent {
        Sent::Created(id) => (true, id.get()),
        Sent::Repeated(id) => (false, id.get()),
        Sent::KeyReused(_) | Sent::NotAddressed(_) => panic!("{sent:?}"),
    };
    sent.iter().map(id).collect()
}

#[tokio::test]
async fn anyone_makes_changes_and_deletes_a_template_and_each_is_a_row() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let (ward, other) = (made(store, ada, "Ärzte").await, made(store, ben, "Ward 4").await);
    assert_eq!(store.create_template(ben, name("ÄRZTE"), rows("x"), at(11)).await.unwrap(), TemplateChange::Taken);
    let seen = version(store, ward).await;
    let to = |text: &str, lines: &str| (name(text), rows(lines));
    let change = async |seen, to| store.change_template(ben, ward, seen, to, at(12)).await.unwrap();
    assert_eq!(change(seen, to("ward 4", "x")).await, TemplateChange::Taken);
    assert_eq!(change(seen, to("Ärzte", "Room 1\nRoom 2 | pain")).await, TemplateChange::Done(ward));
    assert_eq!(version(store, ward).await, seen, "nothing changed");
    assert_eq!(change(seen, to("Ward 3", "Bed 1")).await, TemplateChange::Done(ward));
    assert_eq!(change(seen, to("Ward 3", "Bed 2")).await, TemplateChange::Other);
    let found = store.template(ward).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.rows.text().as_str()), ("Ward 3", "Bed 1"));
    assert_eq!((found.changed_by.name.as_str(), found.changed_at), ("ben", at(12)));
    assert_eq!(store.delete_template(ada, other, at(13)).await.unwrap(), TemplateChange::Done(other));
    assert_eq!(store.delete_template(ada, other, at(14)).await.unwrap(), TemplateChange::Missing);
    assert!(store.template(other).await.unwrap().is_none());
    let listed: Vec<_> = store.templates().await.unwrap().into_iter().map(|one| one.id).collect();
    assert_eq!(listed, [ward]);
    // Its number is not given again, and its name may be.
    assert_eq!(made(store, ada, "Ward 4").await.get(), 3);
    let rows = log(store).await;
    let acts: Vec<_> = rows.iter().filter(|row| row.action.starts_with("TEMPLATE")).collect();
    let named: Vec<_> = acts.iter().map(|row| (row.action.as_str(), details(row)["name"].clone())).collect();
    let expected = [
        ("TEMPLATE_CREATED", "Ärzte"),
        ("TEMPLATE_CREATED", "Ward 4"),
        ("TEMPLATE_CHANGED", "Ward 3"),
        ("TEMPLATE_DELETED", "Ward 4"),
        ("TEMPLATE_CREATED", "Ward 4"),
    ];
    assert_eq!(named, expected.map(|(action, name)| (action, name.into())));
    assert!(acts.iter().all(|row| !row.details.contains("Ward") && !row.details.contains("Room")));
    assert_sound(store).await;
}

#[tokio::test]
async fn there_are_no_more_templates_than_a_page_can_list() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    for number in 0..MAX_TEMPLATES {
        made(&test.store, ada, &format!("Template {number}")).await;
    }
    let refused = test.store.create_template(ada, name("One more"), rows("x"), at(11)).await.unwrap();
    assert_eq!(refused, TemplateChange::TooMany);
    test.store.delete_template(ada, TemplateId::new(7).unwrap(), at(12)).await.unwrap();
    made(&test.store, ada, "One more").await;
}

#[tokio::test]
async fn a_form_is_sent_once_row_by_row_and_what_is_new_in_it_goes_too() {
    let test = TestStore::new().await;
    let store = &test.store;
    let ada = staff(store, "ada").await;
    let ward = made(store, ada, "Ward 3").await;
    let key = IdempotencyKey::fresh();
    let first = filled(&[("Room 1", "quiet"), ("Room 2", "restless")]);
    let send = async |rows| store.send_rows(ada, ward, key, rows, at(20)).await.unwrap();
    assert_eq!(ids(&send(first.clone()).await), [(true, 1), (true, 2)]);
    assert_eq!(ids(&send(first).await), [(false, 1), (false, 2)]);
    // Rows that have moved are the same rows, and one that was empty is new.
    let more = filled(&[("Room 3", "new"), ("Room 2", "restless"), ("Room 1", "quiet")]);
    assert_eq!(ids(&send(more).await), [(true, 3), (false, 2), (false, 1)]);
    let other = send(filled(&[("Room 4", "x"), ("Room 1", "another text")])).await;
    let RowsSent::KeyReused(before) = other else { panic!("{other:?}") };
    assert!(matches!(before[..], [None, Some(Sent::KeyReused(id))] if id.get() == 1), "{before:?}");
    let list = store.list_conversations(ListQuery { limit: 50, ..ListQuery::default() }).await.unwrap();
    assert_eq!(list.conversations.len(), 3, "nothing of a form that was refused is stored");
    let creations = actions(store).await.into_iter().filter(|act| act == "MESSAGE_CREATE").count();
    assert_eq!(creations, 3);
    // Another form with the same rows is another handover.
    let again = store.send_rows(ada, ward, IdempotencyKey::fresh(), filled(&[("Room 1", "quiet")]), at(21)).await;
    assert_eq!(ids(&again.unwrap()), [(true, 4)]);
    assert_sound(store).await;
}

#[tokio::test]
async fn sending_takes_the_draft_of_the_form_along_and_no_other() {
    let test = TestStore::new().await;
    let store = &test.store;
    let ada = staff(store, "ada").await;
    let (ward, other) = (made(store, ada, "Ward 3").await, made(store, ada, "Ward 4").await);
    let key = IdempotencyKey::fresh();
    for (template, key) in [(ward, key), (other, IdempotencyKey::fresh())] {
        let texts = TemplateTexts { subject: "Evening".into(), rows: vec![("Room 1".into(), "quiet".into())] };
        let draft = TemplateDraft { template, key, texts, saved_at: at(20) };
        store.save_template_draft(ada, draft, Seen::Nothing).await.unwrap();
    }
    store.send_rows(ada, ward, key, filled(&[("Room 1", "quiet")]), at(21)).await.unwrap();
    assert!(store.template_draft(ada.person, ward).await.unwrap().is_none());
    assert!(store.template_draft(ada.person, other).await.unwrap().is_some());
    assert_sound(store).await;
}

#[tokio::test]
async fn nobody_acts_on_templates_without_a_session() {
    let test = TestStore::new().await;
    let store = &test.store;
    let ada = staff(store, "ada").await;
    let ward = made(store, ada, "Ward 3").await;
    let seen = version(store, ward).await;
    store.sign_out(ada, at(20)).await.unwrap();
    assert!(store.create_template(ada, name("x"), rows("x"), at(21)).await.is_err());
    assert!(store.change_template(ada, ward, seen, (name("x"), rows("x")), at(21)).await.is_err());
    assert!(store.delete_template(ada, ward, at(21)).await.is_err());
    assert!(store.send_rows(ada, ward, IdempotencyKey::fresh(), filled(&[("a", "b")]), at(21)).await.is_err());
}
