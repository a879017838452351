//! Where a database is.

use std::path::PathBuf;

use super::DatabaseKey;

/// Where a database is, and what opens it.
#[derive(Debug)]
pub enum Location {
    /// One encrypted file of this machine.
    File {
        /// The file.
        path: PathBuf,
        /// Its key.
        key: DatabaseKey,
    },
}

impl Location {
    /// The file at `path`, which `key` opens.
    pub fn file(path: impl Into<PathBuf>, key: &DatabaseKey) -> Location {
        Location::File { path: path.into(), key: key.duplicate() }
    }
}
