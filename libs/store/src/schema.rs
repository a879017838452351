//! The file itself: made where it may be, brought to the newest schema, never touched where it is not ours.
//!
//! Migrations are numbered SQL files, applied in one transaction that holds the write lock, so two programs that start
//! at once both succeed: the second finds the work done. Schema changes leave no audit row of their own, but for two: the
//! making of the database, as the first row of the chain, and schema 6, from which on the log vouches for people.

use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::audit::{Action, Entry};
use crate::chain_hash::{ChainPosition, genesis_hash};
use crate::connection::{APPLICATION_ID, Role, folder_lock, open, opening};
use crate::error::{OpenError, StoreError};
use crate::id::AuditId;
use crate::key::DatabaseKey;
use crate::opening::folder_of;
use crate::random::random_bytes;
use crate::time::Timestamp;
use crate::who;
use crate::writer::Write;

/// Migration n takes a database from schema n - 1 to n.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_shipping.sql"),
    include_str!("../migrations/0003_emergency.sql"),
    include_str!("../migrations/0004_fewer_leaves.sql"),
    include_str!("../migrations/0005_list_looks.sql"),
    include_str!("../migrations/0006_persons.sql"),
];

/// Setgid and writable for the group.
const SHARED: u32 = 0o2020;

/// Whether a database may be made where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// Make an empty one.
    Create,
    /// Refuse: a wrong path must not become an empty database.
    Refuse,
}

/// What happens to people whom no row of the log vouches for yet: those from before schema 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unrecorded {
    /// They get a row each.
    Record,
    /// The next who opens the file sees to it.
    Leave,
}

/// Opens the file for writing, making it and bringing its schema up to date as allowed.
pub(crate) fn open_current(
    path: &Path,
    key: &DatabaseKey,
    if_missing: IfMissing,
    unrecorded: Unrecorded,
) -> Result<Connection, OpenError> {
    // Until the file is in WAL mode: only then does an open connection keep a lock on it.
    let _opening = folder_lock(path)?;
    if if_missing == IfMissing::Create {
        create_file(path)?;
    } else if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let connection = open(path, key, Role::Writer)?;
    let found = recognise(&connection, path, if_missing)?;
    // A file that was restored from a backup is not in that mode yet.
    use_wal(&connection).map_err(|error| opening(path, error))?;
    let has_unrecorded = || who::has_unrecorded(&connection).map(|some| some && unrecorded == Unrecorded::Record);
    if found < newest() || has_unrecorded()? {
        migrate(&connection, path, unrecorded)?;
    }
    Ok(connection)
}

/// The newest schema.
pub(crate) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// An empty file of mode 0600, or 0660 in a folder that was made to be shared: one that is writable for its group and
/// hands its group on (setgid). SQLite gives its companions the same mode. Only where there is none: opening and closing
/// a live database's file would drop the process's locks on it.
fn create_file(path: &Path) -> Result<(), OpenError> {
    let directory = folder_of(path);
    let refusal = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => OpenError::NoDirectory { directory: directory.to_owned() },
        ErrorKind::PermissionDenied => OpenError::Permission { path: path.to_owned() },
        ErrorKind::StorageFull => OpenError::Full,
        _ => OpenError::Sqlite(Arc::new(error)),
    };
    let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(refusal(error)),
    };
    share(&file, directory).map_err(refusal)
}

/// Gives a database's file to its group as well, in a folder that was made to be shared.
pub(crate) fn share(file: &File, directory: &Path) -> std::io::Result<()> {
    if std::fs::metadata(directory)?.mode() & SHARED == SHARED {
        // Not left to the umask, which would take the group's right to write away again.
        file.set_permissions(Permissions::from_mode(0o660))?;
    }
    Ok(())
}

/// The file's schema version: 0 for an empty one. Another program's file, and a newer schema, are refused.
fn recognise(connection: &Connection, path: &Path, if_missing: IfMissing) -> Result<i64, OpenError> {
    // One statement, so that another program's migration is seen whole or not at all.
    let (application, version, tables): (i64, i64, i64) = connection
        .query_row(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) \
             FROM pragma_application_id, pragma_user_version",
            (),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(|error| opening(path, error))?;
    if application == 0 && version == 0 && tables == 0 {
        return match if_missing {
            IfMissing::Create => Ok(0),
            IfMissing::Refuse => Err(OpenError::Missing { path: path.to_owned() }),
        };
    }
    if application != APPLICATION_ID || version < 1 {
        return Err(OpenError::NotOurs { path: path.to_owned() });
    }
    if version > newest() {
        return Err(OpenError::NewerSchema { found: version, known: newest() });
    }
    Ok(version)
}

/// The change to WAL needs the file alone and does not wait for it; two programs that start at once may meet here.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Err(error) if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => return Err(error),
            Err(error) if Instant::now() >= deadline => return Err(error),
            _ if Instant::now() >= deadline => return Err(rusqlite::Error::InvalidQuery),
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Foreign keys are off meanwhile, which SQLite wants for making a table anew; they are checked before the commit.
fn migrate(connection: &Connection, path: &Path, unrecorded: Unrecorded) -> Result<(), OpenError> {
    let at_path = |error| opening(path, error);
    connection.execute_batch("PRAGMA foreign_keys = OFF").map_err(at_path)?;
    apply_migrations(connection, path, unrecorded)?;
    connection.execute_batch("PRAGMA foreign_keys = ON").map_err(at_path)
}

fn apply_migrations(connection: &Connection, path: &Path, unrecorded: Unrecorded) -> Result<(), OpenError> {
    let at_path = |error| opening(path, error);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(at_path)?;
    let migrated = recognise(connection, path, IfMissing::Create).and_then(|found| {
        let pending = MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or(usize::MAX));
        for (index, migration) in pending {
            connection.execute_batch(migration).map_err(at_path)?;
            if index == 0 {
                begin_chain(connection)?;
            }
        }
        if unrecorded == Unrecorded::Record {
            who::record_unrecorded(connection)?;
        }
        if found < newest()
            && connection.prepare("PRAGMA foreign_key_check").and_then(|mut check| check.exists(())).map_err(at_path)?
        {
            return Err(StoreError::internal("rows of the older schema lack what they refer to").into());
        }
        connection.pragma_update(None, "user_version", newest()).map_err(at_path)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(at_path)?;
        connection.execute_batch("COMMIT").map_err(at_path)
    });
    if migrated.is_err() && !connection.is_autocommit() {
        // The first error is the one to report; closing the connection rolls back what this leaves.
        let _ = connection.execute_batch("ROLLBACK");
    }
    migrated
}

/// Names the database and writes the first row of its chain.
fn begin_chain(connection: &Connection) -> Result<(), StoreError> {
    let database_id = hex::encode(random_bytes::<16>());
    connection.execute("INSERT INTO meta (name, value) VALUES ('database_id', ?1)", [&database_id])?;
    let genesis = ChainPosition { id: AuditId::ZERO, hash: genesis_hash(&database_id) };
    connection.execute("INSERT INTO audit_head (only_one, id, hash) VALUES (1, 0, ?1)", [genesis.hash])?;
    let mut write = Write::new(connection, genesis);
    write.append(Entry {
        at: Timestamp::now(),
        person: None,
        action: Action::DatabaseCreated,
        message: None,
        details: serde_json::json!({ "database": database_id, "schema": newest() }),
        ip: None,
    })?;
    write.store_head()
}
