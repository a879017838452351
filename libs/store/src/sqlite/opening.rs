//! While somebody opens a database, nobody puts another file in its place.
//!
//! SQLite opens a file by its name, locks it some moments later, and finds its write-ahead log by the name again. If the name
//! came to mean another file in between, the log of the one would be written into the other. So anyone who opens a database
//! holds a shared lock on its folder until it holds SQLite's own, and anyone who replaces one holds the exclusive lock.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Opening takes milliseconds, and some seconds where a schema is brought up to date; replacing is a few renames.
const WAIT: Duration = Duration::from_secs(10);
const NAP: Duration = Duration::from_millis(2);

/// The lock on the folder of a database, for as long as this lives.
pub(crate) struct FolderLock {
    /// None where there is no folder, and so nothing that could be opened or replaced.
    _folder: Option<Flock<File>>,
}

impl FolderLock {
    /// For a program that opens the database at `path`. Waits while another one is put in its place.
    pub(crate) fn to_open(path: &Path) -> io::Result<FolderLock> {
        take(path, FlockArg::LockSharedNonblock)
    }

    /// For a program that replaces the database at `path`. Waits while it is being opened.
    pub(crate) fn to_replace(path: &Path) -> io::Result<FolderLock> {
        take(path, FlockArg::LockExclusiveNonblock)
    }
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn take(path: &Path, how: FlockArg) -> io::Result<FolderLock> {
    let mut folder = match File::open(folder_of(path)) {
        Ok(folder) => folder,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(FolderLock { _folder: None }),
        Err(error) => return Err(error),
    };
    let since = Instant::now();
    loop {
        folder = match Flock::lock(folder, how) {
            Ok(held) => return Ok(FolderLock { _folder: Some(held) }),
            Err((folder, Errno::EWOULDBLOCK)) if since.elapsed() < WAIT => folder,
            Err((_, errno)) => return Err(errno.into()),
        };
        std::thread::sleep(NAP);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::sqlite::backup::claim;
    use crate::testing::*;
    use crate::*;

    /// The files below `folder` that this process has open, and the folder itself.
    fn open_in(folder: &std::path::Path) -> usize {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        let names = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        names.filter(|name| name.starts_with(folder)).count()
    }

    fn beside(path: &std::path::Path, end: &str) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        name.into()
    }

    /// Otherwise it would have the old file open, and write into the log that belongs to the new one's name.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_opens_a_database_while_it_is_replaced_gets_the_new_one() {
        let (other, _other_folder) = TestStore::new().await.close().await;
        let test = TestStore::new().await;
        let old_id = test.store.database_id().to_owned();
        let (path, folder) = test.close().await;
        let old = std::fs::read(&path).unwrap();

        let claimed = claim(&path).unwrap();
        let before = open_in(folder.path());
        let opening = tokio::spawn({
            let path = path.clone();
            async move { Store::open(&Location::file(&path, &key()), IfMissing::Refuse).await.unwrap() }
        });
        while open_in(folder.path()) == before {
            tokio::task::yield_now().await;
        }
        let kept = beside(&path, ".replaced");
        std::fs::rename(&path, &kept).unwrap();
        std::fs::copy(&other, &path).unwrap();
        assert!(!opening.is_finished());
        drop(claimed);

        let opened = opening.await.unwrap();
        assert_ne!(opened.database_id(), old_id);
        staff(&opened, "amina").await;
        opened.close().await;
        assert_eq!(std::fs::read(&kept).unwrap(), old, "what was put aside stays as it was");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_makes_a_database_where_one_is_being_put() {
        let (other, _other_folder) = TestStore::new().await.close().await;
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("test.db");
        let claimed = claim(&path).unwrap();
        let before = open_in(folder.path());
        let opening = tokio::spawn({
            let path = path.clone();
            async move { Store::open(&Location::file(&path, &key()), IfMissing::Create).await.unwrap() }
        });
        while open_in(folder.path()) == before {
            tokio::task::yield_now().await;
        }
        assert!(!path.exists());
        std::fs::copy(&other, &path).unwrap();
        drop(claimed);
        let opened = opening.await.unwrap();
        let expected = Store::open(&Location::file(&other, &key()), IfMissing::Refuse).await.unwrap();
        assert_eq!(opened.database_id(), expected.database_id());
        opened.close().await;
        expected.close().await;
    }
}
