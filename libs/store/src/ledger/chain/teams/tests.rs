use crate::testing::*;
use crate::{ChainError, TeamChange, TeamId, TeamName, TeamNamed};

fn name(text: &str) -> TeamName {
    TeamName::parse(text).unwrap()
}

fn team(id: i64) -> ChainError {
    ChainError::Team(TeamId::new(id).unwrap())
}

/// 1 made, 2-3 sign-ins, 4-5 ada makes and joins Ward 3 (team 1), 6-7 ben On call (team 2), 8 ben joins Ward 3, 9 it is renamed,
/// 10 ada leaves it, 11 she is back, 12 she leaves again.
async fn filled() -> TestStore {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let TeamNamed::Named(ward) = store.create_team(ada, name("Ward 3"), at(10)).await.unwrap() else { panic!() };
    store.create_team(ben, name("On call"), at(11)).await.unwrap();
    store.join_team(ben, ward, at(12)).await.unwrap();
    store.rename_team(ben, ward, name("Ward 3 north"), at(13)).await.unwrap();
    for time in [14, 16] {
        assert!(matches!(store.leave_team(ada, ward, false, at(time)).await.unwrap(), TeamChange::Changed { .. }));
        if time == 14 {
            store.join_team(ada, ward, at(15)).await.unwrap();
        }
    }
    assert_eq!(assert_sound(store).await, 12);
    test
}

#[tokio::test]
async fn a_team_and_its_stays_are_what_the_log_says_or_are_named() {
    let cases: &[(&str, i64, ChainError)] = &[
        ("UPDATE team SET name = 'Ward 4' WHERE id = 1", 9, team(1)),
        // Back to a name that it had.
        ("UPDATE team SET name = 'Ward 3' WHERE id = 1", 9, team(1)),
        ("UPDATE team SET name = name || ' ' WHERE id = 2", 6, team(2)),
        ("DELETE FROM team WHERE id = 2", 6, team(2)),
        ("INSERT INTO team VALUES (3, 'Management')", 12, team(3)),
        // Somebody is put in, taken out, or kept in.
        ("INSERT INTO team_stay VALUES (2, 1, 5, NULL)", 12, team(2)),
        ("INSERT INTO team_stay VALUES (2, 1, 1, NULL)", 12, team(2)),
        ("DELETE FROM team_stay WHERE team_id = 2", 7, team(2)),
        ("DELETE FROM team_stay WHERE person_id = 1 AND joined_by = 5", 5, team(1)),
        ("UPDATE team_stay SET left_by = NULL WHERE left_by = 12", 12, team(1)),
        ("UPDATE team_stay SET left_by = 9 WHERE person_id = 2 AND team_id = 1", 12, team(1)),
        ("UPDATE team_stay SET left_by = 11 WHERE left_by = 10", 10, team(1)),
        ("UPDATE team_stay SET person_id = 1 WHERE team_id = 2", 7, team(2)),
        ("UPDATE team_stay SET team_id = 2 WHERE joined_by = 5", 5, team(1)),
        // Two ends of one person's change places.
        ("UPDATE team_stay SET left_by = CASE left_by WHEN 10 THEN 12 ELSE 10 END WHERE person_id = 1", 10, team(1)),
    ];
    let (source, _directory) = filled().await.close().await;
    assert_each_is_found(&source, cases).await;
    assert_eq!(team(2).to_string(), "team 2 has another name or other members than the log says");
}

#[tokio::test]
async fn a_look_at_the_new_rows_alone_holds_what_they_say_of_teams() {
    let test = filled().await;
    assert_sound_from_every_row(&test.store).await;
    assert_eq!(error_in_rows_after(&test, 8, "UPDATE team SET name = 'Ward 4' WHERE id = 1").await, (9, team(1)));
}

#[tokio::test]
async fn a_copy_in_which_a_team_was_changed_is_no_backup() {
    let test = filled().await;
    test.tamper("UPDATE team SET name = 'Ward 4' WHERE id = 1");
    let (path, _directory) = test.close().await;
    let error = crate::backup::inspect(&path, &key(), |_| ()).unwrap_err().to_string();
    assert!(error.contains("row 9: team 1 has another name"), "{error}");
}
