//! What can go wrong, in words that say what to do next.
//!
//! No error carries a message's text or a secret: SQLite names tables and columns in its errors, never values, and the
//! SQL here passes every value as a parameter.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;
use rusqlite::ffi;

/// What lies below an error; shared, because one failed commit fails every act in it.
pub type Source = Arc<dyn Error + Send + Sync>;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no database, and none was to be made.
    #[error("there is no database at {path}: check WARDPOST_DB, and start `web` once, which makes it")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The directory that would hold the database is not there.
    #[error(
        "the directory {directory} for the database does not exist: make it, owned by the service's user, mode 0700"
    )]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// The file cannot be read with this key, or is another program's.
    #[error(
        "{path} is no Wardpost database under this key: check DB_ENCRYPTION_KEY and WARDPOST_DB; nothing was changed"
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of Wardpost made it.
    #[error("the database has schema {found}, this program knows up to {known}: install the newer version again")]
    NewerSchema {
        /// The file's schema version.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The SQLite in this build can corrupt a database that two programs write (fixed in 3.51.3).
    #[error("this build carries SQLite {found}; 3.51.3 or newer is needed: build with the bundled SQLCipher")]
    OldSqlite {
        /// The version in the build.
        found: &'static str,
    },
    /// The SQLite in this build lacks something.
    #[error("this build's SQLite lacks {0}: build inside the workspace, whose .cargo/config.toml sets it")]
    MissingCompileOption(&'static str),
    /// The operating system refuses access.
    #[error("no permission to open {path}: it and its directory must be writable for the service's user")]
    Permission {
        /// The file.
        path: PathBuf,
    },
    /// No room.
    #[error("the disk that holds the database is full: free some space and start again")]
    Full,
    /// Another program holds its lock for long.
    #[error(
        "another program has held the database for 10 s, as one does that brings it to a newer schema: start again in a minute"
    )]
    Busy,
    /// Anything else.
    #[error("the database could not be opened")]
    Sqlite(#[source] Source),
}

/// Why an act on an open database failed. Nothing of a failed write is stored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No room for the write, or the disk refuses it; reading still works, and writing does again once there is room.
    #[error("the disk that holds the database is full or refuses writes: free some space; nothing was stored")]
    DiskFull,
    /// Too much is waiting, or another program holds the write lock for long.
    #[error("the database is busy: try again in a moment; nothing was stored")]
    Busy,
    /// The acting person's session is no longer live, or the person is disabled.
    #[error("the session has ended: sign in again; nothing was stored")]
    SessionEnded,
    /// The store was closed.
    #[error("the database was closed: the program is stopping")]
    Closed,
    /// The file's content is not what was written.
    #[error("the database is damaged: run `web audit verify`, and restore a backup if it reports a fault")]
    Damaged(#[source] Source),
    /// Anything else.
    #[error("the database failed unexpectedly; nothing was stored")]
    Internal(#[source] Source),
}

/// A fault in words of our own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);

fn words(text: impl Into<String>) -> Source {
    Arc::new(Words(text.into()))
}

impl StoreError {
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        StoreError::Internal(words(text))
    }
}

/// What an SQLite error means to a caller.
pub(crate) enum Kind {
    Full,
    Busy,
    NotADatabase,
    Damaged,
    Permission,
    Missing,
    Other,
}

pub(crate) fn kind(error: &rusqlite::Error) -> Kind {
    match error.sqlite_extended_error_code() {
        // A full disk shows as these where SQLite grows the shared memory file, or under a quota.
        Some(ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE) => return Kind::Full,
        // Our triggers speak only when the audit log is not what its head says, or someone tries to change it.
        Some(ffi::SQLITE_CONSTRAINT_TRIGGER) => return Kind::Damaged,
        _ => {}
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Kind::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Busy,
        Some(ErrorCode::NotADatabase) => Kind::NotADatabase,
        Some(ErrorCode::DatabaseCorrupt) => Kind::Damaged,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => Kind::Permission,
        Some(ErrorCode::CannotOpen) => Kind::Missing,
        _ => match error {
            // A value of the wrong type or range where the schema promises better: not what was written.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Kind::Damaged,
            _ => Kind::Other,
        },
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match kind(&error) {
            Kind::Full => StoreError::DiskFull,
            Kind::Busy => StoreError::Busy,
            Kind::NotADatabase | Kind::Damaged => StoreError::Damaged(Arc::new(error)),
            Kind::Permission | Kind::Missing | Kind::Other => StoreError::Internal(Arc::new(error)),
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DiskFull => OpenError::Full,
            StoreError::Busy => OpenError::Busy,
            other => OpenError::Sqlite(Arc::new(other)),
        }
    }
}
