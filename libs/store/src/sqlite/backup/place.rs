//! A new file takes the place of a database, which is kept under another name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::claim::{Claim, ClaimError, claim};
use crate::sqlite::files::{COMPANIONS, beside, sync};
use crate::sqlite::opening::folder_of;
use crate::types::Timestamp;

/// Why a place could not be taken. What is there is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// A program has the database open.
    #[error("{path}: {InUse}", InUse = ClaimError::InUse)]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The file system.
    #[error("{path} cannot be {what}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What was to be done with it.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

fn file_error(path: &Path, what: &'static str) -> impl Fn(io::Error) -> PlaceError {
    move |source| PlaceError::File { path: path.to_owned(), what, source }
}

/// Whether the database at `path` can be replaced, or one made there: nobody has it open at this moment.
pub fn check_replaceable(path: &Path) -> Result<(), PlaceError> {
    claim_place(path).map(drop)
}

/// Gives the closed database at `new` the name `path`. One that is there is kept under a name that tells the time `at`,
/// which is given back. Killed at any instant, there is a database at `path` if there was one. `path` and `new` are in
/// one folder.
pub fn put_in_place(new: &Path, path: &Path, at: Timestamp) -> Result<Option<PathBuf>, PlaceError> {
    let unusable = file_error(path, "put in place");
    sync(new).map_err(&unusable)?;
    // Held until the new file has the name: nobody can open the old one in between and write into what is put aside, or into
    // the new one's log; and nobody can make one where there was none.
    let _claim = claim_place(path)?;
    let replaced = if path.try_exists().map_err(file_error(path, "looked at"))? {
        let stamp: String = at.to_rfc3339().chars().filter(|c| !"-:.".contains(*c)).collect();
        let old = beside(path, &format!(".replaced-{stamp}"));
        // A second name for the old file first: killed anywhere in here, there is a database at `path`.
        fs::hard_link(path, &old).map_err(&unusable)?;
        for companion in COMPANIONS {
            rename_if_there(&beside(path, companion), &beside(&old, companion)).map_err(&unusable)?;
        }
        Some(old)
    } else {
        for companion in COMPANIONS {
            // A log without its database belongs to none; SQLite would take it for the new one's.
            let stray = beside(path, &format!(".stray{companion}"));
            rename_if_there(&beside(path, companion), &stray).map_err(&unusable)?;
        }
        None
    };
    fs::rename(new, path).map_err(&unusable)?;
    sync(folder_of(path)).map_err(&unusable)?;
    Ok(replaced)
}

/// Removes the database at `path`, which nobody has open, and what SQLite keeps beside it; no error where there is none.
pub fn remove_database(path: &Path) -> Result<(), PlaceError> {
    crate::sqlite::files::remove_with_companions(path).map_err(file_error(path, "removed"))
}

fn claim_place(path: &Path) -> Result<Claim, PlaceError> {
    claim(path).map_err(|error| match error {
        ClaimError::InUse => PlaceError::InUse { path: path.to_owned() },
        ClaimError::Io(source) => file_error(path, "locked")(source),
    })
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
