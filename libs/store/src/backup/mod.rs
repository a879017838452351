//! What a backup needs of the database: a copy of one moment while the site writes on, proof that a copy is whole, its pages
//! in clear and back, and certainty that nobody has a file open before it is replaced.
//!
//! Everything here blocks, and works on files; callers give it a thread. A key is never a path's business: where a file
//! is written, it is written encrypted. Clear pages exist in memory alone.

mod claim;
mod copy;
mod inspect;
mod interrupt;
mod own_schema;
mod pages;

pub use claim::{Claim, ClaimError, claim};
pub use copy::copy_database;
pub use inspect::{CopyFault, Inspection, Stage, inspect, inspect_content, inspect_unless_stopped};
pub(crate) use inspect::{check_cipher, count_rows};
pub use own_schema::SchemaFault;
pub(crate) use pages::each_page;
pub use pages::{PageCount, PageWriter, read_pages};

use crate::error::{OpenError, StoreError};

/// Why work on a copy failed. Files that were begun are the caller's to remove.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Reading or writing one failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It was asked to stop.
    #[error("stopped before it was done")]
    Stopped,
    /// The database that was to be copied has a page that is not what was written: it fails its authentication code.
    #[error("the database is damaged: {0}; restore the newest backup")]
    SourceDamaged(DamagedPage),
    /// What was to be read has such a page.
    #[error("{0}")]
    Damaged(DamagedPage),
    /// What was to be written is no database.
    #[error("what was unpacked is no database: {0}")]
    NoDatabase(&'static str),
}

/// One of these pages is not what was written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("of pages {first} to {last}, at least one is not what was written there")]
pub struct DamagedPage {
    /// The first that may be meant.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> Self {
        BackupError::Store(error.into())
    }
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;
