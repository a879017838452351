//! Whether a closed copy is whole, in the order in which each check makes the next one mean something.
//!
//! SQLCipher's own check reports nothing for a sound file and nothing for one that is not encrypted at all: so the header
//! comes first, then the key, then a key that must not fit.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::BackupError;
use super::interrupt::unless_stopped;
use super::own_schema::{SchemaError, check_own_schema};
use crate::sqlite::connection::{APPLICATION_ID, Role, check_build, open};
use crate::sqlite::schema::{differing_migration, newest};
use crate::types::{AuditId, ChainError, ChainPosition, CheckedChain, DatabaseKey, OpenError, StoreError, Timestamp};

/// How every SQLite file begins that is not encrypted.
const PLAIN_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// What a sound copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Which database it is.
    pub database_id: String,
    /// The name of its audit log, see [`crate::Store::audit_stream`].
    pub stream: String,
    /// Its schema.
    pub schema: i64,
    /// The SQLite that looked at it.
    pub sqlite_version: String,
    /// How many pages.
    pub pages: u64,
    /// The end of its audit chain.
    pub head: ChainPosition,
    /// When the newest audit row was written.
    pub newest_at: Timestamp,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
}

/// What is wrong with a copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no such file.
    #[error("there is no file")]
    Missing,
    /// It is readable without any key.
    #[error("it is not encrypted")]
    NotEncrypted,
    /// The key does not open it.
    #[error("the key does not open it, or it is no database")]
    WrongKey,
    /// Another key opens it too.
    #[error("another key opens it as well: it is not encrypted as it should be")]
    AnyKeyOpens,
    /// It is a database, but not one of ours.
    #[error("it is a database of another program")]
    NotOurs,
    /// It was written by a newer program.
    #[error("it has schema {found}, and this program knows schemas up to {known}: use the newer program")]
    NewerSchema {
        /// Its schema.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// Another migration of the same number has made it.
    #[error("it was not made by migration {number} as this program has it: use the program that made it")]
    OtherMigration {
        /// The first migration that differs.
        number: i64,
    },
    /// It has other tables, indexes, triggers or views than the program's migrations make.
    #[error("its schema is not this program's own: {0}; somebody has changed the database")]
    ForeignSchema(SchemaError),
    /// Pages fail their authentication code.
    #[error("{pages} pages are not what was written, the first is: {first}")]
    CipherDamage {
        /// How many.
        pages: usize,
        /// What SQLCipher says of the first.
        first: String,
    },
    /// Its structure is broken.
    #[error("its structure is broken: {0}")]
    Structure(String),
    /// Rows refer to rows that are not there.
    #[error("{rows} rows of {table} refer to rows that are not there")]
    ForeignKeys {
        /// The first table with such rows.
        table: String,
        /// How many there are in all.
        rows: usize,
    },
    /// The audit chain does not hold.
    #[error("its audit chain is broken at row {row}: {error}")]
    Chain {
        /// The first bad row.
        row: AuditId,
        /// What is wrong there.
        error: ChainError,
    },
    /// It could not be looked at.
    #[error(transparent)]
    Unreadable(#[from] BackupError),
}

impl From<rusqlite::Error> for CopyError {
    fn from(error: rusqlite::Error) -> Self {
        CopyError::Unreadable(error.into())
    }
}

/// How far an inspection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Header and key.
    Key,
    /// The authentication code of every page.
    Cipher,
    /// The structure, and what refers to what.
    Structure,
    /// The audit chain.
    Chain,
    /// Counting.
    Counts,
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Stage::Key => "checking the key",
            Stage::Cipher => "checking every page's code",
            Stage::Structure => "checking the structure",
            Stage::Chain => "checking the audit chain",
            Stage::Counts => "counting",
        })
    }
}

/// What only the ledger can say of a file. It is handed in, since the ledger stands above this folder.
#[derive(Clone, Copy)]
pub(crate) struct LedgerChecks {
    /// Checks the whole audit chain of the database with this id; gives its end, or the first error.
    pub(crate) verify: fn(&Connection, &str) -> Result<CheckedChain, StoreError>,
    /// The name of its audit log.
    pub(crate) stream: fn(&Connection, &str) -> rusqlite::Result<String>,
}

/// See [`crate::backup::inspect_unless_stopped`].
pub(crate) fn inspect_whole(
    path: &Path,
    key: &DatabaseKey,
    ledger: LedgerChecks,
    stop: &AtomicBool,
    mut stage: impl FnMut(Stage),
) -> Result<Inspection, CopyError> {
    let connection = open_checked(path, key, &mut stage)?;
    unless_stopped(&connection, stop, || {
        stage(Stage::Cipher);
        check_cipher(&connection)?;
        if stop.load(Ordering::Relaxed) {
            return Err(BackupError::Stopped.into());
        }
        examine(&connection, ledger, &mut stage)
    })
}

/// See [`crate::backup::inspect_content`].
pub(crate) fn inspect_content(
    path: &Path,
    key: &DatabaseKey,
    ledger: LedgerChecks,
    stop: &AtomicBool,
    mut stage: impl FnMut(Stage),
) -> Result<Inspection, CopyError> {
    let connection = open_checked(path, key, &mut stage)?;
    unless_stopped(&connection, stop, || examine(&connection, ledger, &mut stage)).map_err(|error| match error {
        CopyError::Unreadable(BackupError::Stopped) => error,
        error => explain_by_codes(&connection, error),
    })
}

fn explain_by_codes(connection: &Connection, error: CopyError) -> CopyError {
    match check_cipher(connection) {
        Err(damage @ CopyError::CipherDamage { .. }) => damage,
        _ => error,
    }
}

fn open_checked(path: &Path, key: &DatabaseKey, stage: &mut impl FnMut(Stage)) -> Result<Connection, CopyError> {
    check_build().map_err(BackupError::from)?;
    stage(Stage::Key);
    check_header(path)?;
    let connection = open(path, key, Role::Reader).map_err(|error| match error {
        OpenError::NotOurs { .. } => CopyError::WrongKey,
        other => CopyError::Unreadable(other.into()),
    })?;
    if open(path, &key.another(), Role::Reader).is_ok() {
        return Err(CopyError::AnyKeyOpens);
    }
    Ok(connection)
}

fn examine(
    connection: &Connection,
    ledger: LedgerChecks,
    stage: &mut impl FnMut(Stage),
) -> Result<Inspection, CopyError> {
    let schema = check_schema(connection)?;
    // Before any of its tables is read: a view may stand in its place.
    check_own_schema(connection, schema)?;
    if let Some(number) = differing_migration(connection, schema)? {
        return Err(CopyError::OtherMigration { number });
    }
    stage(Stage::Structure);
    check_structure(connection)?;
    stage(Stage::Chain);
    let database_id: String = one(connection, "SELECT value FROM meta WHERE name = 'database_id'")?;
    let head = (ledger.verify)(connection, &database_id)
        .map_err(BackupError::from)?
        .map_err(|(row, error)| CopyError::Chain { row, error })?;
    stage(Stage::Counts);
    Ok(Inspection {
        stream: (ledger.stream)(connection, &database_id)?,
        database_id,
        schema,
        sqlite_version: rusqlite::version().to_owned(),
        pages: one::<i64>(connection, "PRAGMA page_count")?.unsigned_abs(),
        head,
        newest_at: one(connection, "SELECT at FROM audit_log ORDER BY id DESC LIMIT 1")?,
        rows: count_rows(connection)?,
    })
}

fn check_header(path: &Path) -> Result<(), CopyError> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => CopyError::Missing,
        _ => CopyError::Unreadable(error.into()),
    })?;
    let mut header = [0; 16];
    match file.read_exact(&mut header) {
        Ok(()) if header == *PLAIN_HEADER => Err(CopyError::NotEncrypted),
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(CopyError::WrongKey),
        Err(error) => Err(CopyError::Unreadable(error.into())),
    }
}

fn check_schema(connection: &Connection) -> Result<i64, CopyError> {
    let application: i64 = one(connection, "PRAGMA application_id")?;
    let found: i64 = one(connection, "PRAGMA user_version")?;
    if application != APPLICATION_ID || found < 1 {
        return Err(CopyError::NotOurs);
    }
    if found > newest() {
        return Err(CopyError::NewerSchema { found, known: newest() });
    }
    Ok(found)
}

/// Every page is what was written with this connection's key.
pub(crate) fn check_cipher(connection: &Connection) -> Result<(), CopyError> {
    let mut check = connection.prepare("PRAGMA cipher_integrity_check")?;
    let errors: Vec<String> = check.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    match errors.first() {
        None => Ok(()),
        Some(first) => Err(CopyError::CipherDamage { pages: errors.len(), first: first.clone() }),
    }
}

fn check_structure(connection: &Connection) -> Result<(), CopyError> {
    let found: String = one(connection, "PRAGMA integrity_check(1)")?;
    if found != "ok" {
        return Err(CopyError::Structure(found));
    }
    let mut check = connection.prepare("PRAGMA foreign_key_check")?;
    let tables: Vec<String> = check.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    match tables.first() {
        None => Ok(()),
        Some(table) => Err(CopyError::ForeignKeys { table: table.clone(), rows: tables.len() }),
    }
}

/// How many rows each table of ours has.
pub(crate) fn count_rows(connection: &Connection) -> Result<BTreeMap<String, u64>, CopyError> {
    let mut select = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?;
    let tables: Vec<String> = select.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut rows = BTreeMap::new();
    for table in tables {
        // The name comes from the file's own schema; quoted, it can only be a name.
        let sql = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
        let count: i64 = one(connection, &sql)?;
        rows.insert(table, count.unsigned_abs());
    }
    Ok(rows)
}

fn one<T: rusqlite::types::FromSql>(connection: &Connection, sql: &str) -> Result<T, CopyError> {
    connection.query_row(sql, (), |row| row.get(0)).map_err(|error| match StoreError::from(error) {
        StoreError::Damaged(source) => CopyError::Structure(source.to_string()),
        other => CopyError::Unreadable(other.into()),
    })
}
