//! The real program, killed without warning again and again while people send: nothing acknowledged is lost.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{browser, key, launch, messages, sign_in};
use store::{ChainVerdict, IdempotencyKey, IfMissing, Location, Store};
use testkit::{Http, Program, SOON, wait_until};
use tokio::task::JoinSet;

const KILLS: usize = 100;
const SENDERS: usize = 8;

/// Sends with new subjects until the site is gone, and notes what it acknowledged. No headers of a browser: the
/// public address is not the one of this run.
async fn send_until_gone(http: Http, csrf: String, acknowledged: Arc<Mutex<HashSet<String>>>) {
    loop {
        let subject = IdempotencyKey::fresh().to_string();
        let fields = [("csrf", csrf.as_str()), ("key", &subject), ("subject", &subject), ("body", "Text")];
        match http.request(http::Method::POST, "/messages").form(&fields).try_send().await {
            Ok(reply) if reply.status == 303 => {
                acknowledged.lock().unwrap().insert(subject);
            }
            Ok(reply) => panic!("a send was answered with {}: {}", reply.status, reply.text()),
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_a_hundred_times_under_load_it_loses_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("wardpost.db");
    let sender = sign_in(&database, "sender").await;
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    for _ in 0..KILLS {
        let mut program = launch(&database).start();
        let site = format!("http://{}", program.address().await);
        let mut senders = JoinSet::new();
        for _ in 0..SENDERS {
            senders.spawn(send_until_gone(browser(&site, &sender), sender.csrf.clone(), Arc::clone(&acknowledged)));
        }
        // The moment of the kill is random, so that no rhythm of the program's own keeps it from a weak spot.
        let moment = Duration::from_millis(5 + u64::from(getrandom::u32().unwrap() % 120));
        tokio::time::sleep(moment).await;
        program.kill().await;
        while let Some(done) = senders.join_next().await {
            done.unwrap();
        }
    }

    let mut program = launch(&database).start();
    let site = format!("http://{}", program.address().await);
    program.wait_until_ready(&format!("{site}/readyz")).await;
    assert_eq!(browser(&site, &sender).get("/messages").await.status, 200, "the program starts again and serves");
    assert!(program.terminate().await.success());

    let store = Store::open(&Location::file(&database, &key()), IfMissing::Refuse).await.unwrap();
    let stored = messages(&store).await;
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > KILLS, "only {} sends were acknowledged in all", acknowledged.len());
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged messages are gone", lost.len(), acknowledged.len());
    // The chain ties every message to its MESSAGE_CREATE row.
    let verdict = store.verify_chain(None, |_| {}).await.unwrap();
    assert!(matches!(verdict, ChainVerdict::Sound { .. }), "the chain is broken");
}

/// Another program keeps the log from going with the process that closes the database last.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_empties_the_log_of_what_may_have_been_deleted_before_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("wardpost.db");
    let other = Store::open(&Location::file(&database, &key()), IfMissing::Create).await.unwrap();
    sign_in(&database, "sender").await;
    let log = folder.path().join("wardpost.db-wal");
    let length = || std::fs::metadata(&log).unwrap().len();
    assert!(length() > 0, "what was written is in the log");

    let mut program = launch(&database).start();
    wait_until("the log is empty", SOON, async || match length() {
        0 => Ok(()),
        length => Err(length),
    })
    .await;
    assert!(program.terminate().await.success());
    other.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_on_one_database_never_show_that_it_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("wardpost.db");
    let sender = sign_in(&database, "sender").await;
    let programs: Vec<Program> = (0..2).map(|_| launch(&database).start()).collect();
    let mut senders = JoinSet::new();
    for program in &programs {
        let site = format!("http://{}", program.address().await);
        for number in 0..SENDERS {
            let http = browser(&site, &sender);
            let csrf = sender.csrf.clone();
            senders.spawn(async move {
                for round in 0..40 {
                    let key = IdempotencyKey::fresh().to_string();
                    let fields = [("csrf", csrf.as_str()), ("key", &key), ("subject", &key), ("body", "Text")];
                    let reply = http.request(http::Method::POST, "/messages").form(&fields).send().await;
                    assert_eq!(reply.status, 303, "sender {number}, message {round}: {}", reply.text());
                    assert_eq!(http.get("/messages").await.status, 200);
                }
            });
        }
    }
    while let Some(done) = senders.join_next().await {
        done.unwrap();
    }
    for mut program in programs {
        let errors: Vec<_> = program
            .log()
            .into_iter()
            .filter(|line| line.field("level") == "ERROR")
            .map(|line| line.message().to_owned())
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert!(program.terminate().await.success());
    }
    let store = Store::open(&Location::file(&database, &key()), IfMissing::Refuse).await.unwrap();
    assert_eq!(messages(&store).await.len(), 2 * SENDERS * 40);
    let verdict = store.verify_chain(None, |_| {}).await.unwrap();
    assert!(matches!(verdict, ChainVerdict::Sound { .. }), "the chain is broken");
}
