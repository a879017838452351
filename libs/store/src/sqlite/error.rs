//! What SQLite's errors mean to a caller.

use std::sync::Arc;

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::types::StoreError;

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
