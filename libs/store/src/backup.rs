//! What a backup needs of the database: a copy of one moment while the site writes on, proof that a copy is whole, its pages
//! in plaintext and back, and certainty that nobody has a file open before it is replaced.
//!
//! Everything here blocks, and works on files; callers give it a thread. A key is never a path's business: where a file
//! is written, it is written encrypted. Pages in plaintext exist in memory alone.

use std::path::Path;
use std::sync::atomic::AtomicBool;

pub use crate::sqlite::backup::{
    BackupError, CopyError, DamagedPage, Inspection, PageCount, PageWriter, PlaceError, SchemaError, Stage,
    check_replaceable, copy_database, put_in_place, read_pages, remove_database,
};

use crate::ledger::audit_event::stream_of;
use crate::ledger::chain::verify_whole;
use crate::sqlite::backup::{self as file, LedgerChecks};
use crate::sqlite::files::Room;
use crate::types::DatabaseKey;

/// What the ledger says of a file that is inspected.
pub(crate) const LEDGER: LedgerChecks = LedgerChecks { verify: verify_whole, stream: stream_of };

/// Looks at a closed file that nobody else has open; it is not changed.
pub fn inspect(path: &Path, key: &DatabaseKey, stage: impl FnMut(Stage)) -> Result<Inspection, CopyError> {
    inspect_unless_stopped(path, key, &AtomicBool::new(false), stage)
}

/// The same, but where `stop` turns true it ends with [`BackupError::Stopped`]: soon, but for the codes of all pages, which
/// are looked at in one go.
pub fn inspect_unless_stopped(
    path: &Path,
    key: &DatabaseKey,
    stop: &AtomicBool,
    stage: impl FnMut(Stage),
) -> Result<Inspection, CopyError> {
    file::inspect_whole(path, key, LEDGER, stop, stage)
}

/// The same for a file of which every page is read beside it ([`read_pages`]), which checks every page's code. Both
/// have to find it sound. Where this does not, the codes are asked first whether they explain it. `stop` as above.
pub fn inspect_content(
    path: &Path,
    key: &DatabaseKey,
    stop: &AtomicBool,
    stage: impl FnMut(Stage),
) -> Result<Inspection, CopyError> {
    file::inspect_content(path, key, LEDGER, stop, stage)
}

/// The room where a database at `path` lies or is to lie.
pub fn room_for(path: &Path) -> std::io::Result<Room> {
    Room::of(path)
}

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod tests;
