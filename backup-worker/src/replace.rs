//! Putting a backup back: proved in every way a drill proves it, marked as restored, and then in one step in the place of
//! the old database, which is kept.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use store::backup::{PlaceError, check_replaceable, put_in_place, remove_database};
use store::{DatabaseKey, GivenUp, IfMissing, Location, Restoration, Store};

use crate::age_keys::BackupIdentity;
use crate::backup::blocking;
use crate::drill::{Proof, prove};
use crate::error::WorkerError;
use crate::progress::Watcher;
use crate::provenance::Source;
use crate::target::Target;
use crate::vouch::Vouched;

/// A restore that went through.
#[derive(Debug)]
pub struct Restored {
    /// What was proved on the way.
    pub proof: Proof,
    /// Where the database that was there before is now.
    pub replaced: Option<PathBuf>,
    /// The end of its audit log, where it could be read.
    pub given_up: Option<GivenUp>,
    /// How many sessions were live in the backup, and are ended.
    pub ended_sessions: usize,
}

/// Restores a backup to `path`, and ends every session in it. A database that is there is replaced only if nobody has it
/// open. `stop` breaks it off while that can be done.
pub async fn restore(
    target: &Target,
    vouched: Vouched,
    identities: &[BackupIdentity],
    path: &Path,
    key: &DatabaseKey,
    stop: &Arc<AtomicBool>,
    watcher: &Watcher,
) -> Result<Restored, WorkerError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !directory.is_dir() {
        return Err(WorkerError::NotPossible(format!("there is no folder {}: make it first", directory.display())));
    }
    // Before an hour of downloading, and again at the end.
    check_replaceable(path).map_err(not_possible)?;
    let new = beside(path, ".restoring");
    let _alone = Alone::at(&new)?;
    remove_database(&new).map_err(not_possible)?;
    let restored = put_back(target, vouched, identities, path, &new, key, stop, watcher).await;
    if restored.is_err()
        && let Err(error) = remove_database(&new)
    {
        tracing::warn!(%error, file = %new.display(), "what was unpacked so far could not be removed; it is encrypted");
    }
    restored
}

/// Nobody else restores to the same place as long as this lives.
#[derive(Debug)]
struct Alone {
    path: PathBuf,
    _lock: File,
}

impl Alone {
    fn at(new: &Path) -> Result<Alone, WorkerError> {
        let path = beside(new, ".lock");
        let not_locked =
            |error: io::Error| WorkerError::NotPossible(format!("{} cannot be locked: {error}", path.display()));
        loop {
            let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
            let lock = lock.map_err(not_locked)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(WorkerError::NotPossible(format!("another restore makes {}", new.display())));
                }
                Err(TryLockError::Error(error)) => return Err(not_locked(error)),
            }
            // The restore that had it before has removed it, and somebody else may have made another one since.
            let is_there =
                fs::metadata(&path).is_ok_and(|there| lock.metadata().is_ok_and(|own| own.ino() == there.ino()));
            if is_there {
                return Ok(Alone { path, _lock: lock });
            }
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // An empty file, which the next restore takes if it stays.
        let _ = fs::remove_file(&self.path);
    }
}

#[expect(clippy::too_many_arguments, reason = "each is one thing, and a struct of them would be used here alone")]
async fn put_back(
    target: &Target,
    vouched: Vouched,
    identities: &[BackupIdentity],
    path: &Path,
    new: &Path,
    key: &DatabaseKey,
    stop: &Arc<AtomicBool>,
    watcher: &Watcher,
) -> Result<Restored, WorkerError> {
    let proof = prove(target, vouched, identities, new, key, stop, watcher).await?;
    let given_up = end_of_old(path, key).await;
    let store = Store::open_restored(&Location::file(new, key)).await?;
    let restoration = Restoration {
        archive: proof.manifest.to_record(),
        given_up: given_up.clone(),
        authenticated: proof.provenance.authenticated,
        known_from: proof.provenance.known_from.map(Source::as_str),
        accepted: proof.provenance.accepted_labels(),
    };
    let recorded = store.record_restore(restoration, store.now()).await;
    let at = store.now();
    store.close().await;
    let ended_sessions = recorded?;
    let (path, new) = (path.to_owned(), new.to_owned());
    let replaced = blocking(move || put_in_place(&new, &path, at).map_err(not_possible)).await?;
    Ok(Restored { proof, replaced, given_up, ended_sessions })
}

/// Where the log of the old database ends, if there is one that can still be opened.
async fn end_of_old(path: &Path, key: &DatabaseKey) -> Option<GivenUp> {
    let old = Store::open(&Location::file(path, key), IfMissing::Refuse).await.ok()?;
    let end = match (old.audit_stream().await, old.audit_head().await) {
        (Ok(stream), Ok(head)) => Some(GivenUp { stream, head }),
        _ => None,
    };
    old.close().await;
    end
}

fn not_possible(error: PlaceError) -> WorkerError {
    WorkerError::NotPossible(error.to_string())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_restore_to_a_place_at_a_time_and_no_lock_is_left() {
        let folder = tempfile::TempDir::new().unwrap();
        let new = folder.path().join("w.db.restoring");
        let alone = Alone::at(&new).unwrap();
        assert!(Alone::at(&new).unwrap_err().to_string().contains("another restore"));
        drop(alone);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(Alone::at(&new).unwrap());
    }
}
