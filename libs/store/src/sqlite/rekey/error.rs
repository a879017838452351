//! Why a database did not get another key.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::sqlite::backup::{BackupError, CopyError};
use crate::types::{OpenError, StoreError};

/// Why a database does not have the new key. But for [`RekeyError::InPlace`], it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// A program has it open.
    #[error("a program has the database open: stop web, log-shipper and backup-worker first; nothing was changed")]
    InUse,
    /// Both keys are one.
    #[error("the new key is the one the database has: make another (openssl rand -hex 32); nothing was changed")]
    SameKey,
    /// It cannot be opened with the old key.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no room for the copy.
    #[error(
        "there is no room for the copy: as much as the database takes has to be free beside it; nothing was changed"
    )]
    NoRoom,
    /// It cannot be read, or the copy not written.
    #[error("the database could not be copied: {0}; nothing was changed")]
    Copy(BackupError),
    /// It is not what was written.
    #[error("the database is damaged: {0}; nothing was changed. Restore a backup first")]
    Damaged(CopyError),
    /// The copy is not what it should be.
    #[error("the copy under the new key did not pass its inspection: {0}; nothing was changed")]
    Inspection(CopyError),
    /// The copy holds something else.
    #[error("the copy under the new key holds other {0} than the database; nothing was changed")]
    Difference(&'static str),
    /// The file system.
    #[error("{what} {path}: {source}; nothing was changed")]
    File {
        /// What was being done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The new file has its name, but what follows failed.
    #[error("the database has the new key, but its folder could not be put in order: {0}; run the command again")]
    InPlace(io::Error),
}

impl From<BackupError> for RekeyError {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Store(StoreError::Busy) => RekeyError::InUse,
            BackupError::Store(StoreError::DiskFull) | BackupError::Open(OpenError::Full) => RekeyError::NoRoom,
            BackupError::Io(error) if error.kind() == ErrorKind::StorageFull => RekeyError::NoRoom,
            BackupError::Open(error) => RekeyError::Open(error),
            other => RekeyError::Copy(other),
        }
    }
}

impl From<StoreError> for RekeyError {
    fn from(error: StoreError) -> Self {
        BackupError::from(error).into()
    }
}

impl From<rusqlite::Error> for RekeyError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<CopyError> for RekeyError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Unreadable(error) => error.into(),
            other => RekeyError::Inspection(other),
        }
    }
}

pub(super) fn file_error(what: &'static str, path: &Path, source: io::Error) -> RekeyError {
    match source.kind() {
        ErrorKind::StorageFull => RekeyError::NoRoom,
        ErrorKind::NotFound => RekeyError::Open(OpenError::Missing { path: path.to_owned() }),
        _ => RekeyError::File { what, path: path.to_owned(), source },
    }
}
