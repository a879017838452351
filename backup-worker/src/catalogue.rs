//! Which backups there are, and which of them were proved to restore. What the target has, it says; what was proved, the audit
//! log says.

use std::collections::HashMap;
use std::time::Duration;

use store::{BackupEvent, BackupRecord, Store, StoreError, Timestamp};

use crate::failure::Failure;
use crate::name::BackupName;
use crate::target::{Listed, Target, TargetError};

/// A proved backup that is older than this is an alarm (control A16: at most 24 hours of data are lost, and a night may fail).
pub const ALARM_AGE: Duration = Duration::from_secs(48 * 60 * 60);

/// Backups are asked for by name, by moment, or as the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The newest one.
    Latest,
    /// The one of this name.
    Named(BackupName),
    /// The newest one that was begun no later.
    NotAfter(Timestamp),
}

impl Wanted {
    /// Reads `latest` or a name.
    pub fn parse(text: &str) -> Result<Wanted, String> {
        match text {
            "latest" => Ok(Wanted::Latest),
            text => text.parse().map(Wanted::Named).map_err(|error| format!("`{text}`: {error}, nor `latest`")),
        }
    }

    /// Finds it at the target.
    pub async fn find(&self, target: &Target) -> Result<BackupName, TargetError> {
        if let Wanted::Named(name) = self {
            // Whether it is whole is told when it is read; a name that nobody knows, at once.
            return Ok(name.clone());
        }
        let names = target.list().await?.into_iter().map(|listed| listed.name);
        let found = match self {
            Wanted::NotAfter(at) => names.filter(|name| name.at() <= *at).max(),
            _ => names.max(),
        };
        found.ok_or_else(|| {
            TargetError::Missing(match self {
                Wanted::NotAfter(at) => format!("from {} or before", at.to_rfc3339()),
                _ => "yet: `backup-worker now` makes one".to_owned(),
            })
        })
    }
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the target has.
    pub listed: Listed,
    /// When it was last proved, if ever.
    pub verified: Option<Timestamp>,
}

/// The backups, newest first. Without a database nothing is known about proofs.
pub async fn entries(target: &Target, store: Option<&Store>) -> Result<Vec<Entry>, Failure> {
    let verified = match store {
        Some(store) => verified(&history(store).await?),
        None => HashMap::new(),
    };
    let listed = target.list().await?.into_iter().rev();
    Ok(listed.map(|listed| Entry { verified: verified.get(&listed.name).copied(), listed }).collect())
}

/// The newest backup that was ever proved.
pub async fn newest_verified(store: &Store) -> Result<Option<BackupName>, StoreError> {
    Ok(verified(&history(store).await?).into_keys().max())
}

/// Everything the audit log says about backups.
pub async fn history(store: &Store) -> Result<Vec<BackupRecord>, StoreError> {
    store.backup_history(Timestamp::from_millis(0)).await
}

/// Whether nobody could say that yesterday's data is safe.
pub fn is_alarming(newest_verified: Option<&BackupName>, now: Timestamp) -> bool {
    newest_verified.is_none_or(|name| now.since(name.at()) > ALARM_AGE)
}

fn verified(history: &[BackupRecord]) -> HashMap<BackupName, Timestamp> {
    let mut verified = HashMap::new();
    for record in history {
        if let BackupEvent::Verified { name, .. } = &record.event
            && let Ok(name) = name.parse()
        {
            verified.insert(name, record.at);
        }
    }
    verified
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_days_without_a_proof_are_an_alarm() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let name = |age: Duration| BackupName::new(now.minus(age));
        assert!(is_alarming(None, now));
        assert!(!is_alarming(Some(&name(ALARM_AGE)), now));
        assert!(is_alarming(Some(&name(ALARM_AGE + Duration::from_secs(1))), now));
    }

    #[test]
    fn a_backup_is_asked_for_by_name_or_as_the_latest() {
        assert_eq!(Wanted::parse("latest"), Ok(Wanted::Latest));
        let name = "wardpost-20261123T020000Z.sqlite.gz.age";
        assert_eq!(Wanted::parse(name), Ok(Wanted::Named(name.parse().unwrap())));
        assert!(Wanted::parse("newest").unwrap_err().contains("latest"));
    }
}
