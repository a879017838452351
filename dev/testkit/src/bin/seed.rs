//! Fills a database with messages and signs somebody in, for benches and screenshots:
//! `seed --db PATH --messages 10000`, with DB_ENCRYPTION_KEY in the environment; `--random-bytes 3000` gives bodies of so
//! many random bytes in hex, which do not compress well; `--people 40` lets so many people write in turn, where there is
//! one otherwise; `--for-somebody 400` has so many of the newest messages be for the next person each, who has not done it;
//! `--replies 10` adds a conversation of so many replies at the end, of which nobody has opened anything. Prints the cookie and
//! CSRF token of the first, and of all of them, as JSON. Goes through the store like everybody else, so that the chain holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a tool for tests")]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use store::{
    Actor, Body, Client, DatabaseKey, IdempotencyKey, Identity, IfMissing, Location, MessageId, NewMessage, NewReply,
    Sent, SignIn, Store, Subject, Timestamp,
};

const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const IN_FLIGHT: usize = 200;
const NAMES: [&str; 8] = [
    "Noor Seedorf",
    "Amina Diallo",
    "Jonas Weber",
    "Zoë Öztürk",
    "Pilar O’Neill",
    "Tomasz Wójcik",
    "Mei-Ling Tan",
    "Fatima al-Sayed",
];
const SUBJECTS: [&str; 6] = [
    "Handover, ward 3, early shift",
    "Room 12: new dressing plan from tomorrow",
    "Pharmacy delivery is late today",
    "Who can swap Sunday night?",
    "Fire drill at 14:00, all floors",
    "Lift B is out of order until Thursday",
];

#[tokio::main]
async fn main() {
    let mut db = PathBuf::from("wardpost.db");
    let mut messages = 0_u64;
    let mut random_bytes = 0_usize;
    let mut people = 1_usize;
    let mut replies = 0_u64;
    let mut for_somebody = 0_u64;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().expect("every option takes a value");
        match name.as_str() {
            "--db" => db = value.into(),
            "--random-bytes" => random_bytes = value.parse().expect("--random-bytes takes a number"),
            "--people" => people = value.parse().expect("--people takes a number, 1 at least"),
            "--for-somebody" => for_somebody = value.parse().expect("--for-somebody takes a number"),
            "--replies" => replies = value.parse().expect("--replies takes a number"),
            "--messages" => messages = value.parse().expect("--messages takes a number"),
            other => panic!("unknown option {other}"),
        }
    }
    let key = std::env::var("DB_ENCRYPTION_KEY").expect("DB_ENCRYPTION_KEY is set");
    let key = DatabaseKey::from_hex(&key).expect("DB_ENCRYPTION_KEY is 64 hex characters");
    let store = Store::open(&Location::file(&db, &key), IfMissing::Create).await.expect("the database opens");
    let now = Timestamp::now();
    let mut signed_in = Vec::new();
    for number in 0..people {
        signed_in.push(sign_in(&store, number, now).await);
    }
    let mut sends = tokio::task::JoinSet::new();
    for number in 0..messages {
        if sends.len() >= IN_FLIGHT {
            sends.join_next().await.expect("one is in flight").expect("no panic");
        }
        let store = store.clone();
        let turn = usize::try_from(number).unwrap();
        let (actor, next) = (signed_in[turn % people].0, signed_in[(turn + 1) % people].0.person);
        let is_for = (messages - number <= for_somebody).then_some(next);
        let at = now.minus(Duration::from_secs(30 * (messages - number)));
        sends.spawn(async move {
            let subject = SUBJECTS[usize::try_from(number).unwrap() % SUBJECTS.len()];
            let message = NewMessage {
                subject: Subject::parse(&format!("{subject} ({number})")).expect("a subject"),
                body: Body::parse(&body(random_bytes)).expect("a body"),
                addressed: store::Addressed { people: is_for.into_iter().collect(), ..store::Addressed::default() },
                key: IdempotencyKey::fresh(),
            };
            store.send_message(actor, message, at).await.expect("sent");
        });
    }
    while let Some(sent) = sends.join_next().await {
        sent.expect("no panic");
    }
    let conversation = if replies > 0 { Some(converse(&store, &signed_in, replies, now).await) } else { None };
    let mut said = signed_in[0].1.clone();
    said["conversation"] = serde_json::json!(conversation);
    said["sessions"] = signed_in.into_iter().map(|(_, session)| session).collect();
    println!("{said}");
    store.close().await;
}

/// Sends a message and replies to it, everybody in turn; gives its number.
async fn converse(store: &Store, people: &[(Actor, serde_json::Value)], replies: u64, at: Timestamp) -> MessageId {
    let message = NewMessage {
        subject: Subject::parse("Who covers the holidays?").expect("a subject"),
        body: Body::parse(&body(0)).expect("a body"),
        addressed: store::Addressed::default(),
        key: IdempotencyKey::fresh(),
    };
    let Ok(Sent::Created(root)) = store.send_message(people[0].0, message, at).await else { panic!("sent") };
    let mut sends = tokio::task::JoinSet::new();
    for number in 0..replies {
        if sends.len() >= IN_FLIGHT {
            sends.join_next().await.expect("one is in flight").expect("no panic");
        }
        let (store, actor) = (store.clone(), people[usize::try_from(number).unwrap() % people.len()].0);
        sends.spawn(async move {
            let body = Body::parse(&body(0)).expect("a body");
            let reply =
                NewReply { to: root, body, addressed: store::Addressed::default(), key: IdempotencyKey::fresh() };
            store.send_reply(actor, reply, at).await.expect("sent");
        });
    }
    while let Some(sent) = sends.join_next().await {
        sent.expect("no panic");
    }
    // The newest message of all begins a conversation: benches read its number from the list.
    let last = NewMessage {
        subject: Subject::parse("Thank you").expect("a subject"),
        body: Body::parse(&body(0)).expect("a body"),
        addressed: store::Addressed::default(),
        key: IdempotencyKey::fresh(),
    };
    store.send_message(people[0].0, last, at).await.expect("sent");
    root
}

/// Signs the person of that number in; gives who acts, and what their browser holds.
async fn sign_in(store: &Store, number: usize, at: Timestamp) -> (Actor, serde_json::Value) {
    let (name, handle) = match number {
        0 => (NAMES[0].to_owned(), "seed".to_owned()),
        _ => (format!("{} {number}", NAMES[number % NAMES.len()]), format!("seed-{number}")),
    };
    let identity = Identity {
        issuer: "https://seed.example".into(),
        email: format!("{handle}@clinic.example"),
        subject: handle,
        name,
    };
    let client = Client { ip: IP, user_agent: "seed".into() };
    let SignIn::SignedIn { token, session } = store.sign_in(identity, None, client, at).await.expect("sign-in") else {
        panic!("the seed's person is disabled");
    };
    let held = serde_json::json!({
        "cookie": format!("wardpost={}", token.reveal()),
        "csrf": session.csrf_token,
        "person": session.person,
    });
    (Actor { person: session.person, session: session.id, ip: IP }, held)
}

fn body(random_bytes: usize) -> String {
    if random_bytes == 0 {
        return "Please read this before your round. ".repeat(12);
    }
    let mut bytes = vec![0; random_bytes];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    hex::encode(bytes)
}
