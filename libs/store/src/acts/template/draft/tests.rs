use super::*;
use crate::acts::template::{FilledRow, TemplateChange};
use crate::testing::*;
use crate::types::{Subject, TemplateName};

async fn template(store: &Store, actor: Actor, name: &str) -> TemplateId {
    let (name, rows) = (TemplateName::parse(name).unwrap(), TemplateRows::parse("Room 1\nRoom 2").unwrap());
    match store.create_template(actor, name, rows, at(10)).await.unwrap() {
        TemplateChange::Done(id) => id,
        other => panic!("{other:?}"),
    }
}

fn draft(template: TemplateId, key: IdempotencyKey, text: &str, millis: i64) -> TemplateDraft {
    let rows = vec![("Room 1".into(), text.into()), ("Room 2".into(), String::new())];
    TemplateDraft { template, key, texts: TemplateTexts { subject: "Evening".into(), rows }, saved_at: at(millis) }
}

fn kept(saved: TemplateDraftSaved) -> DraftVersion {
    let TemplateDraftSaved::Kept(version) = saved else { panic!("{saved:?}") };
    version
}

#[tokio::test]
async fn a_form_is_kept_for_each_person_and_template_and_replaced_only_where_it_was_seen() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let (ward, other) = (template(store, ada, "Ward 3").await, template(store, ada, "Ward 4").await);
    let (key, second) = (IdempotencyKey::fresh(), IdempotencyKey::fresh());
    let save = async |draft, seen| store.save_template_draft(ada, draft, seen).await.unwrap();
    let first = kept(save(draft(ward, key, "quiet", 20), Seen::Nothing).await);
    assert_eq!(kept(save(draft(ward, key, "quiet", 21), Seen::Nothing).await), first, "nothing has changed");
    let changed = kept(save(draft(ward, key, "restless", 22), Seen::Version(first)).await);
    let refused = save(draft(ward, second, "from another tab", 23), Seen::Nothing).await;
    assert!(matches!(&refused, TemplateDraftSaved::Other(kept) if kept.version() == changed), "{refused:?}");
    kept(save(draft(other, second, "x", 24), Seen::Nothing).await);
    let found = store.template_draft(ada.person, ward).await.unwrap().unwrap();
    assert_eq!(found, draft(ward, key, "restless", 22));
    assert!(store.template_draft(ben.person, ward).await.unwrap().is_none());
    let first = store.template_drafts(ada.person, None, 1).await.unwrap();
    let rest = store.template_drafts(ada.person, Some(first[0].template), 9).await.unwrap();
    assert_eq!([first[0].template, rest[0].template], [ward, other]);
    assert_eq!(store.drafted_templates(ada.person).await.unwrap(), [(ward, at(22)), (other, at(24))]);
    assert_eq!(store.drafted_templates(ben.person).await.unwrap(), []);

    store.discard_template_draft(ada, ward, at(30)).await.unwrap();
    store.discard_template_draft(ada, ward, at(31)).await.unwrap();
    assert!(store.template_draft(ada.person, ward).await.unwrap().is_none());
    let acts: Vec<_> = actions(store).await.into_iter().filter(|act| act.starts_with("DRAFT")).collect();
    assert_eq!(acts, ["DRAFT_SAVED", "DRAFT_SAVED", "DRAFT_SAVED", "DRAFT_DISCARDED"]);
    let nothing = TemplateId::new(99).unwrap();
    assert_eq!(save(draft(nothing, key, "x", 40), Seen::Nothing).await, TemplateDraftSaved::Missing);
    assert_sound(store).await;
}

#[tokio::test]
async fn what_was_sent_is_no_draft_any_more_and_what_was_added_since_is_one() {
    let test = TestStore::new().await;
    let store = &test.store;
    let ada = staff(store, "ada").await;
    let (ward, key) = (template(store, ada, "Ward 3").await, IdempotencyKey::fresh());
    let (label, subject) = ("Room 1".to_owned(), Subject::parse("Room 1: Evening").unwrap());
    let row = FilledRow { label, subject, body: Body::parse("quiet").unwrap() };
    store.send_rows(ada, ward, key, vec![row], at(20)).await.unwrap();
    let late = store.save_template_draft(ada, draft(ward, key, "quiet", 21), Seen::Nothing).await.unwrap();
    assert_eq!(late, TemplateDraftSaved::Sent);
    let mut more = draft(ward, key, "quiet", 22);
    more.texts.rows[1].1 = "restless".into();
    kept(store.save_template_draft(ada, more, Seen::Nothing).await.unwrap());
}

#[tokio::test]
async fn what_somebody_typed_while_the_session_ran_out_is_kept() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (token, session) = sign_in(store, "ada", at(0)).await;
    let ada = Actor { person: session.person, session: session.id, ip: IP };
    let (ward, key) = (template(store, ada, "Ward 3").await, IdempotencyKey::fresh());
    let hand_in = async |draft| {
        store.save_template_draft_of_ended_session(&token, IP, LIMITS, draft, Seen::Nothing).await.unwrap()
    };
    assert!(!hand_in(draft(ward, key, "it has not ended", 500)).await);
    assert!(hand_in(draft(ward, key, "quiet", 2_000)).await);
    assert_eq!(store.template_draft(ada.person, ward).await.unwrap().unwrap().texts.rows[0].1, "quiet");
    let too_late = 12 * 60 * 60 * 1_000 + 10_000;
    assert!(!hand_in(draft(ward, key, "much later", too_late)).await);
    let last = log(store).await.pop().unwrap();
    assert_eq!((last.action.as_str(), details(&last)["after_session_end"].clone()), ("DRAFT_SAVED", true.into()));
}

#[tokio::test]
async fn a_text_that_is_too_long_is_cut_and_not_refused() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let (ward, key) = (template(&test.store, ada, "Ward 3").await, IdempotencyKey::fresh());
    let mut long = draft(ward, key, &"ä".repeat(50_000), 20);
    long.texts.rows.extend((0..100).map(|row| (format!("Room {row}"), "x".into())));
    kept(test.store.save_template_draft(ada, long, Seen::Nothing).await.unwrap());
    let kept = test.store.template_draft(ada.person, ward).await.unwrap().unwrap();
    assert_eq!((kept.texts.rows.len(), kept.texts.rows[0].1.chars().count()), (80, 40_000));
}
