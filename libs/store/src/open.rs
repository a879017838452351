//! A database is opened for writing: made where it may be, brought to the newest schema, never touched where it is not ours.
//!
//! Migrations are applied in one transaction that holds the write lock, so two programs that start at once both succeed: the
//! second finds the work done. Schema changes leave no audit row of their own, but for two: the making of the database, as
//! the first row of the chain, and schema 6, from which on the log vouches for people.

use std::path::Path;

use rusqlite::Connection;

use crate::ledger::audit::begin_chain;
use crate::ledger::who;
use crate::sqlite::connection::{APPLICATION_ID, Role, check_build, folder_lock, open, opening};
use crate::sqlite::schema::{IfMissing, MIGRATIONS, create_file, newest, recognise, record_migrations, use_wal};
use crate::store::Store;
use crate::types::{DatabaseKey, Environment, Location, OpenError, StoreError};

/// What happens to people whom no row of the log vouches for yet: those from before schema 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unrecorded {
    /// They get a row each.
    Record,
    /// The next who opens the file sees to it.
    Leave,
}

impl Store {
    /// Opens the database at `location`, which must be ours and readable with its key; see [`OpenError`] for the refusals.
    pub async fn open(location: &Location, if_missing: IfMissing) -> Result<Store, OpenError> {
        Store::open_with(location, if_missing, Environment::default()).await
    }

    /// The same with another clock, or other randomness, than the system's.
    pub async fn open_with(
        location: &Location,
        if_missing: IfMissing,
        environment: Environment,
    ) -> Result<Store, OpenError> {
        Store::open_in(location, if_missing, Unrecorded::Record, environment).await
    }

    /// Opens a database that was just restored and brings its schema up to date, but writes no audit row: the first one
    /// has to be [`Store::record_restore`]'s.
    pub async fn open_restored(location: &Location) -> Result<Store, OpenError> {
        Store::open_in(location, IfMissing::Refuse, Unrecorded::Leave, Environment::default()).await
    }

    async fn open_in(
        location: &Location,
        if_missing: IfMissing,
        unrecorded: Unrecorded,
        environment: Environment,
    ) -> Result<Store, OpenError> {
        let Location::File { path, key } = location;
        let (path, key) = (path.clone(), key.duplicate());
        tokio::task::spawn_blocking(move || Store::open_blocking(&path, &key, if_missing, unrecorded, environment))
            .await
            .unwrap_or_else(|_| Err(StoreError::internal("opening the database panicked").into()))
    }

    fn open_blocking(
        path: &Path,
        key: &DatabaseKey,
        if_missing: IfMissing,
        unrecorded: Unrecorded,
        environment: Environment,
    ) -> Result<Store, OpenError> {
        check_build()?;
        let writer = open_current(path, key, if_missing, unrecorded, &environment)?;
        Store::start(writer, path, key, environment)
    }
}

/// Opens the file for writing, making it and bringing its schema up to date as allowed.
fn open_current(
    path: &Path,
    key: &DatabaseKey,
    if_missing: IfMissing,
    unrecorded: Unrecorded,
    environment: &Environment,
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
        migrate(&connection, path, unrecorded, environment)?;
    }
    Ok(connection)
}

/// Foreign keys are off meanwhile, which SQLite wants for making a table again; they are checked before the commit.
fn migrate(
    connection: &Connection,
    path: &Path,
    unrecorded: Unrecorded,
    environment: &Environment,
) -> Result<(), OpenError> {
    let at_path = |error| opening(path, error);
    connection.execute_batch("PRAGMA foreign_keys = OFF").map_err(at_path)?;
    apply_migrations(connection, path, unrecorded, environment)?;
    connection.execute_batch("PRAGMA foreign_keys = ON").map_err(at_path)
}

fn apply_migrations(
    connection: &Connection,
    path: &Path,
    unrecorded: Unrecorded,
    environment: &Environment,
) -> Result<(), OpenError> {
    let at_path = |error| opening(path, error);
    connection.execute_batch("BEGIN IMMEDIATE").map_err(at_path)?;
    let migrated = recognise(connection, path, IfMissing::Create).and_then(|found| {
        let pending = MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX));
        for migration in pending {
            connection.execute_batch(migration).map_err(at_path)?;
        }
        record_migrations(connection).map_err(at_path)?;
        // Once the newest schema is there: what appends a row knows no other.
        if found == 0 {
            begin_chain(connection, newest(), environment)?;
        }
        if unrecorded == Unrecorded::Record {
            who::record_unrecorded(connection, environment)?;
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
