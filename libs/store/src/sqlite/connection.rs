//! One connection to the encrypted file: opened, keyed, checked and set up the same way everywhere.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::sqlite::error::{Kind, kind};
use crate::sqlite::opening::FolderLock;
use crate::types::{DatabaseKey, OpenError};

/// SQLite 3.7.0 to 3.51.2 can corrupt a WAL database that two connections write and checkpoint at once.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a write waits for another process's. Ours hold the lock for milliseconds; a backup's checkpoint for longer.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// "Ward": marks the file as ours.
pub(crate) const APPLICATION_ID: i64 = 0x5761_7264;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Writer,
    Reader,
}

/// The checks of the build itself that need no file.
pub(crate) fn check_build() -> Result<(), OpenError> {
    // OpenSSL would tear itself down when main returns, under the feet of threads that still decrypt: a process that
    // ends without closing its store crashed. This initialisation leaves that out, and must come before SQLCipher's.
    openssl_sys::init();
    // The first to open sets SQLCipher up, which SQLite does last and without its lock: another thread that opens meanwhile
    // would find its key refused. Were it to fail, the next connection says so.
    static SET_UP: Once = Once::new();
    SET_UP.call_once(|| drop(Connection::open_in_memory()));
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite { found: rusqlite::version() });
    }
    Ok(())
}

/// Opens an existing file. A wrong key, a plain file or another program's database is [`OpenError::NotOurs`].
pub(crate) fn open(path: &Path, key: &DatabaseKey, role: Role) -> Result<Connection, OpenError> {
    let access = match role {
        Role::Writer => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Role::Reader => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let at_path = |error| opening(path, error);
    let _opening = folder_lock(path)?;
    let mut connection =
        Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(at_path)?;
    // SQLCipher would write lines of its own to stderr, between the program's; what it finds is an error here anyway.
    connection.execute_batch("PRAGMA cipher_log_level = NONE").map_err(at_path)?;
    connection.execute_batch(&key.pragma()).map_err(at_path)?;
    wait_for_locks(&mut connection).map_err(at_path)?;
    check_options(&connection).map_err(at_path)??;
    // The first read of the file, and so the first that a wrong key fails.
    connection.query_row("SELECT count(*) FROM sqlite_master", (), |_| Ok(())).map_err(at_path)?;
    set_up(&connection, role).map_err(at_path)?;
    Ok(connection)
}

/// Nobody puts another file in the place of the one at `path` while this lives: until the connection has read the file, and
/// so has locked it.
pub(crate) fn folder_lock(path: &Path) -> Result<FolderLock, OpenError> {
    FolderLock::to_open(path).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => OpenError::Permission { path: path.to_owned() },
        _ => OpenError::Sqlite(Arc::new(error)),
    })
}

/// Without SQLCipher a key would be ignored and the file written in plaintext; without dbpage no backup could be made.
fn check_options(connection: &Connection) -> rusqlite::Result<Result<(), OpenError>> {
    let mut cipher = connection.prepare("PRAGMA cipher_version")?;
    if !cipher.exists(())? {
        return Ok(Err(OpenError::MissingCompileOption("SQLCipher")));
    }
    let dbpage: bool =
        connection.query_row("SELECT sqlite_compileoption_used('ENABLE_DBPAGE_VTAB')", (), |row| row.get(0))?;
    Ok(if dbpage { Ok(()) } else { Err(OpenError::MissingCompileOption("ENABLE_DBPAGE_VTAB")) })
}

fn set_up(connection: &Connection, role: Role) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    // Temporary tables and sorts would otherwise reach the disk in plaintext. A small page cache each keeps memory flat;
    // the operating system caches the file.
    connection.execute_batch(
        "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2000; PRAGMA mmap_size = 0; PRAGMA foreign_keys = ON; \
         PRAGMA trusted_schema = OFF;",
    )?;
    match role {
        // FULL: an acknowledged write is on the disk. secure_delete: what is deleted is overwritten.
        Role::Writer => connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"),
        Role::Reader => connection.execute_batch("PRAGMA query_only = ON;"),
    }
}

/// Whether every page that the connection has read so far is what was written. SQLCipher gives an empty page in the place of
/// one that fails its authentication code, and of all that it reads afterwards: nothing else tells, where no check of the
/// content stumbles over it.
pub(crate) fn has_read_sound_pages(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA cipher_status", (), |row| row.get::<_, String>(0)).map(|status| status == "1")
}

/// Waits for another connection's lock with short naps: SQLite's own handler sleeps up to 100 ms at a time, which a busy
/// neighbour can starve.
pub(crate) fn wait_for_locks(connection: &mut Connection) -> rusqlite::Result<()> {
    let mut since = Instant::now();
    connection.busy_handler(Some(move |count: i32| {
        if count == 0 {
            since = Instant::now();
        }
        if since.elapsed() >= LOCK_WAIT {
            return false;
        }
        std::thread::sleep(if count < 50 { Duration::from_micros(200) } else { Duration::from_millis(2) });
        true
    }))
}

/// What an SQLite error means while opening.
pub(crate) fn opening(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match kind(&error) {
        Kind::Full => OpenError::Full,
        Kind::NotADatabase => OpenError::NotOurs { path },
        Kind::Permission => OpenError::Permission { path },
        // SQLite says "cannot open" for both.
        Kind::Missing if path.exists() => OpenError::Permission { path },
        Kind::Missing => OpenError::Missing { path },
        Kind::Busy => OpenError::Busy,
        Kind::Damaged | Kind::Other => OpenError::Sqlite(Arc::new(error)),
    }
}
