use std::sync::mpsc;

use super::*;
use crate::StoreError;
use crate::sqlite::files::{Room, Sizes};
use crate::testing::*;

fn count(statistics: &Statistics, action: Action) -> u64 {
    statistics.actions.iter().filter(|(counted, _)| *counted == action).map(|(_, count)| count).sum()
}

#[tokio::test]
async fn rows_are_counted_once_whichever_program_wrote_them() {
    let test = TestStore::new().await;
    let ada = staff(&test.store, "ada").await;
    send(&test.store, ada, "One", "Text.").await;
    let first = test.store.statistics(AuditId::ZERO, LIMITS, at(20)).await.unwrap();
    assert_eq!((first.head.get(), first.counted), (3, first.head));
    assert_eq!((count(&first, Action::Login), count(&first, Action::MessageCreate)), (1, 1));
    assert_eq!(count(&first, Action::DatabaseCreated), 1);

    let other = test.another().await;
    let ben = staff(&other, "ben").await;
    send(&other, ben, "Two", "Text.").await;
    send(&other, ben, "Three", "Text.").await;
    let second = test.store.statistics(first.counted, LIMITS, at(20)).await.unwrap();
    assert_eq!((count(&second, Action::Login), count(&second, Action::MessageCreate)), (1, 2));
    assert_eq!(count(&second, Action::DatabaseCreated), 0);
    let third = test.store.statistics(second.counted, LIMITS, at(20)).await.unwrap();
    assert_eq!((third.actions, third.head), (Vec::new(), second.head));

    // Few at a time, they come to the same.
    let (mut counted, mut rows) = (AuditId::ZERO, 0);
    while counted < third.head {
        let part = test.store.statistics_within(4, counted, LIMITS, at(20)).await.unwrap();
        assert_eq!((part.head, part.counted.get()), (third.head, third.head.get().min(counted.get() + 4)));
        (counted, rows) = (part.counted, rows + part.actions.iter().map(|(_, count)| count).sum::<u64>());
    }
    assert_eq!(rows, 6);
}

#[tokio::test]
async fn steps_and_answers_of_urgent_messages_are_counted_by_kind() {
    use crate::{Addressed, Body, IdempotencyKey, NewMessage, Sent, Subject, UrgentAnswer, UrgentPolicy};
    let test = TestStore::new().await;
    let (ada, ben) = (staff(&test.store, "ada").await, staff(&test.store, "ben").await);
    let send = async |text: &str, urgent| {
        let addressed = Addressed { people: [ben.person].into(), urgent, ..Addressed::default() };
        let (subject, body) = (Subject::parse("Room 7").unwrap(), Body::parse(text).unwrap());
        let message = NewMessage { subject, body, addressed, key: IdempotencyKey::fresh() };
        match test.store.send_message(ada, message, at(100)).await.unwrap() {
            Sent::Created(id) => id,
            other => panic!("{other:?}"),
        }
    };
    let first = send("One", Some(UrgentPolicy::Fast)).await;
    let second = send("Two", Some(UrgentPolicy::Fast)).await;
    let plain = send("Three", None).await;
    let minutes = |minutes: u64| at(100).plus(std::time::Duration::from_secs(60 * minutes));
    test.store.carry_out_urgent_steps(minutes(2)).await.unwrap();
    test.store.answer_urgent(ben, first, UrgentAnswer::OnMyWay, minutes(3)).await.unwrap();
    test.store.answer_urgent(ben, second, UrgentAnswer::Cannot, minutes(3)).await.unwrap();
    for message in [first, plain] {
        test.store.finish_duty(ben, message, minutes(4)).await.unwrap();
    }
    let mut counted = test.store.statistics(AuditId::ZERO, LIMITS, minutes(4)).await.unwrap();
    assert_eq!(count(&counted, Action::DutyDone), 2);
    counted.urgent_steps.sort_by_key(|(kind, _)| kind.as_str());
    // Nobody is in a team: who cannot hands it on to everyone.
    assert_eq!(counted.urgent_steps, [(StepKind::Everyone, 1), (StepKind::Reminder, 2)]);
    let answered = |answer| counted.urgent_answers.iter().find(|(said, _)| *said == answer).map(|(_, count)| *count);
    let answers = [UrgentState::OnTheWay, UrgentState::Cannot, UrgentState::Done].map(answered);
    assert_eq!(answers, [Some(1), Some(1), Some(1)]);
}

#[tokio::test]
async fn a_session_past_a_limit_does_not_live_though_nobody_has_written_that_down() {
    let test = TestStore::new().await;
    let live = async |time| test.store.statistics(AuditId::ZERO, LIMITS, at(time)).await.unwrap().live_sessions;
    assert_eq!(live(0).await, 0);
    let (token, _) = sign_in(&test.store, "ada", at(0)).await;
    let (_, session) = sign_in(&test.store, "ben", at(600)).await;
    assert_eq!((live(600).await, live(999).await, live(1_000).await), (2, 2, 1));
    // Reported to somebody as ended, under a clock that was set back since.
    test.store.session(&token, LIMITS, at(1_000)).await.unwrap();
    assert_eq!(live(700).await, 1);
    test.store.sign_out(crate::Actor { person: session.person, session: session.id, ip: IP }, at(700)).await.unwrap();
    assert_eq!(live(700).await, 0);
}

#[tokio::test]
async fn the_writer_tells_what_waits_what_it_refused_and_what_shared_a_commit() {
    let test = TestStore::new().await;
    let before = test.store.writer_numbers();
    let (release, released) = mpsc::channel::<()>();
    let (entered, inside) = mpsc::channel();
    drop(test.store.writer().submit(move |_| {
        entered.send(()).unwrap();
        let _ = released.recv();
        Ok(())
    }));
    inside.recv().unwrap();
    let write =
        || test.store.writer().submit(|write| Ok(write.connection.execute("UPDATE audit_head SET id = id", ())?));
    let capacity = usize::try_from(before.capacity).unwrap();
    let waiting: Vec<_> = (0..capacity).map(|_| write().unwrap()).collect();
    assert!(matches!(write(), Err(StoreError::Busy)));
    let full = test.store.writer_numbers();
    assert_eq!((full.waiting, full.refused - before.refused), (before.capacity, 1));
    assert_eq!(full.jobs.count, before.jobs.count, "nothing is committed yet");

    release.send(()).unwrap();
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    let after = test.store.writer_numbers();
    assert_eq!((after.waiting, after.failed), (0, before.failed));
    assert_eq!(after.jobs.sum - before.jobs.sum, capacity as f64);
    // 256 jobs share a commit.
    assert_eq!(after.jobs.count - before.jobs.count, (capacity / 256) as u64);
    assert_eq!(after.commit_seconds.count, after.jobs.count);
    assert!(after.transaction_seconds.sum >= after.commit_seconds.sum && after.commit_seconds.sum > 0.0);
}

#[tokio::test]
async fn the_files_are_as_large_as_the_disk_says() {
    let test = TestStore::new().await;
    staff(&test.store, "ada").await;
    let sizes = test.store.sizes().unwrap();
    let room = test.store.room().unwrap();
    assert!(room.free_bytes > 0 && room.free_bytes <= room.size_bytes, "{room:?}");
    assert!(sizes.database > 0 && sizes.write_ahead_log > 0, "{sizes:?}");
    let (path, _folder) = test.close().await;
    let closed = Sizes::of(&path).unwrap();
    assert_eq!(closed, Sizes { database: std::fs::metadata(&path).unwrap().len(), write_ahead_log: 0 });
    assert!(Sizes::of(&path.with_file_name("nowhere.db")).is_err());
    assert!(Room::of(&path.with_file_name("nowhere/test.db")).is_err());
}
