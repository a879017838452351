//! Backups in a directory: a mounted share, or a disk that somebody takes home.
//!
//! A file gets its name only once all of it is on the disk, so that a killed run leaves at most `*.unfinished`. Until then
//! its writer holds that name alone: it was there for nobody else to make, and is locked until the writer ends, however it
//! ends. So two machines that share a directory neither replace nor remove what the other makes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{Receiver, Sender};

use crate::manifest;
use crate::name::BackupName;
use crate::pipe::{Buffers, Chunk};
use crate::target::{Listed, TargetError, whole};

const UNFINISHED: &str = ".unfinished";
/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The directory.
pub struct DirectoryTarget {
    path: PathBuf,
    /// The files that this run has made here, in their order.
    made: Mutex<Vec<PathBuf>>,
}

impl DirectoryTarget {
    /// It must be there: one that is made anew may be the empty mount point of a disk that is not mounted.
    pub(crate) fn open(path: &Path) -> Result<DirectoryTarget, TargetError> {
        let missing = |why: &str| TargetError::Unavailable(format!("the folder {} {why}", path.display()));
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(DirectoryTarget { path: path.to_owned(), made: Mutex::default() }),
            Ok(_) => Err(missing("is a file: WARDPOST_BACKUP_TARGET names a folder")),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(missing("is not there: mount it, or make it")),
            Err(error) => Err(missing(&format!("cannot be opened: {error}"))),
        }
    }

    fn archive(&self, name: &BackupName) -> PathBuf {
        self.path.join(name.to_string())
    }

    fn manifest_file(&self, name: &BackupName) -> PathBuf {
        self.path.join(name.manifest())
    }

    fn unusable(&self, error: &io::Error) -> TargetError {
        let folder = self.path.display();
        TargetError::Unavailable(match error.kind() {
            ErrorKind::StorageFull => format!("the disk under {folder} is full: make room there"),
            _ => format!("the folder {folder} cannot be used: {error}"),
        })
    }

    /// Removes what killed runs have left, and nothing that another machine is writing.
    pub(crate) fn clear_unfinished(&self) -> Result<(), TargetError> {
        let ours = |file: &str| file.parse::<BackupName>().is_ok() || BackupName::of_manifest(file).is_some();
        for file in self.files()? {
            let path = self.path.join(&file);
            if file.strip_suffix(UNFINISHED).is_some_and(ours) && !is_locked(&path) {
                remove(&path).map_err(|error| self.unusable(&error))?;
            }
        }
        Ok(())
    }

    /// A new file that only this run writes.
    fn create(&self, path: &Path) -> Result<File, TargetError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => TargetError::Exists(path.display().to_string()),
            _ => self.unusable(&error),
        })?;
        // Where a file system knows no locks, nobody else is told.
        let _ = file.try_lock();
        self.made().push(path.to_owned());
        Ok(file)
    }

    fn made(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn upload(&self, name: &BackupName, mut chunks: Receiver<Chunk>) -> Result<u64, TargetError> {
        let fault = |error| self.unusable(&error);
        let (path, half) = (self.archive(name), unfinished(&self.archive(name)));
        let mut file = tokio::fs::File::from_std(self.create(&half)?);
        loop {
            match chunks.recv().await {
                Some(Chunk::Data(bytes)) => file.write_all(&bytes).await.map_err(fault)?,
                Some(Chunk::End) => break,
                None => return Err(TargetError::BrokenOff),
            }
        }
        file.flush().await.map_err(fault)?;
        file.sync_all().await.map_err(fault)?;
        if path.try_exists().map_err(fault)? {
            return Err(TargetError::Exists(name.to_string()));
        }
        self.name(&half, &path).map_err(fault)?;
        fs::metadata(&path).map(|metadata| metadata.len()).map_err(fault)
    }

    pub(crate) fn put_manifest(&self, name: &BackupName, json: &str) -> Result<(), TargetError> {
        let fault = |error| self.unusable(&error);
        let path = self.manifest_file(name);
        if path.try_exists().map_err(fault)? {
            return Err(TargetError::Exists(name.to_string()));
        }
        let half = unfinished(&path);
        let mut file = self.create(&half)?;
        file.write_all(json.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)?;
        self.name(&half, &path).map_err(fault)
    }

    /// Gives a file that is on the disk its name, for good.
    fn name(&self, half: &Path, path: &Path) -> io::Result<()> {
        fs::rename(half, path)?;
        self.made().push(path.to_owned());
        File::open(&self.path)?.sync_all()
    }

    /// Removes what this run has made, the last first: the manifest before what it makes count.
    pub(crate) fn discard(&self) {
        for path in self.made().drain(..).rev() {
            if let Err(error) = remove(&path) {
                tracing::warn!(%error, file = %path.display(), "what was half-made could not be removed; it does not count");
            }
        }
    }

    pub(crate) fn manifest(&self, name: &BackupName) -> Result<Vec<u8>, TargetError> {
        let mut bytes = Vec::new();
        // One byte more than it may have shows that it is longer.
        let read = File::open(self.manifest_file(name))
            .and_then(|file| file.take(manifest::LONGEST + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(match self.archive(name).exists() {
                true => TargetError::NoManifest(name.clone()),
                false => TargetError::Missing(name.to_string()),
            }),
            Err(error) => Err(self.unusable(&error)),
        }
    }

    pub(crate) async fn download(&self, name: &BackupName, chunks: Sender<Chunk>) -> Result<(), TargetError> {
        let mut file = tokio::fs::File::open(self.archive(name)).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => TargetError::Missing(name.to_string()),
            _ => self.unusable(&error),
        })?;
        let buffers = Buffers::default();
        loop {
            let mut bytes = buffers.take();
            bytes.resize(PIECE, 0);
            let read = file.read(&mut bytes).await.map_err(|error| self.unusable(&error))?;
            bytes.truncate(read);
            let chunk = match read {
                0 => Chunk::End,
                _ => buffers.chunk(bytes),
            };
            let ended = matches!(chunk, Chunk::End);
            chunks.send(chunk).await.map_err(|_| TargetError::BrokenOff)?;
            if ended {
                return Ok(());
            }
        }
    }

    pub(crate) fn list(&self) -> Result<Vec<Listed>, TargetError> {
        let files = self.files()?;
        let mut archives = Vec::new();
        for name in files.iter().filter_map(|file| file.parse::<BackupName>().ok()) {
            let bytes = fs::metadata(self.archive(&name)).map_err(|error| self.unusable(&error))?.len();
            archives.push(Listed { name, bytes });
        }
        let manifests: Vec<_> = files.iter().filter_map(|file| BackupName::of_manifest(file)).collect();
        Ok(whole(archives, &manifests))
    }

    pub(crate) fn prune(
        &self,
        days: u32,
        keep: Option<&BackupName>,
        now: Timestamp,
    ) -> Result<Vec<BackupName>, TargetError> {
        let files = self.files()?;
        let of_archive = files.iter().filter_map(|file| file.parse().ok());
        let of_manifest = files.iter().filter_map(|file| BackupName::of_manifest(file));
        let mut names: Vec<BackupName> = of_archive.chain(of_manifest).collect();
        names.sort();
        names.dedup();
        names.retain(|name| now.since(name.at()) > DAY * days && Some(name) != keep);
        for name in &names {
            // The manifest first: killed in between, the rest does not count as a backup, and goes the next time.
            let removed = remove(&self.manifest_file(name)).and_then(|()| remove(&self.archive(name)));
            removed.map_err(|error| self.unusable(&error))?;
        }
        Ok(names)
    }

    /// The names of everything in the directory that has a readable one.
    fn files(&self) -> Result<Vec<String>, TargetError> {
        let read = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                names.extend(entry?.file_name().into_string().ok());
            }
            Ok(names)
        };
        read().map_err(|error| self.unusable(&error))
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    PathBuf::from(name)
}

/// Whether the program that writes a file is still there.
fn is_locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe::pipe;

    fn name(day: i64) -> BackupName {
        BackupName::new(Timestamp::from_millis(1_790_000_000_000 + day * 86_400_000))
    }

    fn target() -> (tempfile::TempDir, DirectoryTarget) {
        let folder = tempfile::TempDir::new().unwrap();
        let target = DirectoryTarget::open(folder.path()).unwrap();
        (folder, target)
    }

    async fn keep(target: &DirectoryTarget, name: &BackupName, bytes: &[u8]) -> Result<u64, TargetError> {
        let (sender, receiver) = pipe();
        let bytes = bytes.to_vec();
        tokio::spawn(async move {
            for chunk in [Chunk::Data(bytes.into()), Chunk::End] {
                let _ = sender.send(chunk).await;
            }
        });
        target.upload(name, receiver).await
    }

    #[tokio::test]
    async fn an_archive_counts_with_its_manifest_and_is_never_replaced() {
        let (folder, target) = target();
        assert_eq!(keep(&target, &name(0), b"archive").await, Ok(7));
        assert_eq!(target.list(), Ok(vec![]));
        assert_eq!(target.manifest(&name(0)), Err(TargetError::NoManifest(name(0))));
        target.put_manifest(&name(0), "{}").unwrap();
        assert_eq!(target.list(), Ok(vec![Listed { name: name(0), bytes: 7 }]));
        assert_eq!(target.put_manifest(&name(0), "[]"), Err(TargetError::Exists(name(0).to_string())));
        assert_eq!(keep(&target, &name(0), b"other").await, Err(TargetError::Exists(name(0).to_string())));
        assert_eq!(target.manifest(&name(0)).unwrap(), b"{}");
        assert_eq!(fs::read(folder.path().join(name(0).to_string())).unwrap(), b"archive");
        assert_eq!(target.manifest(&name(1)), Err(TargetError::Missing(name(1).to_string())));
    }

    #[tokio::test]
    async fn what_has_no_end_gets_no_name() {
        let (folder, target) = target();
        let (sender, receiver) = pipe();
        sender.send(Chunk::Data(b"half".as_slice().into())).await.unwrap();
        drop(sender);
        assert_eq!(target.upload(&name(0), receiver).await, Err(TargetError::BrokenOff));
        assert!(!target.archive(&name(0)).exists());
        let half = unfinished(&target.archive(&name(0)));
        assert!(half.exists());
        // Of a run that was killed; what somebody else calls so is theirs.
        fs::write(folder.path().join("thesis.unfinished"), "mine").unwrap();
        let next = DirectoryTarget::open(folder.path()).unwrap();
        // A write that was under way when its writer gave up still holds it for a moment.
        let cleared = tokio::time::timeout(Duration::from_secs(10), async {
            while half.exists() {
                next.clear_unfinished().unwrap();
                tokio::task::yield_now().await;
            }
        });
        cleared.await.unwrap();
        assert!(folder.path().join("thesis.unfinished").exists());
    }

    /// Two machines that share a directory begin in the same second.
    #[tokio::test]
    async fn two_that_write_the_same_name_neither_mix_nor_remove_what_the_other_makes() {
        let (folder, one) = target();
        let other = DirectoryTarget::open(folder.path()).unwrap();
        let (sender, receiver) = pipe();
        let same = name(0);
        let half = unfinished(&one.archive(&same));
        let upload = one.upload(&same, receiver);
        let meanwhile = async {
            sender.send(Chunk::Data(b"arch".as_slice().into())).await.unwrap();
            while !half.exists() {
                tokio::task::yield_now().await;
            }
            other.clear_unfinished().unwrap();
            let refused = keep(&other, &name(0), b"other").await;
            assert!(matches!(refused, Err(TargetError::Exists(_))), "{refused:?}");
            other.discard();
            sender.send(Chunk::Data(b"ive".as_slice().into())).await.unwrap();
            sender.send(Chunk::End).await.unwrap();
        };
        assert_eq!(tokio::join!(upload, meanwhile).0, Ok(7));
        assert_eq!(fs::read(one.archive(&name(0))).unwrap(), b"archive");
        one.put_manifest(&name(0), "{}").unwrap();
        // Refused at the end, it takes only its own away.
        assert!(keep(&other, &name(0), b"other").await.is_err());
        other.discard();
        assert_eq!(one.list(), Ok(vec![Listed { name: name(0), bytes: 7 }]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn age_removes_all_but_the_one_to_keep() {
        let (folder, target) = target();
        for day in 0..4 {
            keep(&target, &name(day), b"archive").await.unwrap();
            target.put_manifest(&name(day), "{}").unwrap();
        }
        // Left by a run that was killed between archive and manifest.
        keep(&target, &name(-1), b"archive").await.unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let removed = target.prune(1, Some(&name(1)), name(3).at()).unwrap();
        assert_eq!(removed, [name(-1), name(0)]);
        let left: Vec<_> = target.list().unwrap().into_iter().map(|listed| listed.name).collect();
        assert_eq!(left, [name(1), name(2), name(3)]);
        assert!(folder.path().join("notes.txt").exists());
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_made() {
        let (folder, _) = target();
        let path = folder.path().join("not-mounted");
        assert!(matches!(DirectoryTarget::open(&path), Err(TargetError::Unavailable(_))));
        assert!(!path.exists());
    }
}
