//! The proof of a backup: it is downloaded, unpacked into a new encrypted database, compared with its manifest in every sum
//! and count, and inspected. A drill throws the result away; a restore keeps it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use store::backup::inspect_unless_stopped;
use store::{BackupEvent, DatabaseKey, Store, StoreError, Timestamp};

use crate::archive::{self, ArchiveError};
use crate::backup::{blocking, until_set};
use crate::catalogue::Wanted;
use crate::config::Config;
use crate::failure::Failure;
use crate::identity::BackupIdentity;
use crate::manifest::Manifest;
use crate::name::BackupName;
use crate::pipe::{ChunkReader, pipe};
use crate::progress::Watcher;
use crate::target::{Target, TargetError};
use crate::work::{WorkError, WorkFolder};

/// A backup that was proved to restore.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Its manifest.
    pub manifest: Manifest,
    /// How long downloading, unpacking and all checks took.
    pub seconds: f64,
}

/// How a drill ended.
#[derive(Debug)]
pub struct Drill {
    /// Which backup it was about; none where it ended before that was known.
    pub name: Option<BackupName>,
    /// What it came to.
    pub proof: Result<Proof, Failure>,
    /// Whether that was written down.
    pub recorded: Result<bool, StoreError>,
}

/// Restores a backup on trial and writes BACKUP_VERIFIED, or BACKUP_FAILED where it fails. On another machine, which has no
/// database, nothing can be written down. `stop` breaks it off.
pub async fn drill(
    config: &Config,
    store: Option<&Store>,
    wanted: &Wanted,
    identities: &[BackupIdentity],
    stop: &Arc<AtomicBool>,
    watcher: &Watcher,
) -> Drill {
    let mut name = match wanted {
        Wanted::Named(name) => Some(name.clone()),
        _ => None,
    };
    let proof = async {
        let work = WorkFolder::take(&config.database.path)?;
        let target = Target::open(&config.target, config.encryption.clone()).await?;
        let name = name.insert(wanted.find(&target, Timestamp::now()).await?);
        let key = config.database.key.duplicate();
        prove(&target, name, identities, &work.file("restored.db"), &key, stop, watcher).await
    }
    .await;
    let event = match &proof {
        Ok(proof) => Some(BackupEvent::Verified {
            name: proof.manifest.name.to_string(),
            data_age_seconds: Timestamp::now().since(proof.manifest.data_until()).as_secs(),
            restore_seconds: (proof.seconds * 1000.0).round() / 1000.0,
        }),
        // The run that has the folder writes down how it ended.
        Err(Failure::Work(WorkError::Busy)) => None,
        Err(failure) => Some(BackupEvent::Failed {
            name: name.as_ref().map(ToString::to_string),
            during: "drill".to_owned(),
            reason: failure.to_string(),
        }),
    };
    let recorded = match (store, event) {
        (Some(store), Some(event)) => store.record_backup(event, Timestamp::now()).await.map(|_| true),
        _ => Ok(false),
    };
    Drill { name, proof, recorded }
}

/// Restores a backup to `path`, encrypted with `key`, and compares and inspects all of it. What is at `path` afterwards is
/// sound only if this says so. `stop` breaks it off.
pub async fn prove(
    target: &Target,
    name: &BackupName,
    identities: &[BackupIdentity],
    path: &Path,
    key: &DatabaseKey,
    stop: &Arc<AtomicBool>,
    watcher: &Watcher,
) -> Result<Proof, Failure> {
    let start = Instant::now();
    let bytes = or_stopped(target.manifest(name), stop).await?;
    let manifest = Manifest::parse(&bytes, name).map_err(Failure::Manifest)?;
    let (sender, receiver) = pipe();
    let (to, sealed, own) = (path.to_owned(), key.duplicate(), identities.to_vec());
    let told = watcher.clone();
    let all = manifest.database_bytes;
    let unpacking = blocking(move || {
        archive::read(ChunkReader::new(receiver), &own, &to, &sealed, |bytes| {
            told.of_bytes("downloading and unpacking", bytes, all);
        })
    });
    // Without its sender the pipe has ended, and so the unpacking.
    let (unpacked, downloaded) = tokio::join!(unpacking, or_stopped(target.download(name, sender), stop));
    let sums = match (unpacked, downloaded) {
        (_, Err(Failure::Stopped)) => return Err(Failure::Stopped),
        // The download's own reason says more than that the pipe ended.
        (Err(Failure::Archive(ArchiveError::Stream(_) | ArchiveError::CutOff)), Err(failure)) => return Err(failure),
        (unpacked, _) => unpacked?,
    };
    let (to, sealed) = (path.to_owned(), key.duplicate());
    let (stopped, told) = (Arc::clone(stop), watcher.clone());
    let found =
        blocking(move || inspect_unless_stopped(&to, &sealed, &stopped, |stage| told.stage(&stage.to_string())))
            .await?;
    let found = Manifest::new(name.clone(), &found, &sums);
    if let Some(difference) = manifest.difference(&found) {
        return Err(Failure::Manifest(difference));
    }
    Ok(Proof { manifest, seconds: start.elapsed().as_secs_f64() })
}

/// Waits for the target, unless asked to stop.
async fn or_stopped<T>(asked: impl Future<Output = Result<T, TargetError>>, stop: &AtomicBool) -> Result<T, Failure> {
    tokio::select! {
        answer = asked => Ok(answer?),
        () = until_set(stop) => Err(Failure::Stopped),
    }
}

/// What can open a backup here: what a file holds, and the key derived from the database key.
pub fn identities(config: &Config, file: Option<&Path>) -> Result<Arc<[BackupIdentity]>, Failure> {
    let mut identities = file.map(BackupIdentity::read_file).transpose()?.unwrap_or_default();
    identities.push(BackupIdentity::derive(&config.database.key)?);
    Ok(identities.into())
}
