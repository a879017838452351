//! What the tests of this crate share: a store in a temporary directory, people in it, and a way around its guards.

mod tampering;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use self::tampering::*;
use crate::ledger::personal::with_personal;
use crate::sqlite::connection::{APPLICATION_ID, Role, open};
use crate::sqlite::schema::MIGRATIONS;
use crate::*;

pub(crate) const IP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
pub(crate) const LIMITS: SessionLimits =
    SessionLimits { idle: Duration::from_millis(1_000), absolute: Duration::from_millis(5_000) };

/// A clock that tests move, and "random" bytes that count up.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestSources {
    millis: Arc<AtomicI64>,
    byte: Arc<AtomicU8>,
}

impl TestSources {
    /// What [`at`] means by these milliseconds.
    pub(crate) fn set(&self, millis: i64) {
        self.millis.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment { clock: Arc::new(self.clone()), random: Arc::new(self.clone()) }
    }
}

impl Clock for TestSources {
    fn now(&self) -> Timestamp {
        at(self.millis.load(Ordering::Relaxed))
    }
}

impl Random for TestSources {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.byte.fetch_add(1, Ordering::Relaxed));
    }
}

/// A store of its own; the directory goes with it.
pub(crate) struct TestStore {
    pub(crate) store: Store,
    pub(crate) path: PathBuf,
    directory: TempDir,
}

impl TestStore {
    pub(crate) async fn new() -> TestStore {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("test.db");
        let store = Store::open(&Location::file(&path, &key()), IfMissing::Create).await.unwrap();
        TestStore { store, path, directory }
    }

    /// A store on a copy of a closed file.
    pub(crate) async fn copy_of(file: &Path) -> TestStore {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("copy.db");
        std::fs::copy(file, &path).unwrap();
        let store = Store::open(&Location::file(&path, &key()), IfMissing::Refuse).await.unwrap();
        TestStore { store, path, directory }
    }

    /// Another store on the same file, as another process would have it.
    pub(crate) async fn another(&self) -> Store {
        Store::open(&Location::file(&self.path, &key()), IfMissing::Refuse).await.unwrap()
    }

    /// A keyed connection that can do anything, as someone has who got hold of the machine and the key.
    pub(crate) fn raw(&self) -> Connection {
        open(&self.path, &key(), Role::Writer).unwrap()
    }

    /// The same with the guards against changes taken down.
    pub(crate) fn unguarded(&self) -> Connection {
        let raw = self.raw();
        let triggers: Vec<String> = {
            let mut select = raw.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").unwrap();
            select.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        assert!(!triggers.is_empty());
        for trigger in triggers {
            raw.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        raw.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
        raw
    }

    /// Changes something, as somebody does who puts the guards up again.
    pub(crate) fn tamper(&self, sql: &str) {
        let guards: Vec<String> = {
            let raw = self.raw();
            let mut select = raw.prepare("SELECT sql FROM sqlite_master WHERE type = 'trigger'").unwrap();
            select.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let unguarded = self.unguarded();
        unguarded.execute_batch(sql).unwrap();
        for guard in guards {
            unguarded.execute_batch(&guard).unwrap();
        }
    }

    /// Closes the store and keeps the file.
    pub(crate) async fn close(self) -> (PathBuf, TempDir) {
        self.store.close().await;
        (self.path, self.directory)
    }
}

/// How SQLite would go about it, step by step.
pub(crate) fn plan_of(connection: &Connection, sql: &str) -> String {
    let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = explain.raw_query().mapped(|row| row.get::<_, String>(3)).map(Result::unwrap);
    steps.collect::<Vec<_>>().join("; ")
}

/// Writes what is in a closed file into another of an older schema, which the migrations of then make. Its log is another: it
/// names people, as the programs of then did.
pub(crate) fn write_older(file: &Path, to: &Path, schema: usize) {
    std::fs::File::create_new(to).unwrap();
    let older = open(to, &key(), Role::Writer).unwrap();
    let attached = format!("ATTACH '{}' AS newest KEY \"x'{}'\"", file.display(), "0a".repeat(32));
    older.execute_batch(&format!("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF; {attached}")).unwrap();
    for migration in &MIGRATIONS[..schema] {
        older.execute_batch(migration).unwrap();
    }
    let tables: Vec<String> = {
        let mut select = older.prepare("SELECT name FROM main.sqlite_master WHERE type = 'table'").unwrap();
        select.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert!(tables.contains(&"audit_log".to_owned()));
    for table in tables {
        let rows = match table.as_str() {
            "audit_log" | "audit_head" if schema < 6 => continue,
            // Keys have a table of their own since schema 4.
            "message" if schema < 4 => {
                "SELECT m.id, m.author_id, m.sent_at, k.idempotency_key, m.salt, m.subject FROM newest.message m \
                 JOIN newest.message_key k ON k.message_id = m.id"
            }
            "person" if schema < 6 => {
                "SELECT id, issuer, subject, email, name, created_at, last_sign_in_at, disabled_at FROM newest.person"
            }
            "draft" if schema < 8 => {
                "SELECT person_id, filler, saved_at, idempotency_key, subject, body FROM newest.draft WHERE root_id = 0"
            }
            "draft" if schema < 11 => {
                "SELECT person_id, root_id, filler, saved_at, idempotency_key, subject, body FROM newest.draft"
            }
            _ => &format!("SELECT * FROM newest.{table}"),
        };
        older.execute_batch(&format!("INSERT INTO main.{table} {rows} ORDER BY 1")).unwrap();
    }
    if schema < 6 {
        write_older_log(&older);
    }
    older.pragma_update(None, "user_version", i64::try_from(schema).unwrap()).unwrap();
    older.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
}

/// The log as before schema 6: the names in the rows, and no hashes of who somebody is.
fn write_older_log(older: &Connection) {
    let database_id: String =
        older.query_row("SELECT value FROM meta WHERE name = 'database_id'", (), |row| row.get(0)).unwrap();
    let mut hash = genesis_hash(&database_id);
    let mut select = older
        .prepare(
            "SELECT a.id, a.at, a.person_id, a.action, a.message_id, a.details, a.ip, p.details \
             FROM newest.audit_log a LEFT JOIN newest.audit_personal p ON p.audit_id = a.id ORDER BY a.id",
        )
        .unwrap();
    let mut rows = select.query(()).unwrap();
    let mut insert = older.prepare("INSERT INTO main.audit_log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)").unwrap();
    let mut last = AuditId::ZERO;
    while let Some(row) = rows.next().unwrap() {
        let (id, at, person): (AuditId, Timestamp, Option<PersonId>) =
            (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap());
        let (action, ip): (String, Option<String>) = (row.get(3).unwrap(), row.get(6).unwrap());
        let (details, personal): (String, Option<String>) = (row.get(5).unwrap(), row.get(7).unwrap());
        let mut details = with_personal(&details, personal.as_deref()).unwrap();
        details.remove("who");
        let details = Value::from(details).to_string();
        let (previous, written) = (hash, at.to_rfc3339());
        let fields = HashedFields { id, at: &written, person, action: &action, details: &details, ip: ip.as_deref() };
        hash = chain_hash(&previous, &fields);
        let message: Option<i64> = row.get(4).unwrap();
        insert.execute((id, at, person, &action, message, &details, &ip, previous, hash)).unwrap();
        last = id;
    }
    older.execute("INSERT INTO main.audit_head VALUES (1, ?1, ?2)", (last, hash)).unwrap();
}

pub(crate) fn key() -> DatabaseKey {
    DatabaseKey::from_hex(&"0a".repeat(32)).unwrap()
}

/// A time `millis` after some day in 2026.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + millis)
}

pub(crate) fn identity(name: &str) -> Identity {
    Identity {
        issuer: "https://id.example".into(),
        subject: format!("subject-{name}"),
        email: format!("{name}@clinic.example"),
        name: name.to_owned(),
    }
}

pub(crate) fn client() -> Client {
    Client { ip: IP, user_agent: "test".into() }
}

/// Signs someone in.
pub(crate) async fn sign_in(store: &Store, name: &str, time: Timestamp) -> (SessionToken, Session) {
    match store.sign_in(identity(name), None, client(), time).await.unwrap() {
        SignIn::SignedIn { token, session } => (token, session),
        SignIn::Disabled => panic!("{name} is disabled"),
    }
}

/// Someone signed in, ready to act.
pub(crate) async fn staff(store: &Store, name: &str) -> Actor {
    let (_, session) = sign_in(store, name, at(0)).await;
    Actor { person: session.person, session: session.id, ip: IP }
}

pub(crate) fn new_message(subject: &str, body: &str) -> NewMessage {
    NewMessage {
        subject: Subject::parse(subject).unwrap(),
        body: Body::parse(body).unwrap(),
        addressed: Addressed::default(),
        key: IdempotencyKey::fresh(),
    }
}

pub(crate) async fn send(store: &Store, actor: Actor, subject: &str, body: &str) -> MessageId {
    match store.send_message(actor, new_message(subject, body), at(10)).await.unwrap() {
        Sent::Created(id) => id,
        other => panic!("{other:?}"),
    }
}

/// Opens the conversation that a message begins.
pub(crate) async fn open_message(store: &Store, actor: Actor, root: MessageId, time: Timestamp) -> Conversation {
    store.open_conversation(actor, root, 0, 50, time).await.unwrap().expect("a conversation")
}

/// The whole audit log, oldest first.
pub(crate) async fn log(store: &Store) -> Vec<AuditRow> {
    let up_to = AuditId::new(i64::MAX).unwrap();
    store.audit_rows(&AuditFilter::default(), AuditId::ZERO, up_to, 1_000_000).await.unwrap()
}

/// A row's details, and in them what stands beside it.
pub(crate) fn details(row: &AuditRow) -> Value {
    row.named_details().unwrap().into()
}

/// The actions of the log, oldest first, without the database's own first row.
pub(crate) async fn actions(store: &Store) -> Vec<String> {
    log(store).await.into_iter().skip(1).map(|row| row.action).collect()
}

/// The actions that a statement names.
pub(crate) fn actions_in(sql: &str) -> Vec<&'static str> {
    let named = |action: &&Action| sql.contains(&format!("'{}'", action.as_str()));
    Action::ALL.iter().filter(named).map(|action| action.as_str()).collect()
}

/// The actions of which something holds.
pub(crate) fn actions_that(holds: fn(Action) -> bool) -> Vec<&'static str> {
    Action::ALL.iter().filter(|action| holds(**action)).map(|action| action.as_str()).collect()
}

/// Asserts that the chain and the messages hold, and gives how many rows there are.
pub(crate) async fn assert_sound(store: &Store) -> u64 {
    match store.verify_chain(None, |_| ()).await.unwrap() {
        ChainVerdict::Sound { rows, .. } => rows,
        ChainVerdict::Broken { row, error } => panic!("row {row}: {error}"),
    }
}

/// A restore of a backup that the log knew.
pub(crate) fn restoration(given_up: Option<GivenUp>) -> Restoration {
    let content = BackupContent {
        database: "d".into(),
        stream: "d".into(),
        schema: 4,
        database_bytes: 4096,
        database_sha256: "11".into(),
    };
    let (name, sha256) = ("a.sqlite.gz.age".to_owned(), "00".to_owned());
    let archive = RecordedBackup { name, bytes: 7, sha256, head: None, content: Some(content) };
    Restoration { archive, given_up, authenticated: true, known_from: Some("log"), accepted: vec!["older".into()] }
}
