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

use super::{Listed, TargetError, whole};
use crate::manifest;
use crate::name::BackupName;
use crate::pipe::{Buffers, Chunk};

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
    /// It must be there: a newly made one may be the empty mount point of a disk that is not mounted.
    pub(super) fn open(path: &Path) -> Result<DirectoryTarget, TargetError> {
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
    pub(super) fn clear_unfinished(&self) -> Result<(), TargetError> {
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

    pub(super) async fn upload(&self, name: &BackupName, mut chunks: Receiver<Chunk>) -> Result<u64, TargetError> {
        let unusable = |error| self.unusable(&error);
        let (path, half) = (self.archive(name), unfinished(&self.archive(name)));
        let mut file = tokio::fs::File::from_std(self.create(&half)?);
        loop {
            match chunks.recv().await {
                Some(Chunk::Data(bytes)) => file.write_all(&bytes).await.map_err(unusable)?,
                Some(Chunk::End) => break,
                None => return Err(TargetError::BrokenOff),
            }
        }
        file.flush().await.map_err(unusable)?;
        file.sync_all().await.map_err(unusable)?;
        if path.try_exists().map_err(unusable)? {
            return Err(TargetError::Exists(name.to_string()));
        }
        self.name(&half, &path).map_err(unusable)?;
        fs::metadata(&path).map(|metadata| metadata.len()).map_err(unusable)
    }

    pub(super) fn put_manifest(&self, name: &BackupName, json: &str) -> Result<(), TargetError> {
        let unusable = |error| self.unusable(&error);
        let path = self.manifest_file(name);
        if path.try_exists().map_err(unusable)? {
            return Err(TargetError::Exists(name.to_string()));
        }
        let half = unfinished(&path);
        let mut file = self.create(&half)?;
        file.write_all(json.as_bytes()).and_then(|()| file.sync_all()).map_err(unusable)?;
        self.name(&half, &path).map_err(unusable)
    }

    /// Gives a file that is on the disk its name, for good.
    fn name(&self, half: &Path, path: &Path) -> io::Result<()> {
        fs::rename(half, path)?;
        self.made().push(path.to_owned());
        File::open(&self.path)?.sync_all()
    }

    /// Removes what this run has made, the last first: the manifest before what it makes count.
    pub(super) fn discard(&self) {
        for path in self.made().drain(..).rev() {
            if let Err(error) = remove(&path) {
                tracing::warn!(%error, file = %path.display(), "what was half-made could not be removed; it does not count");
            }
        }
    }

    pub(super) fn manifest(&self, name: &BackupName) -> Result<Vec<u8>, TargetError> {
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

    pub(super) async fn download(&self, name: &BackupName, chunks: Sender<Chunk>) -> Result<(), TargetError> {
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

    pub(super) fn list(&self) -> Result<Vec<Listed>, TargetError> {
        let files = self.files()?;
        let mut archives = Vec::new();
        for name in files.iter().filter_map(|file| file.parse::<BackupName>().ok()) {
            let bytes = fs::metadata(self.archive(&name)).map_err(|error| self.unusable(&error))?.len();
            archives.push(Listed { name, bytes });
        }
        let manifests: Vec<_> = files.iter().filter_map(|file| BackupName::of_manifest(file)).collect();
        Ok(whole(archives, &manifests))
    }

    pub(super) fn prune(
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
mod tests;
