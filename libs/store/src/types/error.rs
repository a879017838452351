//! What can go wrong; every text says what to do next.
//!
//! No error carries a message's text or a secret: SQLite names tables and columns in its errors, never values, and the
//! SQL here passes every value as a parameter.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// Another migration of the same number has made it: what its schema is cannot be told.
    #[error(
        "{path} was not made by migration {number} as this program has it: install the version that made it again; \
         nothing was changed"
    )]
    OtherMigration {
        /// The file.
        path: PathBuf,
        /// The first migration that differs.
        number: i64,
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
    #[error("the database is damaged: run `web audit verify`, and restore a backup if it reports an error")]
    Damaged(#[source] Source),
    /// Anything else.
    #[error("the database failed unexpectedly; nothing was stored")]
    Internal(#[source] Source),
}

/// An error of our own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Text(String);

fn text_error(text: impl Into<String>) -> Source {
    Arc::new(Text(text.into()))
}

impl StoreError {
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        StoreError::Internal(text_error(text))
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
