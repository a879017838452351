use super::*;
use crate::acts::duty::tests::{Ward, for_people, for_team, send_to, team_of, ward};
use crate::testing::*;
use crate::*;

fn minutes(minutes: i64) -> Timestamp {
    at(100).plus(std::time::Duration::from_secs(60 * u64::try_from(minutes).unwrap()))
}

fn urgent(addressed: Addressed) -> Addressed {
    Addressed { urgent: Some(UrgentPolicy::Fast), ..addressed }
}

/// What is carried out when a program looks at each of these minutes.
async fn steps(store: &Store, looks: impl IntoIterator<Item = i64>) -> Vec<(i64, StepKind)> {
    let mut found = Vec::new();
    for minute in looks {
        let done = store.carry_out_urgent_steps(minutes(minute)).await.unwrap();
        found.extend(done.into_iter().map(|(_, kind)| (minute, kind)));
    }
    found
}

async fn only(store: &Store) -> UrgentMessage {
    let mut all = store.urgent_messages().await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn nobody_answers_and_each_step_is_carried_out_once_however_many_look() {
    use StepKind::*;
    let Ward { test, ada, ben, cleo, dora } = ward().await;
    let team = team_of(&test.store, "Ward 3", &[ben, cleo]).await;
    // Named, and a teammate of Cleo.
    let message = send_to(&test.store, ada, urgent(for_people(&[ben]))).await;
    let other = test.another().await;
    let mut found = Vec::new();
    for minute in 0..=40 {
        let (one, two) = tokio::join!(steps(&test.store, [minute]), steps(&other, [minute]));
        found.extend(one.into_iter().chain(two));
    }
    let expected = [(2, Reminder), (5, Reminder), (10, Reminder), (15, Teammates), (20, Everyone), (30, Unanswered)];
    assert_eq!(found, expected);
    let now = only(&test.store).await;
    let asked: Vec<_> = now.duties.iter().map(|duty| (duty.person.id, duty.team.clone(), duty.at_sending)).collect();
    let ward_3 = Some((team, "Ward 3".to_owned()));
    assert_eq!(asked, [(ben.person, None, true), (cleo.person, ward_3, false)]);
    assert_eq!((now.message, now.state, now.steps.len(), now.next), (message, UrgentState::Waiting, 6, None));
    assert!([ada, ben, cleo, dora].iter().all(|actor| now.is_for(actor.person)));
    assert_sound(&test.store).await;
    other.close().await;
}

#[tokio::test]
async fn on_my_way_stops_the_steps_and_done_ends_it() {
    let Ward { test, ada, ben, cleo, dora } = ward().await;
    let team = team_of(&test.store, "Ward 3", &[ben, cleo]).await;
    let message = send_to(&test.store, ada, urgent(for_team(team))).await;
    assert_eq!(steps(&test.store, [3]).await, [(3, StepKind::Reminder)]);
    let version = test.store.duties_version();
    // Opening is no answer, nor is replying.
    test.store.open_conversation(ben, message, 0, 50, minutes(3)).await.unwrap();
    crate::acts::conversation::tests::send_reply(&test.store, ben, message, "what is it?", 95).await;
    assert_eq!(only(&test.store).await.state, UrgentState::Waiting);
    let answer = |actor, answer| test.store.answer_urgent(actor, message, answer, minutes(4));
    assert_eq!(answer(dora, UrgentAnswer::Cannot).await.unwrap(), DutyChange::Unchanged, "she was not asked");
    assert_eq!(answer(ben, UrgentAnswer::OnMyWay).await.unwrap(), DutyChange::Changed);
    assert_eq!(answer(ben, UrgentAnswer::OnMyWay).await.unwrap(), DutyChange::Unchanged);
    assert!(test.store.duties_version() > version);
    assert_eq!(steps(&test.store, 5..200).await, []);
    let now = only(&test.store).await;
    assert_eq!(
        (now.state, now.answers[0].0.id, now.answers[0].1),
        (UrgentState::OnTheWay, ben.person, UrgentState::OnTheWay)
    );
    assert!(now.is_for(ben.person) && now.is_for(cleo.person) && !now.is_for(dora.person) && !now.is_for(ada.person));
    assert_eq!(test.store.finish_duty(ben, message, minutes(20)).await.unwrap(), DutyChange::Changed);
    assert!(test.store.urgent_messages().await.unwrap().is_empty());
    assert_eq!(answer(ben, UrgentAnswer::OnMyWay).await.unwrap(), DutyChange::Unchanged, "it is over");
    let said = only_urgent(&test.store, message).await;
    assert_eq!((said.state, said.steps.len()), (UrgentState::Done, 1));
    let told: Vec<_> = said.answers.iter().map(|(who, what, at)| (who.id, *what, *at)).collect();
    let both = [(UrgentState::OnTheWay, minutes(4)), (UrgentState::Done, minutes(20))];
    assert_eq!(told, both.map(|(what, at)| (ben.person, what, at)), "what was said before stays");
    assert!(!said.is_on_the_way(ben.person));
    assert_sound(&test.store).await;
}

async fn only_urgent(store: &Store, message: MessageId) -> UrgentMessage {
    store.urgent_of(vec![message]).await.unwrap().remove(0).unwrap()
}

#[tokio::test]
async fn who_cannot_hands_it_on_at_once() {
    use StepKind::*;
    let Ward { test, ada, ben, cleo, dora } = ward().await;
    team_of(&test.store, "Ward 3", &[ben, cleo]).await;
    let message = send_to(&test.store, ada, urgent(for_people(&[ben]))).await;
    assert_eq!(steps(&test.store, [2]).await, [(2, Reminder)]);
    test.store.answer_urgent(ben, message, UrgentAnswer::Cannot, minutes(3)).await.unwrap();
    let now = only(&test.store).await;
    let kinds: Vec<_> = now.steps.iter().map(|step| (step.number, step.kind, step.at)).collect();
    assert_eq!(kinds, [(1, Reminder, minutes(2)), (4, Teammates, minutes(3))]);
    assert!(!now.is_for(ben.person) && now.is_for(cleo.person));
    assert_eq!(now.next, Some((Everyone, minutes(8))));
    // Nobody is left in the team.
    test.store.answer_urgent(cleo, message, UrgentAnswer::Cannot, minutes(4)).await.unwrap();
    let now = only(&test.store).await;
    assert!(now.is_for(dora.person), "everyone is asked");
    assert_eq!(now.state, UrgentState::Waiting, "nothing urgent is hidden unanswered");
    // Who was not asked by name helps, and ends it.
    test.store.answer_urgent(dora, message, UrgentAnswer::OnMyWay, minutes(5)).await.unwrap();
    assert_eq!(steps(&test.store, 5..200).await, []);
    test.store.finish_duty(dora, message, minutes(30)).await.unwrap();
    assert!(test.store.urgent_messages().await.unwrap().is_empty());
    assert_sound(&test.store).await;
    let skipped = actions(&test.store).await.into_iter().filter(|action| action == "URGENT_STEPS_SKIPPED").count();
    assert_eq!(skipped, 1);
}

#[tokio::test]
async fn who_was_on_the_way_and_cannot_after_all_starts_the_steps_again() {
    let Ward { test, ada, ben, .. } = ward().await;
    let message = send_to(&test.store, ada, urgent(for_people(&[ben]))).await;
    test.store.answer_urgent(ben, message, UrgentAnswer::OnMyWay, minutes(1)).await.unwrap();
    assert_eq!(steps(&test.store, [15]).await, []);
    test.store.answer_urgent(ben, message, UrgentAnswer::Cannot, minutes(16)).await.unwrap();
    let now = only(&test.store).await;
    assert_eq!((now.state, now.steps[0].kind), (UrgentState::Waiting, StepKind::Everyone));
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn after_an_hour_asleep_the_missed_steps_are_one_row_and_the_highest_due_is_done() {
    let Ward { test, ada, ben, .. } = ward().await;
    send_to(&test.store, ada, urgent(for_people(&[ben]))).await;
    assert_eq!(steps(&test.store, [61, 62, 600]).await, [(61, StepKind::Unanswered)]);
    let rows: Vec<_> = actions(&test.store).await.into_iter().filter(|action| action.starts_with("URGENT")).collect();
    assert_eq!(rows, ["URGENT_STEPS_SKIPPED", "URGENT_STEP"]);
    assert_eq!(only(&test.store).await.steps.len(), 1);
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_deleted_urgent_message_is_withdrawn_until_each_has_seen_it() {
    let Ward { test, ada, ben, cleo, .. } = ward().await;
    let team = team_of(&test.store, "Ward 3", &[ben, cleo]).await;
    let message = send_to(&test.store, ada, urgent(for_team(team))).await;
    test.store.delete_message(ada, message, minutes(3)).await.unwrap();
    assert_eq!(steps(&test.store, 3..100).await, []);
    let now = only(&test.store).await;
    assert!(now.state == UrgentState::Withdrawn && now.is_for(ben.person) && now.is_for(cleo.person));
    test.store.finish_duty(ben, message, minutes(4)).await.unwrap();
    assert!(only(&test.store).await.is_for(cleo.person));
    test.store.finish_duty(cleo, message, minutes(5)).await.unwrap();
    assert!(test.store.urgent_messages().await.unwrap().is_empty());
    assert_sound(&test.store).await;
}

#[tokio::test]
async fn a_step_an_answer_or_an_end_in_the_file_alone_is_found() {
    for change in [
        "DELETE FROM urgent_step WHERE step = 1",
        "INSERT INTO urgent_step SELECT message_id, 2, audit_id FROM urgent_step",
        "UPDATE urgent_step SET audit_id = audit_id - 1",
        "UPDATE urgent SET policy = 'once' WHERE message_id = 1",
        "UPDATE urgent SET ended_by = (SELECT max(id) FROM audit_log) WHERE message_id = 1",
        "UPDATE urgent SET ended_by = NULL WHERE message_id = 2",
        "UPDATE urgent SET policy = 'once' WHERE message_id = 2",
        "DELETE FROM duty WHERE message_id = 1",
    ] {
        let Ward { test, ada, ben, cleo, .. } = ward().await;
        send_to(&test.store, ada, urgent(for_people(&[ben]))).await;
        steps(&test.store, [2]).await;
        let second = send_to(&test.store, ada, urgent(for_people(&[cleo]))).await;
        test.store.finish_duty(cleo, second, minutes(3)).await.unwrap();
        assert_sound(&test.store).await;
        let unguarded = test.raw();
        unguarded.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        assert_eq!(unguarded.execute(change, ()).unwrap(), 1, "{change}");
        let verdict = test.store.verify_chain(None, |_| ()).await.unwrap();
        let found = matches!(verdict, ChainVerdict::Broken { error: ChainError::Duty(_), .. });
        assert!(found, "{change}: {verdict:?}");
    }
}
