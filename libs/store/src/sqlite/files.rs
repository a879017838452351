//! What lies on the disk for one database: its file, what SQLite keeps beside it, the room that is left.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::opening::folder_of;

/// What SQLite keeps beside a database.
pub(crate) const COMPANIONS: [&str; 3] = [WRITE_AHEAD_LOG, "-shm", "-journal"];
const WRITE_AHEAD_LOG: &str = "-wal";

/// Bytes on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The database.
    pub database: u64,
    /// Its write-ahead log; zero where there is none.
    pub write_ahead_log: u64,
}

/// The file system that the database lies on, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What is left for the service's user.
    pub free_bytes: u64,
    /// All of it.
    pub size_bytes: u64,
}

impl Sizes {
    /// Of the database at `path`. The files are looked at from outside and not opened: closing one that SQLite has open
    /// would drop its locks.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let write_ahead_log = match fs::metadata(write_ahead_log_of(path)) {
            Ok(log) => log.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Sizes { database: fs::metadata(path)?.len(), write_ahead_log })
    }
}

impl Room {
    /// Where the database at `path` lies, or is to lie: its folder must be there.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let disk = statvfs(folder_of(path))?;
        let block = disk.fragment_size();
        Ok(Room { free_bytes: disk.blocks_available() * block, size_bytes: disk.blocks() * block })
    }
}

/// The write-ahead log of the database at `path`.
pub(crate) fn write_ahead_log_of(path: &Path) -> PathBuf {
    beside(path, WRITE_AHEAD_LOG)
}

/// The file whose name is that of `path` and `end`.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Removes a database that nobody has open; no error where there is none.
pub(crate) fn remove_with_companions(path: &Path) -> io::Result<()> {
    remove_if_there(path)?;
    COMPANIONS.iter().try_for_each(|end| remove_if_there(&beside(path, end)))
}

pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Brings a file or folder to the disk.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
