use super::*;
use crate::testing::*;

fn name(text: &str) -> TeamName {
    TeamName::parse(text).unwrap()
}

async fn members(store: &Store) -> Vec<(String, Vec<String>)> {
    let teams = store.teams().await.unwrap();
    let of = |team: Team| {
        (team.name.as_str().to_owned(), team.members.into_iter().map(|member| member.person.name).collect())
    };
    teams.into_iter().map(of).collect()
}

async fn made(store: &Store, actor: Actor, text: &str, millis: i64) -> TeamId {
    match store.create_team(actor, name(text), at(millis)).await.unwrap() {
        TeamNamed::Named(team) => team,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn anyone_makes_names_joins_and_leaves_a_team_and_each_is_a_row() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let (ward, call) = (made(store, ada, "Wärd 3", 10).await, made(store, ben, "On call", 11).await);
    assert_eq!(store.create_team(ben, name("WÄRD 3"), at(12)).await.unwrap(), TeamNamed::Taken(ward));
    assert_eq!(store.join_team(ben, ward, at(13)).await.unwrap(), TeamChange::Changed { members: 2 });
    assert_eq!(store.join_team(ada, ward, at(15)).await.unwrap(), TeamChange::Unchanged);
    assert_eq!(store.rename_team(ben, ward, name("on CALL"), at(16)).await.unwrap(), TeamNamed::Taken(call));
    assert_eq!(store.rename_team(ben, ward, name("wärd 3"), at(17)).await.unwrap(), TeamNamed::Named(ward));
    assert_eq!(store.rename_team(ben, ward, name("wärd 3"), at(18)).await.unwrap(), TeamNamed::Named(ward));
    let of = |name: &str, members: &[&str]| (name.to_owned(), members.iter().map(ToString::to_string).collect());
    assert_eq!(members(store).await, [of("On call", &["ben"]), of("wärd 3", &["ada", "ben"])]);
    assert_eq!(store.leave_team(ada, ward, false, at(19)).await.unwrap(), TeamChange::Changed { members: 1 });
    assert_eq!(store.leave_team(ada, ward, false, at(20)).await.unwrap(), TeamChange::Unchanged);
    // Somebody who comes back stands at the end.
    store.join_team(ada, ward, at(21)).await.unwrap();
    assert_eq!(members(store).await[1], of("wärd 3", &["ben", "ada"]));
    let acts: Vec<_> = actions(store).await.into_iter().filter(|act| act.starts_with("TEAM")).collect();
    let expected = [
        "TEAM_CREATED",
        "TEAM_JOINED",
        "TEAM_CREATED",
        "TEAM_JOINED",
        "TEAM_JOINED",
        "TEAM_RENAMED",
        "TEAM_LEFT",
        "TEAM_JOINED",
    ];
    assert_eq!(acts, expected);
    assert_sound(store).await;
}

#[tokio::test]
async fn who_leaves_a_team_empty_says_so_and_who_left_is_told_with_from_and_until() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let call = made(store, ada, "On call", 10).await;
    store.join_team(ben, call, at(11)).await.unwrap();
    assert_eq!(store.leave_team(ada, call, false, at(12)).await.unwrap(), TeamChange::Changed { members: 1 });
    assert_eq!(store.leave_team(ben, call, false, at(13)).await.unwrap(), TeamChange::WouldBeEmpty);
    assert_eq!(members(store).await[0].1, ["ben"]);
    assert_eq!(store.leave_team(ben, call, true, at(14)).await.unwrap(), TeamChange::Changed { members: 0 });
    let past = store.former_members().await.unwrap();
    let told: Vec<_> = past.into_iter().map(|one| (one.team, one.person.name, one.from, one.until)).collect();
    assert_eq!(told, [(call, "ben".to_owned(), at(11), at(14)), (call, "ada".to_owned(), at(10), at(12))]);
    for millis in 20..35 {
        store.join_team(ada, call, at(millis)).await.unwrap();
        store.leave_team(ada, call, true, at(millis)).await.unwrap();
    }
    assert_eq!(store.former_members().await.unwrap().len(), 10);
    let plan = plan_of(&test.raw(), PAST);
    assert!(plan.contains("team_stay_past (team_id=?") && !plan.contains("TEMP B-TREE"), "{plan}");
    assert_sound(store).await;
}

#[tokio::test]
async fn there_are_no_more_teams_than_a_page_can_list() {
    let test = TestStore::new().await;
    let store = &test.store;
    let ada = staff(store, "ada").await;
    for number in 0..MAX_TEAMS {
        made(store, ada, &format!("Team {number}"), 10).await;
    }
    assert_eq!(store.create_team(ada, name("One more"), at(11)).await.unwrap(), TeamNamed::TooMany);
    assert_eq!(store.teams().await.unwrap().len(), MAX_TEAMS);
    let first = store.teams().await.unwrap()[0].id;
    assert_eq!(store.rename_team(ada, first, name("One more"), at(12)).await.unwrap(), TeamNamed::Named(first));
}

#[tokio::test]
async fn a_teams_name_stands_beside_the_log_and_not_in_it() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    test.store.create_team(ada, name("Mrs Smith's nurses"), at(10)).await.unwrap();
    let rows = log(&test.store).await;
    let row = rows.last().unwrap();
    assert!(!row.details.contains("Smith"), "{}", row.details);
    assert_eq!(row.named_details().unwrap()["name"], "Mrs Smith's nurses");
}

#[tokio::test]
async fn nobody_acts_on_a_team_that_is_not_there_or_without_a_session() {
    let test = TestStore::new().await;
    let store = &test.store;
    let ada = staff(store, "ada").await;
    let none = TeamId::new(9).unwrap();
    assert_eq!(store.join_team(ada, none, at(10)).await.unwrap(), TeamChange::Missing);
    assert_eq!(store.leave_team(ada, none, false, at(10)).await.unwrap(), TeamChange::Missing);
    assert_eq!(store.rename_team(ada, none, name("x"), at(10)).await.unwrap(), TeamNamed::Missing);
    store.set_staff_enabled("ada@clinic.example", false, "root", at(20)).await.unwrap();
    assert!(store.create_team(ada, name("x"), at(21)).await.is_err());
    assert!(store.join_team(ada, none, at(21)).await.is_err());
}

#[tokio::test]
async fn who_may_not_sign_in_is_counted_out() {
    let test = TestStore::new().await;
    let store = &test.store;
    let (ada, ben) = (staff(store, "ada").await, staff(store, "ben").await);
    let ward = made(store, ben, "Ward 3", 10).await;
    store.set_staff_enabled("ben@clinic.example", false, "root", at(12)).await.unwrap();
    assert_eq!(store.join_team(ada, ward, at(13)).await.unwrap(), TeamChange::Changed { members: 1 });
    let enabled: Vec<_> = store.teams().await.unwrap()[0].members.iter().map(|member| member.enabled).collect();
    assert_eq!(enabled, [false, true]);
    assert_eq!(store.leave_team(ada, ward, false, at(14)).await.unwrap(), TeamChange::WouldBeEmpty);
}
