//! What is told of urgent messages.

use std::time::Duration;

use super::{Numbers, tell};
use crate::support::Clinic;
use store::{Addressed, Body, IdempotencyKey, NewMessage, Sent, Subject, Timestamp, UrgentAnswer, UrgentPolicy};
use testkit::{SOON, wait_until};

#[tokio::test]
async fn what_is_urgent_is_told_by_its_age_until_somebody_answers() {
    let clinic = Clinic::open().await;
    let metrics = tell(&clinic).await;
    let (amina, tomas) = (clinic.sign_in("amina").await, clinic.sign_in("tomas").await);
    let told = async || {
        let numbers = Numbers::read(&metrics).await;
        (numbers.of("wardpost_urgent_open"), numbers.of("wardpost_urgent_unanswered_seconds"))
    };
    assert_eq!(told().await, (0.0, 0.0));
    let mut sent = Vec::new();
    for (minutes, urgent) in [(60, None), (16, Some(UrgentPolicy::Fast)), (6, Some(UrgentPolicy::Fast))] {
        let message = NewMessage {
            subject: Subject::parse("Room 7").unwrap(),
            body: Body::parse("Please come.").unwrap(),
            addressed: Addressed { people: [tomas.actor.person].into(), urgent, ..Addressed::default() },
            key: IdempotencyKey::fresh(),
        };
        let at = Timestamp::now().minus(Duration::from_secs(60 * minutes));
        let Sent::Created(id) = clinic.store.send_message(amina.actor, message, at).await.unwrap() else {
            panic!("sent")
        };
        sent.push(id);
    }
    let (older, newer) = (sent[1], sent[2]);
    let is_minutes = |seconds: f64, minutes: f64| (0.0..60.0).contains(&(seconds - 60.0 * minutes));
    let (open, seconds) = told().await;
    assert!(open == 2.0 && is_minutes(seconds, 16.0), "{open} are open, the oldest for {seconds} s");
    // Nobody is in a team: everyone is asked instead.
    let step = |kind: &str| format!("wardpost_urgent_steps_total{{kind=\"{kind}\"}}");
    wait_until("the highest steps that are due are carried out", SOON, async || {
        let numbers = Numbers::read(&metrics).await;
        let steps = ["reminder", "teammates", "everyone", "unanswered"].map(|kind| numbers.of(&step(kind)));
        if steps == [1.0, 0.0, 1.0, 0.0] { Ok(()) } else { Err(steps) }
    })
    .await;

    let now = Timestamp::now();
    clinic.store.answer_urgent(tomas.actor, older, UrgentAnswer::OnMyWay, now).await.unwrap();
    let (open, seconds) = told().await;
    assert!(open == 2.0 && is_minutes(seconds, 6.0), "{open} are open, the oldest for {seconds} s");
    clinic.store.finish_duty(tomas.actor, older, now).await.unwrap();
    clinic.store.answer_urgent(tomas.actor, newer, UrgentAnswer::Cannot, now).await.unwrap();
    let (open, seconds) = told().await;
    assert!(open == 1.0 && is_minutes(seconds, 6.0), "{open} are open, the oldest for {seconds} s");
    let numbers = Numbers::read(&metrics).await;
    for answer in ["on_my_way", "cannot", "done"] {
        assert_eq!(numbers.of(&format!("wardpost_urgent_answers_total{{answer=\"{answer}\"}}")), 1.0, "{answer}");
    }
    // Withdrawn: whether or not everybody has seen that, nobody has to come any more.
    clinic.store.delete_message(amina.actor, newer, now).await.unwrap();
    assert_eq!(told().await.1, 0.0);
}
