//! The work on files behind [`crate::rekey`]. What SQLite keeps beside a file belongs to one key. So the old file's
//! write-ahead log is brought in and removed before anything else, under a lock that stays until the copy has the name.
//! A program that waits for that lock has the old file open; its first page is overwritten before the lock goes, since
//! what that program wrote would be written to nowhere.

mod error;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

pub use error::RekeyError;

use self::error::file_error;
use crate::sqlite::backup::{
    BackupError, ClaimError, Inspection, LedgerChecks, PageWriter, Stage, check_cipher, claim, count_rows, each_page,
    inspect_whole,
};
use crate::sqlite::connection::{Role, check_build, open};
use crate::sqlite::files::{COMPANIONS, beside, remove_if_there, remove_with_companions, sync, write_ahead_log_of};
use crate::sqlite::opening::folder_of;
use crate::sqlite::write::{Write, read_head};
use crate::types::{ChainPosition, DatabaseKey, Environment, OpenError, StoreError, random_bytes};

/// The copy's name while it is made.
const UNFINISHED: &str = ".rekeying";
/// Overwriting this much of a file leaves no SQLCipher that opens it.
const FIRST_PAGE: usize = 4096;

/// Which of two keys opens a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpensWith {
    /// The one it had.
    Old,
    /// The one it is to have.
    New,
    /// None of them.
    Neither,
}

/// How far the work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The database's own pages are checked.
    Checking,
    /// So many pages are copied, of so many.
    Copying(u64, u64),
    /// The copy is inspected.
    Inspecting(Stage),
    /// The copy takes its place.
    Placing,
}

/// A database that has a new key.
#[derive(Clone, Debug)]
pub struct Rekeyed {
    /// The end of its log, the row DATABASE_REKEYED.
    pub head: ChainPosition,
    /// How many pages it has.
    pub pages: u64,
}

/// Which of the keys opens the database at `path`. Nothing is changed; what a killed program left is brought in order,
/// as any program that opens a database does.
pub fn opens_with(path: &Path, old: &DatabaseKey, new: Option<&DatabaseKey>) -> Result<OpensWith, OpenError> {
    check_build()?;
    for (key, answer) in [(Some(old), OpensWith::Old), (new, OpensWith::New)] {
        let Some(key) = key else { continue };
        match open(path, key, Role::Writer) {
            Ok(_) => return Ok(answer),
            Err(OpenError::NotOurs { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(OpensWith::Neither)
}

/// See [`crate::rekey::rekey`]. `record` writes the row DATABASE_REKEYED into the copy.
pub(crate) fn rekey(
    path: &Path,
    old: &DatabaseKey,
    new: &DatabaseKey,
    ledger: LedgerChecks,
    environment: &Environment,
    record: impl FnOnce(&mut Write<'_>) -> Result<(), StoreError>,
    mut watch: impl FnMut(Step),
) -> Result<Rekeyed, RekeyError> {
    check_build()?;
    if old.fingerprint() == new.fingerprint() {
        return Err(RekeyError::SameKey);
    }
    // The file itself and not a link to it: the copy takes the place of what it is told.
    let path = &fs::canonicalize(path).map_err(|source| file_error("finding", path, source))?;
    let held = Held::take(path, old)?;
    let copy = beside(path, UNFINISHED);
    remove_with_companions(&copy).map_err(|source| file_error("removing", &copy, source))?;
    let made = make_copy(&held, path, &copy, new, ledger, environment, record, &mut watch);
    let done = made.and_then(|done| {
        watch(Step::Placing);
        held.take_place(path, &copy, environment)?;
        Ok(done)
    });
    if !matches!(done, Ok(_) | Err(RekeyError::InPlace(_))) {
        // The first error is the one to report; the next run removes what this leaves, which is encrypted.
        let _ = remove_with_companions(&copy);
    }
    done
}

/// Removes what a run that was killed has left beside the database, and sees that the folder is on the disk.
pub fn tidy_up(path: &Path) -> Result<(), RekeyError> {
    let path = &fs::canonicalize(path).map_err(|source| file_error("finding", path, source))?;
    let copy = beside(path, UNFINISHED);
    remove_with_companions(&copy).map_err(|source| file_error("removing", &copy, source))?;
    sync(folder_of(path)).map_err(RekeyError::InPlace)
}

/// Whether a run that was killed has left a copy beside the database.
pub fn is_unfinished(path: &Path) -> bool {
    beside(path, UNFINISHED).exists()
}

/// The database, which nobody else can read or write as long as this lives: in one file, without a log beside it.
struct Held {
    source: Connection,
    /// Closed after the connection: closing a file lets go of every lock that the process has on it.
    file: File,
}

impl Held {
    fn take(path: &Path, key: &DatabaseKey) -> Result<Held, RekeyError> {
        match claim(path) {
            // A program that opens it from here on is met below.
            Ok(claim) => drop(claim),
            Err(ClaimError::InUse) => return Err(RekeyError::InUse),
            Err(ClaimError::Io(source)) => return Err(file_error("locking", path, source)),
        }
        let file = OpenOptions::new().write(true).open(path);
        let file = file.map_err(|source| file_error("opening", path, source))?;
        let source = open(path, key, Role::Writer)?;
        source.busy_timeout(Duration::ZERO)?;
        // Brings the write-ahead log in and removes it; needs the file for itself alone.
        let mode: String = source.query_row("PRAGMA journal_mode = DELETE", (), |row| row.get(0))?;
        source.execute_batch("BEGIN EXCLUSIVE")?;
        let still: String = source.query_row("PRAGMA journal_mode", (), |row| row.get(0))?;
        if mode != "delete" || still != "delete" || write_ahead_log_of(path).exists() {
            return Err(RekeyError::InUse);
        }
        Ok(Held { source, file })
    }

    /// Puts the copy into the place of the database. From the rename on it has the new key.
    fn take_place(&self, path: &Path, copy: &Path, environment: &Environment) -> Result<(), RekeyError> {
        // None of them is there but by an accident, and none may be taken for the copy's.
        for companion in COMPANIONS {
            let companion = beside(path, companion);
            remove_if_there(&companion).map_err(|source| file_error("removing", &companion, source))?;
        }
        sync(folder_of(path)).map_err(|source| file_error("syncing the folder of", path, source))?;
        fs::rename(copy, path).map_err(|source| file_error("renaming", copy, source))?;
        let spoilt = self
            .file
            .write_all_at(&random_bytes::<FIRST_PAGE>(&*environment.random), 0)
            .and_then(|()| self.file.sync_data());
        sync(folder_of(path)).and(spoilt).map_err(RekeyError::InPlace)
    }
}

#[expect(clippy::too_many_arguments, reason = "one step of rekey, apart for the sake of its clearing up")]
fn make_copy(
    held: &Held,
    path: &Path,
    copy: &Path,
    new: &DatabaseKey,
    ledger: LedgerChecks,
    environment: &Environment,
    record: impl FnOnce(&mut Write<'_>) -> Result<(), StoreError>,
    watch: &mut impl FnMut(Step),
) -> Result<Rekeyed, RekeyError> {
    // A page that fails its code would be read as an empty one, and get a good code in the copy.
    watch(Step::Checking);
    check_cipher(&held.source).map_err(RekeyError::Damaged)?;
    let all: i64 = held.source.query_row("PRAGMA page_count", (), |row| row.get(0))?;
    let mut writer = PageWriter::create(copy, new)?;
    like(path, copy).map_err(|source| file_error("giving the owner and mode of the database to", copy, source))?;
    let mut done = 0;
    each_page(&held.source, |page| {
        done += 1;
        watch(Step::Copying(done, all.unsigned_abs()));
        writer.write_all(page)
    })
    .map_err(unwrapped)?;
    writer.finish()?;
    let before = read_head(&held.source)?;
    let head = append(copy, new, environment, record)?;
    let stop = AtomicBool::new(false);
    let found = inspect_whole(copy, new, ledger, &stop, |stage| watch(Step::Inspecting(stage)))?;
    compare(&held.source, before, &found)?;
    Ok(Rekeyed { head, pages: found.pages })
}

/// The writer's own error, out of the one that a stream must give.
fn unwrapped(error: BackupError) -> BackupError {
    match error {
        BackupError::Io(error) => error.downcast::<BackupError>().unwrap_or_else(BackupError::Io),
        other => other,
    }
}

/// Writes into the copy, and brings it to the disk; gives the new end of its log.
fn append(
    copy: &Path,
    new: &DatabaseKey,
    environment: &Environment,
    record: impl FnOnce(&mut Write<'_>) -> Result<(), StoreError>,
) -> Result<ChainPosition, RekeyError> {
    let mut connection = open(copy, new, Role::Writer)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut write = Write::new(&transaction, read_head(&transaction)?, environment);
    record(&mut write)?;
    write.store_head()?;
    let head = write.head;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    File::open(copy).and_then(|file| file.sync_all()).map_err(|source| file_error("syncing", copy, source))?;
    Ok(head)
}

/// The copy has what the database has, and one audit row more. The inspection has proved the rest: the rows and the
/// messages are the chain's.
fn compare(source: &Connection, before: ChainPosition, copy: &Inspection) -> Result<(), RekeyError> {
    let mut rows = count_rows(source)?;
    for table in ["audit_log", "audit_personal"] {
        if let Some(count) = rows.get_mut(table) {
            *count += 1;
        }
    }
    if rows != copy.rows {
        return Err(RekeyError::Difference("rows"));
    }
    if copy.head.id != before.id.next() {
        return Err(RekeyError::Difference("audit rows"));
    }
    let id: String = source.query_row("SELECT value FROM meta WHERE name = 'database_id'", (), |row| row.get(0))?;
    if id == copy.database_id { Ok(()) } else { Err(RekeyError::Difference("identity")) }
}

/// Anyone who could open the database can open the copy, and nobody else.
fn like(path: &Path, copy: &Path) -> io::Result<()> {
    let (wanted, found) = (fs::metadata(path)?, fs::metadata(copy)?);
    if (wanted.uid(), wanted.gid()) != (found.uid(), found.gid()) {
        match chown(copy, Some(wanted.uid()), Some(wanted.gid())) {
            // A restored database belongs to the program that restored it, and only root gives files away. Where the group
            // shares the database, it matters to nobody whose of them the file is.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && shares(&wanted, &found) => {}
            given => given?,
        }
    }
    fs::set_permissions(copy, fs::Permissions::from_mode(wanted.mode() & 0o777))
}

/// Whether both are of one group, which may read and write.
fn shares(wanted: &fs::Metadata, found: &fs::Metadata) -> bool {
    wanted.gid() == found.gid() && wanted.mode() & 0o060 == 0o060
}

#[cfg(test)]
mod tests;
