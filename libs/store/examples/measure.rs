//! Measures the store alone, without HTTP: `cargo run --release -p wardpost-store --example measure [DIRECTORY]`.
//!
//! It makes a database of 10,000 messages in a temporary folder of DIRECTORY (the system's own by default; name one on
//! a real disk), and prints how many messages are sent, lists read and sessions looked up in a second, and how long the
//! check of the chain takes.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use wardpost_store::{
    Actor, Body, Client, DatabaseKey, IdempotencyKey, Identity, IfMissing, ListQuery, Location, NewMessage,
    SessionLimits, SignIn, Store, Subject, Timestamp,
};

const MESSAGES: usize = 10_000;
const SENDERS: usize = 64;
const READS: usize = 20_000;

#[tokio::main]
async fn main() {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let directory = tempfile::TempDir::new_in(parent).unwrap();
    let path = directory.path().join("measure.db");
    let key = DatabaseKey::from_hex(&"5a".repeat(32)).unwrap();

    let started = Instant::now();
    let store = Store::open(&Location::file(&path, &key), IfMissing::Create).await.unwrap();
    println!("open a new database: {:?}", started.elapsed());

    let ip = Ipv4Addr::LOCALHOST.into();
    let identity = Identity {
        issuer: "https://id.example".into(),
        subject: "1".into(),
        email: "ada@clinic.example".into(),
        name: "Ada".into(),
    };
    let client = Client { ip, user_agent: "measure".into() };
    let SignIn::SignedIn { token, session } = store.sign_in(identity, None, client, Timestamp::now()).await.unwrap()
    else {
        return println!("nobody signed in");
    };
    let actor = Actor { person: session.person, session: session.id, ip };

    let started = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..MESSAGES / SENDERS {
                    let message = NewMessage {
                        subject: Subject::parse("Rota for next week").unwrap(),
                        body: Body::parse(&"Please look at it and say what does not fit. ".repeat(8)).unwrap(),
                        addressed: wardpost_store::Addressed::default(),
                        key: IdempotencyKey::fresh(),
                    };
                    store.send_message(actor, message, Timestamp::now()).await.unwrap();
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    rate("messages sent, 64 at a time", MESSAGES, started);

    let limits = SessionLimits { idle: Duration::from_secs(1_440), absolute: Duration::from_secs(43_200) };
    let started = Instant::now();
    for _ in 0..READS {
        store.session(&token, limits, Timestamp::now()).await.unwrap();
    }
    rate("sessions looked up, one by one", READS, started);

    let query = ListQuery::default();
    let started = Instant::now();
    for _ in 0..READS {
        store.list_conversations(query).await.unwrap();
    }
    rate("lists of 50 read, one by one", READS, started);

    let started = Instant::now();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..READS / 8 {
                    store.list_conversations(query).await.unwrap();
                }
            })
        })
        .collect();
    for reader in readers {
        reader.await.unwrap();
    }
    rate("lists of 50 read, 8 at a time", READS, started);

    let started = Instant::now();
    let verdict = store.verify_chain(None, |_| ()).await.unwrap();
    rate("audit rows checked", MESSAGES, started);
    println!("{verdict:?}");
    store.close().await;
}

fn rate(what: &str, count: usize, started: Instant) {
    let spent = started.elapsed();
    println!("{what}: {:.0} a second ({spent:.2?})", count as f64 / spent.as_secs_f64());
}
