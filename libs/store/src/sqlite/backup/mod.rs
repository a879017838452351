//! Copies of a database: made of one moment, checked, read and written page by page, and put in its place. See
//! [`crate::backup`].

mod claim;
mod copy;
mod inspect;
mod interrupt;
mod own_schema;
mod pages;
mod place;

pub(crate) use claim::{ClaimError, claim};
pub use copy::copy_database;
pub use inspect::{CopyError, Inspection, Stage};
pub(crate) use inspect::{LedgerChecks, check_cipher, count_rows, inspect_content, inspect_whole};
pub use own_schema::SchemaError;
pub(crate) use pages::each_page;
pub use pages::{PageCount, PageWriter, read_pages};
pub use place::{PlaceError, check_replaceable, put_in_place, remove_database};

use crate::types::{OpenError, StoreError};

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
