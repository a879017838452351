//! The file itself, made where it may be, and recognised; and the migrations, which are numbered SQL files.
//!
//! A file that was released never changes, not even in a comment: from schema 7 on the database knows the checksum of each.

use std::fs::{File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use sha2::{Digest, Sha256};

use crate::sqlite::connection::{APPLICATION_ID, opening};
use crate::sqlite::opening::folder_of;
use crate::types::OpenError;

/// Migration n takes a database from schema n - 1 to n.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_initial.sql"),
    include_str!("../../migrations/0002_shipping.sql"),
    include_str!("../../migrations/0003_emergency.sql"),
    include_str!("../../migrations/0004_fewer_leaves.sql"),
    include_str!("../../migrations/0005_list_looks.sql"),
    include_str!("../../migrations/0006_persons.sql"),
    include_str!("../../migrations/0007_migrations.sql"),
    include_str!("../../migrations/0008_conversations.sql"),
    include_str!("../../migrations/0009_teams.sql"),
    include_str!("../../migrations/0010_templates.sql"),
    include_str!("../../migrations/0011_duties.sql"),
];

/// From this schema on a database knows which files have made it.
const CHECKSUMS_SINCE: i64 = 7;

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

/// The newest schema.
pub(crate) fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// An empty file of mode 0600, or 0660 in a folder that was made to be shared: one that is writable for its group and
/// hands its group on (setgid). SQLite gives its companions the same mode. Only where there is none: opening and closing
/// a live database's file would drop the process's locks on it.
pub(crate) fn create_file(path: &Path) -> Result<(), OpenError> {
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
pub(crate) fn recognise(connection: &Connection, path: &Path, if_missing: IfMissing) -> Result<i64, OpenError> {
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
    match differing_migration(connection, version).map_err(|error| opening(path, error))? {
        Some(number) => Err(OpenError::OtherMigration { path: path.to_owned(), number }),
        None => Ok(version),
    }
}

/// The first migration up to the file's `schema` that was not applied as this program has it; also one that is not recorded.
pub(crate) fn differing_migration(connection: &Connection, schema: i64) -> rusqlite::Result<Option<i64>> {
    if schema < CHECKSUMS_SINCE {
        return Ok(None);
    }
    let mut select = connection.prepare("SELECT 1 FROM migration WHERE number = ?1 AND sha256 = ?2")?;
    for (number, checksum) in checksums().take_while(|(number, _)| *number <= schema) {
        if !select.exists((number, checksum))? {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Writes down, in the transaction that applies the newest migrations, what has made the database.
pub(crate) fn record_migrations(connection: &Connection) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare("INSERT INTO migration (number, sha256) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for migration in checksums() {
        insert.execute(migration)?;
    }
    Ok(())
}

/// Whether the database has a table. One of an older schema, such as a backup's, may not.
pub(crate) fn has_table(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let mut select = connection.prepare_cached("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1")?;
    select.exists([table])
}

/// Number and SHA-256 of each migration.
fn checksums() -> impl Iterator<Item = (i64, [u8; 32])> {
    (1..).zip(MIGRATIONS.iter().map(|migration| Sha256::digest(migration).into()))
}

/// The change to WAL needs the file alone and does not wait for it; two programs that start at once may meet here.
pub(crate) fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
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

#[cfg(test)]
mod tests;
