//! Certainty that no program has a database open, and that none opens it, while its file is replaced.
//!
//! A program that has a database open in WAL mode holds a shared lock on certain bytes of its file. Holding the
//! exclusive lock on them, as SQLite itself would, proves that nobody has it open and keeps everybody out. The content
//! does not matter: a file that is damaged beyond opening can be claimed too. A program that is about to open it waits
//! at its folder (`opening.rs`), and then opens what is at its name by then.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_WRLCK, SEEK_SET, flock};

use crate::sqlite::opening::FolderLock;

/// SQLite's locking page: the pending byte, the reserved byte, and 510 shared ones (SQLite's file format, 1.8).
pub(super) const LOCK_START: i64 = 0x4000_0000;
const LOCK_LENGTH: i64 = 512;

/// Nobody has the database open, and nobody opens or makes one in its place, as long as this lives.
pub(crate) struct Claim {
    _file: Option<File>,
    _folder: FolderLock,
}

/// Why it could not be claimed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    /// A program has it open.
    #[error("a program has the database open: stop web, log-shipper and backup-worker first")]
    InUse,
    /// The file system.
    #[error("the database file cannot be locked: {0}")]
    Io(#[from] io::Error),
}

/// Claims the place of the database at `path`, and the file that is there, if one is. Not for a file that this process itself
/// has open as a database.
pub(crate) fn claim(path: &Path) -> Result<Claim, ClaimError> {
    let folder = FolderLock::to_replace(path).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => ClaimError::InUse,
        _ => ClaimError::Io(error),
    })?;
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(file) = &file {
        lock(file)?;
    }
    Ok(Claim { _file: file, _folder: folder })
}

fn lock(file: &File) -> Result<(), ClaimError> {
    let (kind, whence) = (i16::try_from(F_WRLCK), i16::try_from(SEEK_SET));
    let (Ok(l_type), Ok(l_whence)) = (kind, whence) else {
        return Err(io::Error::other("this system's lock constants are unheard of").into());
    };
    let lock = flock { l_type, l_whence, l_start: LOCK_START, l_len: LOCK_LENGTH, l_pid: 0 };
    // A lock of the open file rather than of the process: it conflicts with SQLite's all the same, and does not go when
    // something else in this process closes the same file.
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock)) {
        Ok(_) => Ok(()),
        Err(Errno::EAGAIN | Errno::EACCES) => Err(ClaimError::InUse),
        Err(errno) => Err(io::Error::from(errno).into()),
    }
}
