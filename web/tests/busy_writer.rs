//! Another process holds the database's write lock while a whole clinic sends: who finds no room is told at once and keeps
//! the text, who was told "sent" is sent, and nothing is half-done.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Sender, browser, key, launch, messages, sign_in_all};
use nix::fcntl::{FcntlArg, fcntl};
use store::{ChainVerdict, IdempotencyKey, IfMissing, Location, Store};
use testkit::{Http, Reply, SOON, wait_until};
use tokio::task::JoinSet;

const MEMBERS: usize = 60;
/// Fewer than one member may have under way, and together more than the writer's queue of 1,024 holds.
const EACH: usize = 25;

/// The lock that SQLite's writer takes, byte 120 of the shared memory's file, held by this process: to the site it is
/// another program that does not finish.
struct WriteLock(File);

impl WriteLock {
    async fn take(database: &Path) -> Self {
        let file = OpenOptions::new().read(true).write(true).open(database.with_extension("db-shm")).unwrap();
        wait_until("the lock is ours", SOON, async || set(&file, nix::libc::F_WRLCK)).await;
        Self(file)
    }

    fn release(self) {
        set(&self.0, nix::libc::F_UNLCK).unwrap();
    }
}

fn set(file: &File, kind: i32) -> nix::Result<()> {
    let lock = nix::libc::flock { l_type: i16::try_from(kind).unwrap(), l_whence: 0, l_start: 120, l_len: 1, l_pid: 0 };
    fcntl(file, FcntlArg::F_SETLK(&lock)).map(drop)
}

struct Sent {
    subject: String,
    reply: Reply,
    after: Duration,
}

async fn send(http: Http, csrf: String) -> Sent {
    let subject = IdempotencyKey::fresh().to_string();
    let fields = [("csrf", csrf.as_str()), ("key", &subject), ("subject", &subject), ("body", "half a night's work")];
    let start = Instant::now();
    let reply = http.request(http::Method::POST, "/messages").form(&fields).send().await;
    Sent { subject, reply, after: start.elapsed() }
}

fn send_from_all(site: &str, senders: &[Sender], each: usize) -> JoinSet<Sent> {
    let mut sends = JoinSet::new();
    for sender in senders {
        let http = browser(site, sender);
        for _ in 0..each {
            sends.spawn(send(http.clone(), sender.csrf.clone()));
        }
    }
    sends
}

fn keeps_the_text(sent: &Sent) {
    let page = sent.reply.text();
    assert_eq!(sent.reply.status, 503, "{page}");
    assert_eq!(sent.reply.header("retry-after"), Some("5"));
    assert!(page.contains(&sent.subject) && page.contains("half a night&#39;s work"), "the text is gone: {page}");
    assert!(page.contains("very busy"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_keeps_the_text_and_does_nothing_by_halves() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("wardpost.db");
    let senders = Arc::new(sign_in_all(&database, MEMBERS).await);
    let mut program = launch(&database).start();
    let site = format!("http://{}", program.address().await);
    program.wait_until_ready(&format!("{site}/readyz")).await;
    let mut acknowledged = HashSet::new();

    // The queue fills up, and is worked off when the other program is done.
    let lock = WriteLock::take(&database).await;
    let mut sends = send_from_all(&site, &senders, EACH);
    let mut refused = 0;
    while refused < MEMBERS * EACH - 1_024 - 256 {
        let sent = sends.join_next().await.expect("a refusal").unwrap();
        keeps_the_text(&sent);
        assert!(sent.after < Duration::from_secs(9), "refused only after {:?}", sent.after);
        refused += 1;
    }
    let start = Instant::now();
    assert_eq!(browser(&site, &senders[0]).get("/messages").await.status, 200);
    assert!(start.elapsed() < Duration::from_secs(5), "reading waited {:?} for writing", start.elapsed());
    lock.release();
    while let Some(sent) = sends.join_next().await {
        let sent = sent.unwrap();
        match sent.reply.status {
            303 => assert!(acknowledged.insert(sent.subject)),
            _ => keeps_the_text(&sent),
        }
    }
    assert!(acknowledged.len() >= 1_024, "only {} of the queue were sent", acknowledged.len());

    // The other program is never done: after one wait for the lock, all who wait with it are told.
    let lock = WriteLock::take(&database).await;
    let start = Instant::now();
    let mut sends = send_from_all(&site, &senders, 10);
    while let Some(sent) = sends.join_next().await {
        keeps_the_text(&sent.unwrap());
    }
    assert!(start.elapsed() < Duration::from_secs(19), "the last in the queue waited {:?}", start.elapsed());
    lock.release();

    // What was refused can be sent with the same form, once.
    let again = send(browser(&site, &senders[0]), senders[0].csrf.clone()).await;
    assert_eq!(again.reply.status, 303);
    acknowledged.insert(again.subject);
    assert!(program.terminate().await.success());

    let store = Store::open(&Location::file(&database, &key()), IfMissing::Refuse).await.unwrap();
    let stored = messages(&store).await;
    assert_eq!(stored.len(), acknowledged.len());
    assert_eq!(stored, acknowledged, "what was acknowledged is there, and nothing else");
    let verdict = store.verify_chain(None, |_| {}).await.unwrap();
    assert!(matches!(verdict, ChainVerdict::Sound { .. }), "the chain is broken");
    store.close().await;
}
