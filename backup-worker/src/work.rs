//! The folder in which copies and trial restores are made, beside the database. One run at a time: its lock dies with its
//! holder. What is in it is encrypted, and gone when the run ends; what a killed run has left goes at the next start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

const LOCK: &str = "lock";

/// The folder, locked.
pub struct WorkFolder {
    path: PathBuf,
    _lock: Flock<File>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// Another run has it.
    #[error("another backup or drill is running: wait until it has ended")]
    Busy,
    /// The file system.
    #[error("the folder {path} cannot be used: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl WorkFolder {
    /// Makes and takes the folder that belongs to a database, empty.
    pub fn take(database: &Path) -> Result<WorkFolder, WorkError> {
        let mut path = database.as_os_str().to_owned();
        path.push(".backup-work");
        let path = PathBuf::from(path);
        let io_error = |source| WorkError::Io { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(io_error)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
        let lock =
            Flock::lock(lock.map_err(io_error)?, FlockArg::LockExclusiveNonblock).map_err(
                |(_, errno)| match errno {
                    Errno::EWOULDBLOCK => WorkError::Busy,
                    errno => io_error(errno.into()),
                },
            )?;
        empty(&path).map_err(io_error)?;
        Ok(WorkFolder { path, _lock: lock })
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = empty(&self.path) {
            tracing::warn!(%error, folder = %self.path.display(), "the work folder could not be emptied; the next run does it");
        }
    }
}

/// Removes everything but the lock, which a waiting run may have open.
fn empty(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() != LOCK
            && let Err(error) = fs::remove_file(entry.path())
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time_and_nothing_is_left() {
        let directory = tempfile::TempDir::new().unwrap();
        let database = directory.path().join("w.db");
        let work = WorkFolder::take(&database).unwrap();
        fs::write(work.file("copy.db"), "a copy").unwrap();
        assert!(matches!(WorkFolder::take(&database), Err(WorkError::Busy)));
        drop(work);
        let names = |folder: &str| -> Vec<_> {
            fs::read_dir(directory.path().join(folder)).unwrap().map(|entry| entry.unwrap().file_name()).collect()
        };
        assert_eq!(names("w.db.backup-work"), ["lock"]);
        // Left by a run that was killed.
        fs::write(directory.path().join("w.db.backup-work/copy.db"), "old").unwrap();
        let _work = WorkFolder::take(&database).unwrap();
        assert_eq!(names("w.db.backup-work"), ["lock"]);
    }
}
