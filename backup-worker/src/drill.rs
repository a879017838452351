//! The proof of a backup: it is downloaded, unpacked into a new encrypted database, compared with its manifest in every sum
//! and count, and inspected. A drill throws the result away; a restore keeps it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use store::backup::inspect_unless_stopped;
use store::{BackupEvent, DatabaseKey, Store, StoreError};

use crate::age_keys::BackupIdentity;
use crate::archive::{self, ArchiveError, Limits};
use crate::backup::{blocking, until_set};
use crate::catalogue::Wanted;
use crate::clock;
use crate::config::Config;
use crate::error::WorkerError;
use crate::manifest::Manifest;
use crate::name::BackupName;
use crate::pipe::{ChunkReader, pipe};
use crate::progress::Watcher;
use crate::provenance::Provenance;
use crate::target::Target;
use crate::vouch::{Request, Vouched};
use crate::work::{WorkError, WorkFolder};

/// A backup that was proved to restore.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Its manifest.
    pub manifest: Manifest,
    /// What is known of its origin.
    pub provenance: Provenance,
    /// How long downloading, unpacking and all checks took.
    pub seconds: f64,
}

/// Who asked for a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// The schedule.
    Schedule,
    /// Somebody at the command line.
    Hand,
}

/// How a drill ended.
#[derive(Debug)]
pub struct Drill {
    /// Which backup it was about; none where it ended before that was known.
    pub name: Option<BackupName>,
    /// What it came to.
    pub proof: Result<Proof, WorkerError>,
    /// Whether that was written down.
    pub recorded: Result<bool, StoreError>,
}

/// Restores a backup on trial and writes BACKUP_VERIFIED, or BACKUP_FAILED where it fails. On another machine, which has no
/// database, nothing can be written down. `stop` breaks it off.
pub async fn drill(
    asked_by: AskedBy,
    config: &Config,
    store: Option<&Store>,
    request: &Request,
    identities: &[BackupIdentity],
    stop: &Arc<AtomicBool>,
    watcher: &Watcher,
) -> Drill {
    let mut name = match &request.wanted {
        Wanted::Named(name) => Some(name.clone()),
        _ => None,
    };
    let proof = async {
        let work = WorkFolder::take(config.database.path())?;
        let target = Target::open(&config.target, config.encryption.clone()).await?;
        let name = name.insert(request.wanted.find(&target, clock::now(store)).await?);
        let vouched = until_stopped(request.vouch(&target, name, identities, store), stop).await?;
        let key = config.database.key().duplicate();
        prove(&target, vouched, identities, &work.file("restored.db"), &key, stop, watcher).await
    }
    .await;
    let event = match &proof {
        Ok(proof) => Some(BackupEvent::Verified {
            name: proof.manifest.name.to_string(),
            data_age_seconds: clock::now(store).since(proof.manifest.data_until()).as_secs(),
            restore_seconds: (proof.seconds * 1000.0).round() / 1000.0,
            accepted: proof.provenance.accepted_labels(),
            by_hand: asked_by == AskedBy::Hand,
        }),
        // The run that has the folder writes down how it ended.
        Err(WorkerError::Work(WorkError::Busy)) => None,
        Err(error) => Some(BackupEvent::Failed {
            name: name.as_ref().map(ToString::to_string),
            during: match asked_by {
                AskedBy::Schedule => "drill".to_owned(),
                AskedBy::Hand => "verify".to_owned(),
            },
            reason: error.to_string(),
        }),
    };
    let recorded = match (store, event) {
        (Some(store), Some(event)) => store.record_backup(event, store.now()).await.map(|_| true),
        _ => Ok(false),
    };
    Drill { name, proof, recorded }
}

/// Restores a backup to `path`, encrypted with `key`, and compares and inspects all of it. What is at `path` afterwards is
/// sound only if this says so. `stop` breaks it off. No more is read than the manifest tells of.
pub async fn prove(
    target: &Target,
    vouched: Vouched,
    identities: &[BackupIdentity],
    path: &Path,
    key: &DatabaseKey,
    stop: &Arc<AtomicBool>,
    watcher: &Watcher,
) -> Result<Proof, WorkerError> {
    let start = Instant::now();
    let Vouched { manifest, provenance } = vouched;
    let name = &manifest.name;
    check_room(path, manifest.database_bytes)?;
    let limits = Limits { archive_bytes: manifest.archive_bytes, database_bytes: manifest.database_bytes };
    let (sender, receiver) = pipe();
    let (to, sealed, own) = (path.to_owned(), key.duplicate(), identities.to_vec());
    let told = watcher.clone();
    let all = manifest.database_bytes;
    let unpacking = blocking(move || {
        archive::read(ChunkReader::new(receiver), &own, &to, &sealed, limits, |bytes| {
            told.of_bytes("downloading and unpacking", bytes, all);
        })
    });
    // Without its sender the pipe has ended, and so the unpacking.
    let (unpacked, downloaded) = tokio::join!(unpacking, until_stopped(target.download(name, sender), stop));
    let sums = match (unpacked, downloaded) {
        (_, Err(WorkerError::Stopped)) => return Err(WorkerError::Stopped),
        // The download's own reason says more than that the pipe ended.
        (Err(WorkerError::Archive(ArchiveError::Stream(_) | ArchiveError::CutOff)), Err(error)) => return Err(error),
        (unpacked, _) => unpacked?,
    };
    let (to, sealed) = (path.to_owned(), key.duplicate());
    let (stopped, told) = (Arc::clone(stop), watcher.clone());
    let found =
        blocking(move || inspect_unless_stopped(&to, &sealed, &stopped, |stage| told.stage(&stage.to_string())))
            .await?;
    let found = Manifest::new(name.clone(), &found, &sums);
    if let Some(difference) = manifest.difference(&found) {
        return Err(WorkerError::Manifest(difference));
    }
    Ok(Proof { manifest, provenance, seconds: start.elapsed().as_secs_f64() })
}

/// Before an hour of downloading, and before a disk is filled that the site writes to.
fn check_room(path: &Path, bytes: u64) -> Result<(), WorkerError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Where the file system does not tell, the writing will.
    let Ok(room) = store::backup::room_for(path) else { return Ok(()) };
    let free = room.free_bytes;
    if bytes <= free {
        return Ok(());
    }
    let folder = folder.display();
    Err(WorkerError::NotPossible(format!(
        "the disk under {folder} is too full: it takes {bytes} bytes, and {free} are free"
    )))
}

/// Waits for an answer, unless asked to stop.
pub(crate) async fn until_stopped<T, E: Into<WorkerError>>(
    asked: impl Future<Output = Result<T, E>>,
    stop: &AtomicBool,
) -> Result<T, WorkerError> {
    tokio::select! {
        answer = asked => answer.map_err(Into::into),
        () = until_set(stop) => Err(WorkerError::Stopped),
    }
}

/// What can open a backup here: what a file holds, and the key derived from the database key.
pub fn identities(config: &Config, file: Option<&Path>) -> Result<Arc<[BackupIdentity]>, WorkerError> {
    let mut identities = file.map(BackupIdentity::read_file).transpose()?.unwrap_or_default();
    identities.push(BackupIdentity::derive(config.database.key())?);
    Ok(identities.into())
}
