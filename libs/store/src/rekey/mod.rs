//! Another key for the database: an encrypted copy under the new key is made beside it, inspected, and takes its name.
//!
//! SQLCipher can also change the key where the file lies. It rewrites every page then, what is half done is a matter of a
//! journal, and whether the result can be read shows when the old pages are gone. Here the database is not touched until the
//! copy was proved page by page, and the change is one rename: killed at any instant, the file opens with the one key or
//! with the other, whole. The price is room for a second copy, and each page is read twice: some seconds a gigabyte.
//!
//! What SQLite keeps beside a file belongs to one key. So the old file's write-ahead log is brought in and removed before
//! anything else, under a lock that stays until the copy has the name. A program that waits for that lock has the old file
//! open; its first page is overwritten before the lock goes, since what that program wrote would be written to nowhere.
//!
//! Everything here blocks.

mod fault;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use serde_json::json;

pub use fault::RekeyError;

use self::fault::file_error;
use crate::audit::{Action, Entry, clip};
use crate::backup::{
    BackupError, ClaimError, Inspection, PageWriter, Stage, check_cipher, claim, count_rows, each_page, inspect,
};
use crate::chain_hash::ChainPosition;
use crate::connection::{Role, check_build, open};
use crate::error::OpenError;
use crate::key::DatabaseKey;
use crate::random::random_bytes;
use crate::time::Timestamp;
use crate::writer::{Write, read_head};

/// What SQLite keeps beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
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
/// as whoever opens a database does.
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

/// Gives the database at `path` the key `new`. `operator` is who wants it, for the row DATABASE_REKEYED.
pub fn rekey(
    path: &Path,
    old: &DatabaseKey,
    new: &DatabaseKey,
    operator: &str,
    at: Timestamp,
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
    let made = make_copy(&held, path, &copy, old, new, operator, at, &mut watch);
    let done = made.and_then(|done| {
        watch(Step::Placing);
        held.take_place(path, &copy)?;
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
    sync_folder(path).map_err(RekeyError::InPlace)
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
            // Whoever opens it from here on is met below.
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
        if mode != "delete" || still != "delete" || beside(path, "-wal").exists() {
            return Err(RekeyError::InUse);
        }
        Ok(Held { source, file })
    }

    /// Puts the copy into the place of the database. From the rename on it has the new key.
    fn take_place(&self, path: &Path, copy: &Path) -> Result<(), RekeyError> {
        // None of them is there but by an accident, and none may be taken for the copy's.
        for companion in COMPANIONS {
            let companion = beside(path, companion);
            remove_if_there(&companion).map_err(|source| file_error("removing", &companion, source))?;
        }
        sync_folder(path).map_err(|source| file_error("syncing the folder of", path, source))?;
        fs::rename(copy, path).map_err(|source| file_error("renaming", copy, source))?;
        let spoilt = self.file.write_all_at(&random_bytes::<FIRST_PAGE>(), 0).and_then(|()| self.file.sync_data());
        sync_folder(path).and(spoilt).map_err(RekeyError::InPlace)
    }
}

#[expect(clippy::too_many_arguments, reason = "one step of rekey, apart for the sake of its clearing up")]
fn make_copy(
    held: &Held,
    path: &Path,
    copy: &Path,
    old: &DatabaseKey,
    new: &DatabaseKey,
    operator: &str,
    at: Timestamp,
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
    let head = record(copy, old, new, operator, at)?;
    let found = inspect(copy, new, |stage| watch(Step::Inspecting(stage)))?;
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

/// Writes DATABASE_REKEYED into the copy. Keys are told apart by fingerprints, which give nothing away.
fn record(
    copy: &Path,
    old: &DatabaseKey,
    new: &DatabaseKey,
    operator: &str,
    at: Timestamp,
) -> Result<ChainPosition, RekeyError> {
    let mut connection = open(copy, new, Role::Writer)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut write = Write::new(&transaction, read_head(&transaction)?);
    let details = json!({ "old_key": old.fingerprint(), "new_key": new.fingerprint() });
    let entry = Entry { at, person: None, action: Action::DatabaseRekeyed, message: None, details, ip: None };
    write.append_personal_in_any(entry, json!({ "operator": clip(operator, 200) }))?;
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

/// Whoever could open the database can open the copy, and nobody else.
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

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn remove_with_companions(path: &Path) -> io::Result<()> {
    remove_if_there(path)?;
    COMPANIONS.iter().try_for_each(|end| remove_if_there(&beside(path, end)))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests;
