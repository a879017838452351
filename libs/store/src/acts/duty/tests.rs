use super::*;
use crate::acts::conversation::tests::send_reply;
use crate::testing::*;
use crate::*;

pub(in crate::acts) fn for_people(people: &[Actor]) -> Addressed {
    Addressed { people: people.iter().map(|actor| actor.person).collect(), ..Addressed::default() }
}

pub(in crate::acts) fn for_team(team: TeamId) -> Addressed {
    Addressed { teams: [team].into(), ..Addressed::default() }
}

/// A message for these, sent at 100.
pub(in crate::acts) async fn send_to(store: &Store, actor: Actor, addressed: Addressed) -> MessageId {
    match try_to_send(store, actor, addressed).await {
        Sent::Created(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn try_to_send(store: &Store, actor: Actor, addressed: Addressed) -> Sent {
    let number = store.urgent_messages().await.unwrap().len();
    let text = format!("{addressed} {number}");
    let key = IdempotencyKey::fresh();
    let message =
        NewMessage { subject: Subject::parse("Room 7").unwrap(), body: Body::parse(&text).unwrap(), addressed, key };
    store.send_message(actor, message, at(100)).await.unwrap()
}

pub(in crate::acts) async fn team_of(store: &Store, name: &str, members: &[Actor]) -> TeamId {
    let made = store.create_team(members[0], TeamName::parse(name).unwrap(), at(20)).await.unwrap();
    let TeamNamed::Named(team) = made else { panic!("{made:?}") };
    for member in members {
        store.join_team(*member, team, at(21)).await.unwrap();
    }
    team
}

/// A store with four people.
pub(in crate::acts) struct Ward {
    pub(in crate::acts) test: TestStore,
    pub(in crate::acts) ada: Actor,
    pub(in crate::acts) ben: Actor,
    pub(in crate::acts) cleo: Actor,
    pub(in crate::acts) dora: Actor,
}

pub(in crate::acts) async fn ward() -> Ward {
    let test = TestStore::new().await;
    let mut all = Vec::new();
    for name in ["ada", "ben", "cleo", "dora"] {
        all.push(staff(&test.store, name).await);
    }
    let [ada, ben, cleo, dora] = all[..] else { panic!() };
    Ward { test, ada, ben, cleo, dora }
}

/// Who has an open duty, with the team's name.
async fn open(store: &Store, message: MessageId) -> Vec<String> {
    let duties = store.duties(vec![message]).await.unwrap().remove(0);
    let open = duties.into_iter().filter(|duty| duty.ended.is_none());
    open.map(|duty| match duty.team {
        Some((_, team)) => format!("{}/{team}", duty.person.name),
        None => duty.person.name,
    })
    .collect()
}

#[tokio::test]
async fn a_message_for_people_and_a_team_gives_each_a_duty_and_is_found_under_for_me() {
    let Ward { test, ada, ben, cleo, dora } = ward().await;
    let team = team_of(&test.store, "Ward 3", &[ada, cleo, dora]).await;
    let addressed = Addressed { people: [ben.person].into(), ..for_team(team) };
    let message = send_to(&test.store, ada, addressed.clone()).await;
    // Its author is in the team, and has no duty.
    assert_eq!(open(&test.store, message).await, ["ben", "cleo/Ward 3", "dora/Ward 3"]);
    let counts = async |actor: Actor| test.store.own_duties(actor.person).await.unwrap().messages;
    assert_eq!((counts(ada).await, counts(ben).await, counts(cleo).await), (0, 1, 1));
    let for_ben = ListQuery { show: Show::ForMe(ben.person), ..ListQuery::default() };
    assert_eq!(test.store.list_conversations(for_ben).await.unwrap().conversations[0].root, message);
    assert_sound(&test.store).await;

    // One answer ends the team's duty; Ben was named and has his own.
    assert_eq!(test.store.finish_duty(cleo, message, at(110)).await.unwrap(), DutyChange::Changed);
    assert_eq!(test.store.finish_duty(cleo, message, at(111)).await.unwrap(), DutyChange::Unchanged);
    assert_eq!(test.store.finish_duty(ada, message, at(111)).await.unwrap(), DutyChange::Unchanged);
    assert_eq!(open(&test.store, message).await, ["ben"]);
    // Opening ends nothing; a reply does.
    test.store.open_conversation(ben, message, 0, 50, at(120)).await.unwrap();
    assert_eq!(open(&test.store, message).await, ["ben"]);
    send_reply(&test.store, ben, message, "will do", 130).await;
    assert!(open(&test.store, message).await.is_empty());
    assert_eq!(counts(ben).await, 0);
    let duties = test.store.duties(vec![message]).await.unwrap().remove(0);
    let ends: Vec<_> = duties.iter().map(|duty| duty.ended.as_ref().unwrap().act).collect();
    assert_eq!(ends, [DutyAct::Replied, DutyAct::Done, DutyAct::Done]);
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn who_takes_it_has_it_alone() {
    let Ward { test, ada, ben, cleo, dora } = ward().await;
    let team = team_of(&test.store, "Pharmacy", &[ben, cleo, dora]).await;
    let message = send_to(&test.store, ada, for_team(team)).await;
    assert_eq!(test.store.take_duty(cleo, message, at(110)).await.unwrap(), DutyChange::Changed);
    assert_eq!(open(&test.store, message).await, ["cleo/Pharmacy"]);
    for other in [cleo, ben, ada] {
        assert_eq!(test.store.take_duty(other, message, at(111)).await.unwrap(), DutyChange::Unchanged);
    }
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn what_cannot_be_for_anybody_is_not_sent() {
    let Ward { test, ada, ben, cleo, .. } = ward().await;
    let team = team_of(&test.store, "On call", &[ada]).await;
    assert_eq!(
        try_to_send(&test.store, ada, for_team(team)).await,
        Sent::NotAddressed(AddressError::EmptyTeam(team)),
        "nobody but the author is in it"
    );
    test.store.set_staff_enabled("ben@clinic.example", false, "root", at(50)).await.unwrap();
    assert_eq!(
        try_to_send(&test.store, ada, for_people(&[ben])).await,
        Sent::NotAddressed(AddressError::Person(ben.person))
    );
    let nobody = Addressed { urgent: Some(UrgentPolicy::Fast), ..Addressed::default() };
    assert_eq!(try_to_send(&test.store, ada, nobody).await, Sent::NotAddressed(AddressError::Nobody));
    let teams = |count: i64| (2..2 + count).filter_map(TeamId::new).collect();
    for (count, error) in [(50, AddressError::EmptyTeam(TeamId::new(2).unwrap())), (51, AddressError::TooMany)] {
        let many = Addressed { teams: teams(count), ..Addressed::default() };
        assert_eq!(try_to_send(&test.store, ada, many).await, Sent::NotAddressed(error), "{count}");
    }
    assert!(test.store.list_conversations(ListQuery::default()).await.unwrap().conversations.is_empty());
    // Somebody may have a note of her own.
    send_to(&test.store, cleo, for_people(&[cleo])).await;
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn the_same_key_for_others_is_another_message() {
    let Ward { test, ada, ben, cleo, .. } = ward().await;
    let (subject, body, key) = (Subject::parse("a").unwrap(), Body::parse("b").unwrap(), IdempotencyKey::fresh());
    let message = |addressed| NewMessage { subject: subject.clone(), body: body.clone(), addressed, key };
    let first = test.store.send_message(ada, message(for_people(&[ben])), at(1)).await.unwrap();
    let Sent::Created(id) = first else { panic!("{first:?}") };
    let again = test.store.send_message(ada, message(for_people(&[ben])), at(2)).await.unwrap();
    assert_eq!(again, Sent::Repeated(id));
    let other = test.store.send_message(ada, message(for_people(&[cleo])), at(3)).await.unwrap();
    assert_eq!(other, Sent::KeyReused(id));
}

#[tokio::test]
async fn the_duties_of_somebody_who_is_switched_off_go_to_the_team_or_back_to_the_author() {
    let Ward { test, ada, ben, cleo, dora } = ward().await;
    let team = team_of(&test.store, "Ward 3", &[cleo, dora]).await;
    let to_cleo = send_to(&test.store, ada, for_people(&[cleo])).await;
    let to_ben = send_to(&test.store, ada, for_people(&[ben])).await;
    let to_team = send_to(&test.store, ada, for_team(team)).await;
    let change = test.store.set_staff_enabled("cleo@clinic.example", false, "root", at(200)).await.unwrap();
    assert_eq!(change, StaffChange::Changed { people: 1, sessions_ended: 1, moved: vec![to_cleo, to_team] });
    test.store.set_staff_enabled("ben@clinic.example", false, "root", at(201)).await.unwrap();
    assert_eq!(open(&test.store, to_cleo).await, ["dora/Ward 3"]);
    assert_eq!(open(&test.store, to_ben).await, ["ada"]);
    assert_eq!(open(&test.store, to_team).await, ["dora/Ward 3"]);
    let moved = actions(&test.store).await.into_iter().filter(|action| action == "DUTY_MOVED").count();
    assert_eq!(moved, 3);
    assert_sound(&test.store).await;
    // Nobody is left in the team: the author gets what was the team's.
    test.store.set_staff_enabled("dora@clinic.example", false, "root", at(202)).await.unwrap();
    assert_eq!(open(&test.store, to_cleo).await, ["ada"]);
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_deleted_message_asks_nothing_of_anybody() {
    let Ward { test, ada, ben, .. } = ward().await;
    let message = send_to(&test.store, ada, for_people(&[ben])).await;
    test.store.delete_message(ada, message, at(120)).await.unwrap();
    assert!(open(&test.store, message).await.is_empty());
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_duty_that_was_made_up_taken_away_or_ended_in_the_file_is_found() {
    for change in [
        "DELETE FROM duty WHERE person_id = 2",
        "UPDATE duty SET ended_by = (SELECT max(id) FROM audit_log) WHERE person_id = 2",
        "UPDATE duty SET ended_by = NULL WHERE person_id = 3",
        "UPDATE duty SET person_id = 4 WHERE person_id = 2",
        "UPDATE duty SET team_id = 0 WHERE team_id = 1 AND person_id = 3",
        "INSERT INTO duty SELECT message_id, 0, 4, since_by, NULL FROM duty WHERE person_id = 2",
        "INSERT INTO urgent (message_id, policy) SELECT message_id, 'fast' FROM duty WHERE person_id = 2",
    ] {
        let Ward { test, ada, ben, cleo, .. } = ward().await;
        let team = team_of(&test.store, "Ward 3", &[cleo]).await;
        let message = send_to(&test.store, ada, Addressed { people: [ben.person].into(), ..for_team(team) }).await;
        test.store.finish_duty(cleo, message, at(110)).await.unwrap();
        assert_sound(&test.store).await;
        assert_eq!(test.raw().execute(change, ()).unwrap(), 1, "{change}");
        let verdict = test.store.verify_chain(None, |_| ()).await.unwrap();
        let found = matches!(verdict, ChainVerdict::Broken { error: ChainError::Duty(_), .. });
        assert!(found, "{change}: {verdict:?}");
    }
}
