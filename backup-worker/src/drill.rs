//! The proof of a backup: it is downloaded, unpacked into a new encrypted database, compared with its manifest in every sum
//! and count, and inspected. A drill throws the result away; a restore keeps it.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use store::backup::inspect;
use store::{BackupEvent, DatabaseKey, Store, Timestamp};

use crate::archive::{self, ArchiveError};
use crate::backup::blocking;
use crate::config::Config;
use crate::failure::Failure;
use crate::identity::BackupIdentity;
use crate::manifest::Manifest;
use crate::name::BackupName;
use crate::pipe::{ChunkReader, pipe};
use crate::progress::Watcher;
use crate::target::Target;
use crate::work::{WorkError, WorkFolder};

/// A backup that was proved to restore.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Its manifest.
    pub manifest: Manifest,
    /// How long downloading, unpacking and all checks took.
    pub seconds: f64,
}

/// Restores a backup on trial and writes BACKUP_VERIFIED, or BACKUP_FAILED where it fails. On another machine, which has no
/// database, nothing can be written down.
pub async fn drill(
    config: &Config,
    store: Option<&Store>,
    name: &BackupName,
    identities: &[BackupIdentity],
    watcher: &Watcher,
) -> Result<Proof, Failure> {
    let proof = async {
        let work = WorkFolder::take(&config.database)?;
        let target = Target::open(&config.target, config.encryption.clone()).await?;
        let key = config.database_key.duplicate();
        prove(&target, name, identities, &work.file("restored.db"), &key, watcher).await
    }
    .await;
    let event = match &proof {
        Ok(proof) => BackupEvent::Verified {
            name: name.to_string(),
            data_age_seconds: Timestamp::now().since(proof.manifest.data_until()).as_secs(),
            restore_seconds: (proof.seconds * 1000.0).round() / 1000.0,
        },
        Err(Failure::Work(WorkError::Busy)) => return proof,
        Err(failure) => BackupEvent::Failed {
            name: Some(name.to_string()),
            during: "drill".to_owned(),
            reason: failure.to_string(),
        },
    };
    if let Some(store) = store {
        store.record_backup(event, Timestamp::now()).await?;
    }
    proof
}

/// Restores a backup to `path`, encrypted with `key`, and compares and inspects all of it. What is at `path` afterwards is
/// sound only if this says so.
pub async fn prove(
    target: &Target,
    name: &BackupName,
    identities: &[BackupIdentity],
    path: &Path,
    key: &DatabaseKey,
    watcher: &Watcher,
) -> Result<Proof, Failure> {
    let start = Instant::now();
    let manifest = Manifest::parse(&target.manifest(name).await?, name).map_err(Failure::Manifest)?;
    let (sender, receiver) = pipe();
    let (to, sealed, own) = (path.to_owned(), key.duplicate(), identities.to_vec());
    let told = watcher.clone();
    let all = manifest.database_bytes;
    let unpacking = blocking(move || {
        archive::read(ChunkReader::new(receiver), &own, &to, &sealed, |bytes| {
            told.of_bytes("downloading and unpacking", bytes, all);
        })
    });
    let (unpacked, downloaded) = tokio::join!(unpacking, target.download(name, sender));
    let sums = match (unpacked, downloaded) {
        // The download's own reason says more than that the pipe ended.
        (Err(Failure::Archive(ArchiveError::Stream(_) | ArchiveError::CutOff)), Err(error)) => return Err(error.into()),
        (unpacked, _) => unpacked?,
    };
    let (to, sealed, told) = (path.to_owned(), key.duplicate(), watcher.clone());
    let found = blocking(move || inspect(&to, &sealed, |stage| told.stage(&stage.to_string()))).await?;
    let found = Manifest::new(name.clone(), &found, &sums);
    if let Some(difference) = manifest.difference(&found) {
        return Err(Failure::Manifest(difference));
    }
    Ok(Proof { manifest, seconds: start.elapsed().as_secs_f64() })
}

/// What can open a backup here: what a file holds, and the key derived from the database key.
pub fn identities(config: &Config, file: Option<&Path>) -> Result<Arc<[BackupIdentity]>, Failure> {
    let mut identities = file.map(BackupIdentity::read_file).transpose()?.unwrap_or_default();
    identities.push(BackupIdentity::derive(&config.database_key)?);
    Ok(identities.into())
}
