//! Asks the target for a backup's manifest, and the logs for what they recorded of it, before any of it is unpacked.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use store::{RecordedBackup, Store, StoreError};

use crate::age_keys::BackupIdentity;
use crate::catalogue::Wanted;
use crate::clock;
use crate::error::WorkerError;
use crate::manifest::Manifest;
use crate::name::BackupName;
use crate::provenance::{Known, LocalLog, Provenance, judge};
use crate::target::Target;

/// The longest answer of `log-shipper backups --json` that is read, in bytes: 500 for each backup, a night each for a century.
const LONGEST_ANSWER: u64 = 16 << 20;

/// Which backup is meant, and what may be known of it beside the local log.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which.
    pub wanted: Wanted,
    /// What `log-shipper backups` answered, where somebody handed that in.
    pub recorded: Option<Vec<RecordedBackup>>,
    /// The operator's word that a backup is meant for which nobody vouches.
    pub accept_unrecorded: bool,
}

/// A backup whose origin was looked at, and which may be unpacked.
#[derive(Clone, Debug)]
pub struct Vouched {
    /// Its manifest.
    pub manifest: Manifest,
    /// What is known of its origin.
    pub provenance: Provenance,
}

impl Request {
    /// One that the local log has to know.
    pub fn of(wanted: Wanted) -> Request {
        Request { wanted, recorded: None, accept_unrecorded: false }
    }

    /// Reads the manifest of the backup `name`, which this asks for, checks its code, asks the logs, and takes it or refuses
    /// it.
    pub async fn vouch(
        &self,
        target: &Target,
        name: &BackupName,
        identities: &[BackupIdentity],
        store: Option<&Store>,
    ) -> Result<Vouched, WorkerError> {
        let bytes = target.manifest(name).await?;
        let (manifest, code) = Manifest::read(&bytes, name, identities).map_err(WorkerError::Manifest)?;
        let mut known = Known { local: None, copy: self.recorded.clone() };
        if let Some(store) = store {
            match local_log(store, &manifest).await {
                Ok(local) => known.local = Some(local),
                // A log that cannot be read knows nothing; what is wrong with it, the programs that need it say.
                Err(error) => tracing::warn!(%error, "the audit log does not tell which backups were made"),
            }
        }
        let provenance = judge(&manifest, code, &self.wanted, &known, self.accept_unrecorded, clock::now(store));
        Ok(Vouched { provenance: provenance.map_err(WorkerError::Untrusted)?, manifest })
    }
}

async fn local_log(store: &Store, manifest: &Manifest) -> Result<LocalLog, StoreError> {
    let head = &manifest.audit_head;
    Ok(LocalLog {
        database_id: store.database_id().to_owned(),
        backups: store.recorded_backups().await?,
        has_head: store.audit_row_has_hash(head.id, &head.hash).await?,
    })
}

#[derive(Deserialize)]
struct Answer {
    backups: Vec<RecordedBackup>,
}

/// Reads what `log-shipper backups --json` wrote.
pub fn read_answer(path: &Path) -> Result<Vec<RecordedBackup>, WorkerError> {
    let unusable = |why: &dyn fmt::Display| {
        let path = path.display();
        WorkerError::NotPossible(format!("{path} is not the answer of `log-shipper backups --json`: {why}"))
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| unusable(&error))?;
    file.take(LONGEST_ANSWER + 1).read_to_end(&mut text).map_err(|error| unusable(&error))?;
    if text.len() as u64 > LONGEST_ANSWER {
        return Err(unusable(&format!("it is longer than {LONGEST_ANSWER} bytes")));
    }
    let answer: Answer = serde_json::from_slice(&text).map_err(|error| unusable(&error))?;
    Ok(answer.backups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::sample;

    #[test]
    fn an_answer_is_read_or_its_error_named() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("recorded.json");
        let made = sample().to_record();
        let mut answer = serde_json::json!({ "sink": "file:///x", "backups": [made] });
        std::fs::write(&path, answer.to_string()).unwrap();
        assert_eq!(read_answer(&path).unwrap(), std::slice::from_ref(&made));
        // A later program may say more.
        answer["backups"][0]["row"] = 7.into();
        std::fs::write(&path, answer.to_string()).unwrap();
        assert_eq!(read_answer(&path).unwrap(), [made]);
        std::fs::write(&path, "[]").unwrap();
        assert!(read_answer(&path).unwrap_err().to_string().contains("log-shipper backups --json"));
        std::fs::File::create(&path).unwrap().set_len(LONGEST_ANSWER + 1).unwrap();
        assert!(read_answer(&path).unwrap_err().to_string().contains("longer than 16777216 bytes"));
    }
}
