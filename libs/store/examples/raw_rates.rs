//! How fast the database itself is, for the bench: what the same file, opened the same way, takes and gives with nothing
//! of ours around it. No sessions, hashes, savepoints or checks; the triggers and indexes are the schema's.
//!
//! `raw_rates commits DB BATCH SECONDS` appends messages with their audit rows, BATCH to a commit, each commit on the disk
//! (the audit chain does not hold afterwards: only for a copy). `raw_rates reads DB` reads every audit row once. Both take
//! DB_ENCRYPTION_KEY and print JSON.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool for the bench"
)]

use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let started = Instant::now();
    let rows = match words.as_slice() {
        ["commits", db, batch, seconds] => {
            commits(&open(db), batch.parse().unwrap(), Duration::from_secs_f64(seconds.parse().unwrap()))
        }
        ["reads", db] => reads(&open(db)),
        _ => panic!("raw_rates commits DB BATCH SECONDS, or raw_rates reads DB"),
    };
    println!("{{\"rows\":{rows},\"seconds\":{}}}", started.elapsed().as_secs_f64());
}

/// As `connection.rs` of the store opens it for the writer.
fn open(path: &str) -> Connection {
    let key = std::env::var("DB_ENCRYPTION_KEY").expect("DB_ENCRYPTION_KEY is set");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA cipher_log_level = NONE; PRAGMA key = \"x'{key}'\"; PRAGMA busy_timeout = 10000; \
             PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2000; PRAGMA mmap_size = 0; PRAGMA foreign_keys = ON; \
             PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
        ))
        .unwrap();
    connection.set_prepared_statement_cache_capacity(64);
    connection
}

fn commits(connection: &Connection, batch: u32, time: Duration) -> u64 {
    let newest = |sql: &str| connection.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    let mut audit = newest("SELECT id FROM audit_head");
    let people: Vec<i64> = {
        let mut select = connection.prepare("SELECT id FROM person").unwrap();
        select.query_map((), |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let mut authors = people.iter().cycle();
    let at = newest("SELECT at FROM audit_log ORDER BY id DESC LIMIT 1");
    let body = "Please read this before your round. ".repeat(12);
    let mut key = [0_u8; 16];
    getrandom::fill(&mut key[8..]).unwrap();
    let (mut rows, started) = (0_u64, Instant::now());
    while started.elapsed() < time {
        connection.prepare_cached("BEGIN IMMEDIATE").unwrap().execute(()).unwrap();
        for _ in 0..batch {
            audit += 1;
            rows += 1;
            let person = *authors.next().expect("somebody has signed in");
            // As the keys of forms lie in their index: each after the one before.
            key[..8].copy_from_slice(&rows.to_be_bytes());
            let mut insert = connection
                .prepare_cached(
                    "INSERT INTO message (author_id, sent_at, salt, subject) VALUES (?1, ?2, ?3, ?4) RETURNING id",
                )
                .unwrap();
            let values = (person, at, key, format!("Message {rows}"));
            let message: i64 = insert.query_row(values, |row| row.get(0)).unwrap();
            let mut insert = connection.prepare_cached("INSERT INTO message_key VALUES (?1, ?2, ?3)").unwrap();
            insert.execute((key, person, message)).unwrap();
            let mut insert =
                connection.prepare_cached("INSERT INTO message_body (message_id, body) VALUES (?1, ?2)").unwrap();
            insert.execute((message, &body)).unwrap();
            let mut insert = connection
                .prepare_cached("INSERT INTO conversation (last_id, root_id, replies) VALUES (?1, ?1, 0)")
                .unwrap();
            insert.execute([message]).unwrap();
            let mut insert = connection
                .prepare_cached(
                    "INSERT INTO audit_log (id, at, person_id, action, message_id, details, ip, previous_hash, hash) \
                     VALUES (?1, ?2, ?3, 'MESSAGE_CREATE', ?4, ?5, '127.0.0.1', ?6, ?6)",
                )
                .unwrap();
            let details = format!("{{\"content\":\"{}\",\"message_id\":{message}}}", "0".repeat(64));
            insert.execute((audit, at, person, message, details, [7_u8; 32])).unwrap();
        }
        let mut head = connection.prepare_cached("UPDATE audit_head SET id = ?1").unwrap();
        head.execute([audit]).unwrap();
        connection.prepare_cached("COMMIT").unwrap().execute(()).unwrap();
    }
    rows
}

fn reads(connection: &Connection) -> u64 {
    let mut select = connection
        .prepare("SELECT id, at, person_id, action, details, ip, previous_hash, hash FROM audit_log ORDER BY id")
        .unwrap();
    let mut found = select.query(()).unwrap();
    let (mut rows, mut bytes) = (0_u64, 0_usize);
    while let Some(row) = found.next().unwrap() {
        rows += 1;
        bytes += row.get_ref(4).unwrap().as_bytes().unwrap().len() + row.get_ref(7).unwrap().as_bytes().unwrap().len();
    }
    assert!(bytes > 0, "a log is never empty");
    rows
}
