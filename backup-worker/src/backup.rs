//! One backup: copied, inspected, packed and uploaded, and then written down. Until its manifest is there it does not count,
//! and until it was restored on trial nobody should rely on it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use store::backup::{BackupError, CopyError, Inspection, copy_database, inspect_content};
use store::{BackupEvent, Store, StoreError};
use tokio::sync::oneshot;

use crate::age_keys::{BackupIdentity, BackupRecipient};
use crate::archive::{self, ArchiveError, Sums};
use crate::catalogue;
use crate::config::Config;
use crate::error::WorkerError;
use crate::manifest::Manifest;
use crate::name::BackupName;
use crate::pipe::{ChunkWriter, pipe};
use crate::priority::this_thread_is_for_long_work;
use crate::progress::Watcher;
use crate::target::{Target, TargetError};
use crate::work::{WorkError, WorkFolder};

/// Makes a backup and writes BACKUP_CREATED, or BACKUP_FAILED where it fails. `stop` breaks it off.
pub async fn make(
    config: &Config,
    store: &Store,
    stop: &Arc<AtomicBool>,
    watcher: &Watcher,
) -> Result<Manifest, WorkerError> {
    let work = match WorkFolder::take(config.database.path()) {
        // The run that has the folder writes down how it ended.
        Err(WorkError::Busy) => return Err(WorkError::Busy.into()),
        work => work,
    };
    let name = BackupName::new(store.now());
    let made: Result<Manifest, WorkerError> = async {
        let work = work?;
        let manifest = try_make(config, &work, &name, stop, watcher).await?;
        // Nobody else begins one while we have the folder, so no two have the same name.
        until_second_is_over(&name, store).await;
        Ok(manifest)
    }
    .await;
    let event = match &made {
        Ok(manifest) => BackupEvent::Created {
            name: name.to_string(),
            bytes: manifest.archive_bytes,
            sha256: manifest.archive_sha256.clone(),
            head: manifest.to_record().head,
            content: manifest.to_record().content,
        },
        Err(error) => {
            BackupEvent::Failed { name: Some(name.to_string()), during: "backup".to_owned(), reason: error.to_string() }
        }
    };
    let recorded = store.record_backup(event, store.now()).await.map(|_| ());
    if made.is_ok() {
        prune(config, store).await;
    }
    first_of(made, recorded)
}

/// Why something failed says more than why that could not be written down.
pub(crate) fn first_of<T>(done: Result<T, WorkerError>, recorded: Result<(), StoreError>) -> Result<T, WorkerError> {
    match (done, recorded) {
        (Err(first), Err(error)) => {
            tracing::error!(%error, "BACKUP_FAILED could not be written into the audit log");
            Err(first)
        }
        (done, Ok(())) => done,
        (Ok(_), Err(error)) => Err(error.into()),
    }
}

async fn try_make(
    config: &Config,
    work: &WorkFolder,
    name: &BackupName,
    stop: &Arc<AtomicBool>,
    watcher: &Watcher,
) -> Result<Manifest, WorkerError> {
    let start = Instant::now();
    let target = Target::open(&config.target, config.encryption.clone()).await?;
    target.clear_unfinished()?;
    let recipients = recipients(config)?;
    let copy = work.file("copy.db");

    let (from, to, key) = (config.database.path().to_owned(), copy.clone(), config.database.key().duplicate());
    let (stopped, told) = (Arc::clone(stop), watcher.clone());
    blocking(move || copy_database(&from, &to, &key, &stopped, |done, all| told.pages("copying", done, all))).await?;

    let kept = async {
        // Both at once, which halves the time on two cores: packing reads every page and so checks its code, the inspection
        // does the rest. The archive gets its end only after the inspection.
        let (sound, verdict) = oneshot::channel();
        let (inspection, uploaded) = tokio::join!(
            inspect_copy(config, &copy, sound, stop, watcher),
            upload(config, &target, name, &copy, verdict, &recipients, stop, watcher)
        );
        let (inspection, (sums, bytes)) = (inspection?, uploaded?);
        if bytes != sums.archive_bytes {
            let words = format!("{bytes} bytes were kept, and {} were made", sums.archive_bytes);
            return Err(TargetError::Wrong(words).into());
        }
        let manifest = Manifest {
            recipients: recipients.iter().map(ToString::to_string).collect(),
            secret_version: config.secret_version.clone(),
            seconds: (start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            ..Manifest::new(name.clone(), &inspection, &sums)
        }
        .authenticate(&BackupIdentity::derive(config.database.key())?);
        target.put_manifest(name, manifest.to_json()).await?;
        Ok(manifest)
    }
    .await;
    if kept.is_err() {
        target.discard().await;
    }
    kept
}

/// Inspects the copy, and tells `sound` if it is.
async fn inspect_copy(
    config: &Config,
    copy: &Path,
    sound: oneshot::Sender<()>,
    stop: &Arc<AtomicBool>,
    watcher: &Watcher,
) -> Result<Inspection, WorkerError> {
    let (copy, key) = (copy.to_owned(), config.database.key().duplicate());
    let (stopped, told) = (Arc::clone(stop), watcher.clone());
    let inspection =
        blocking(move || inspect_content(&copy, &key, &stopped, |stage| told.stage(&stage.to_string()))).await?;
    // Who no longer listens has failed, and says why.
    let _ = sound.send(());
    Ok(inspection)
}

/// Packs the copy on a thread of its own, and uploads what comes out of it meanwhile. Nothing is kept unless a `verdict`
/// comes.
#[expect(clippy::too_many_arguments, reason = "each is one thing, and a struct of them would be used here alone")]
async fn upload(
    config: &Config,
    target: &Target,
    name: &BackupName,
    copy: &Path,
    verdict: oneshot::Receiver<()>,
    recipients: &[BackupRecipient],
    stop: &Arc<AtomicBool>,
    watcher: &Watcher,
) -> Result<(Sums, u64), WorkerError> {
    let (sender, receiver) = pipe();
    let (copy, key, recipients) = (copy.to_owned(), config.database.key().duplicate(), recipients.to_vec());
    let (stopped, told) = (Arc::clone(stop), watcher.clone());
    let packing = blocking(move || {
        let out = ChunkWriter::new(sender);
        let packed = archive::write(&copy, &key, &recipients, out, |bytes| told.bytes("packing and uploading", bytes));
        let (sums, out) = packed.map_err(|error| match error {
            ArchiveError::Database(error) => CopyError::from(error).into(),
            other => WorkerError::from(other),
        })?;
        // Without its end the upload is given up.
        if stopped.load(Ordering::Relaxed) || verdict.blocking_recv().is_err() {
            return Err(WorkerError::Stopped);
        }
        out.finish().map_err(ArchiveError::Stream)?;
        Ok(sums)
    });
    let (packed, uploaded) = tokio::join!(packing, async {
        tokio::select! {
            uploaded = target.upload(name, receiver) => uploaded.map_err(WorkerError::from),
            () = until_set(stop) => Err(WorkerError::Stopped),
        }
    });
    match (packed, uploaded) {
        (Ok(sums), Ok(bytes)) => Ok((sums, bytes)),
        // What broke off on our side has its reason there; what broke off on theirs shows here as a broken pipe.
        (Err(error), Err(WorkerError::Target(TargetError::BrokenOff))) => Err(error),
        (_, Err(error)) | (Err(error), Ok(_)) => Err(error),
    }
}

/// A name says in which second its backup was begun.
async fn until_second_is_over(name: &BackupName, store: &Store) {
    let next = name.at().plus(Duration::from_secs(1));
    tokio::time::sleep(next.since(store.now()).min(Duration::from_secs(1))).await;
}

/// Waits until `stop` turns true.
pub(crate) async fn until_set(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Everybody who shall be able to open the archive.
fn recipients(config: &Config) -> Result<Vec<BackupRecipient>, WorkerError> {
    let mut recipients = config.recipients.clone();
    if !config.offline_only {
        recipients.push(BackupIdentity::derive(config.database.key())?.recipient());
    }
    Ok(recipients)
}

/// A backup that was made counts, whether or not an old one can be removed. Of those that the target still has, the newest
/// that was proved stays.
async fn prune(config: &Config, store: &Store) {
    if config.target.prunes_itself() {
        return;
    }
    let pruned = async {
        let target = Target::open(&config.target, config.encryption.clone()).await?;
        let (entries, now) = (catalogue::entries(&target, &catalogue::log(store).await?).await?, store.now());
        let keep = catalogue::newest_verified(&entries, now).map(|entry| &entry.listed.name);
        Ok::<_, WorkerError>(target.prune(config.keep_days, keep, now)?)
    };
    match pruned.await {
        Ok(removed) => {
            for name in removed {
                tracing::info!(%name, days = config.keep_days, "removed an old backup");
            }
        }
        Err(error) => tracing::warn!(%error, "old backups could not be removed"),
    }
}

/// Runs `work` on a thread that may block, and behind the site where the command is one that lets it go first.
pub(crate) async fn blocking<T: Send + 'static, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, WorkerError>
where
    E: Into<WorkerError> + Send + 'static,
{
    // A thread of its own: it stays where it stepped to, and tokio would use it again for what holds locks.
    let (done, waiting) = oneshot::channel();
    let thread = std::thread::Builder::new().name("long-work".to_owned()).spawn(move || {
        this_thread_is_for_long_work();
        // Nobody waits any more once a run was broken off.
        let _ = done.send(work());
    });
    thread.map_err(WorkerError::Thread)?;
    match waiting.await {
        Ok(done) => done.map_err(|error| match error.into() {
            WorkerError::Database(BackupError::Stopped)
            | WorkerError::Copy(CopyError::Unreadable(BackupError::Stopped)) => WorkerError::Stopped,
            failure => failure,
        }),
        Err(_) => Err(WorkerError::Panicked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_is_told() {
        let full = || Err(StoreError::Closed);
        assert!(matches!(first_of::<()>(Err(WorkerError::Stopped), full()), Err(WorkerError::Stopped)));
        assert!(matches!(first_of(Ok(()), full()), Err(WorkerError::Store(StoreError::Closed))));
        assert!(matches!(first_of(Ok(()), Ok(())), Ok(())));
    }
}
