use crate::testing::*;
use crate::{ChainError, TemplateId, TemplateName, TemplateRows};

fn template(id: i64) -> ChainError {
    ChainError::Template(TemplateId::new(id).unwrap())
}

/// 1 made, 2 a sign-in, 3-5 three templates are made, 6 the second is changed, 7 the third is deleted.
async fn filled() -> TestStore {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    let (name, rows) = (|text| TemplateName::parse(text).unwrap(), |text| TemplateRows::parse(text).unwrap());
    for text in ["Ward 3", "Ward 4", "Ward 5"] {
        test.store.create_template(ada, name(text), rows("Room 1\nRoom 2"), at(10)).await.unwrap();
    }
    let [one, two, three] = [1, 2, 3].map(|id| TemplateId::new(id).unwrap());
    let seen = Some(test.store.template(two).await.unwrap().unwrap().version);
    test.store.change_template(ada, two, seen, (name("Ward 4"), rows("Bed 1 | pain")), at(11)).await.unwrap();
    test.store.delete_template(ada, three, at(12)).await.unwrap();
    assert!(test.store.template(one).await.unwrap().is_some());
    assert_eq!(assert_sound(&test.store).await, 7);
    test
}

#[tokio::test]
async fn a_template_is_what_the_log_says_or_is_named() {
    let cases: &[(&str, i64, ChainError)] = &[
        ("UPDATE template SET name = 'Ward 9' WHERE id = 1", 3, template(1)),
        ("UPDATE template SET rows = replace(rows, 'Room 2', 'Room 3') WHERE id = 1", 3, template(1)),
        ("UPDATE template SET rows = replace(rows, 'pain', '') WHERE id = 2", 6, template(2)),
        ("UPDATE template SET salt = randomblob(16) WHERE id = 2", 6, template(2)),
        ("UPDATE template SET changed_by = 4 WHERE id = 2", 6, template(2)),
        ("UPDATE template SET deleted = 1 WHERE id = 2", 6, template(2)),
        ("DELETE FROM template WHERE id = 1", 3, template(1)),
        // The one that was deleted comes back, or is gone altogether.
        ("UPDATE template SET deleted = 0, name = 'Ward 5' WHERE id = 3", 7, template(3)),
        ("UPDATE template SET name = 'Ward 5' WHERE id = 3", 7, template(3)),
        ("DELETE FROM template WHERE id = 3", 7, template(3)),
        ("INSERT INTO template VALUES (4, 3, 0, zeroblob(16), 'Ward 6', '[]')", 7, template(4)),
    ];
    let (source, _directory) = filled().await.close().await;
    assert_each_is_found(&source, cases).await;
    assert_eq!(template(2).to_string(), "template 2 is not what the log says was made, changed or deleted");
}

#[tokio::test]
async fn a_look_at_the_new_rows_alone_holds_what_they_say_of_templates() {
    let test = filled().await;
    assert_sound_from_every_row(&test.store).await;
    assert_eq!(error_in_rows_after(&test, 5, "UPDATE template SET rows = '[]' WHERE id = 2").await, (6, template(2)));
}
