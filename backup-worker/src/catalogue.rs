//! Which backups there are, and which of them were proved to restore. What the target has, it says; what was proved, the audit
//! log says.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use store::{BackupEvent, BackupRecord, Store, StoreError, Timestamp};

use crate::doubt::Doubt;
use crate::name::BackupName;
use crate::target::{Listed, Target, TargetError};

/// A proved backup that is older than this is an alarm (control A16: at most 24 hours of data are lost, and a night may fail).
pub const ALARM_AGE: Duration = Duration::from_secs(48 * 60 * 60);

/// By how much the clocks of two machines that are set right may differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5 * 60);

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
    pub async fn find(&self, target: &Target, now: Timestamp) -> Result<BackupName, TargetError> {
        if let Wanted::Named(name) = self {
            // Whether it is whole is told when it is read; a name that nobody knows, at once.
            return Ok(name.clone());
        }
        self.newest_of(target.list().await?.into_iter().map(|listed| listed.name).collect(), now)
    }

    fn newest_of(&self, names: Vec<BackupName>, now: Timestamp) -> Result<BackupName, TargetError> {
        let later = names.iter().max().cloned();
        let found = match self {
            Wanted::NotAfter(at) => names.into_iter().filter(|name| name.at() <= *at).max(),
            _ => names.into_iter().filter(|name| !is_of_the_future(name, now)).max(),
        };
        found.ok_or_else(|| {
            TargetError::Missing(match (self, later) {
                (Wanted::NotAfter(at), _) => format!("from {} or before", at.to_rfc3339()),
                (_, Some(later)) => format!(
                    "but of the future, such as {later}: see that the clock of this machine is right, or ask for it by name"
                ),
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
    /// Whether the audit log has a row that it was made.
    pub recorded: bool,
}

/// When each backup was last proved, by the audit log.
pub type Proofs = HashMap<BackupName, Timestamp>;

/// What the audit log says of the backups that a list shows.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// When each was last proved.
    pub proofs: Proofs,
    /// Which were made here, or restored.
    pub recorded: HashSet<BackupName>,
}

/// Reads it.
pub async fn log(store: &Store) -> Result<Log, StoreError> {
    let recorded = store.recorded_backups().await?.into_iter().filter_map(|one| one.name.parse().ok()).collect();
    Ok(Log { proofs: proofs(store).await?, recorded })
}

/// What the audit log says about proofs.
pub async fn proofs(store: &Store) -> Result<Proofs, StoreError> {
    let mut proofs = Proofs::new();
    for record in history(store).await? {
        if let BackupEvent::Verified { name, accepted, .. } = &record.event
            && accepted.iter().all(|word| Doubt::leaves_a_proof(word))
            && let Ok(name) = name.parse()
        {
            proofs.insert(name, record.at);
        }
    }
    Ok(proofs)
}

/// The backups that the target has, newest first.
pub async fn entries(target: &Target, log: &Log) -> Result<Vec<Entry>, TargetError> {
    let entry = |listed: Listed| Entry {
        verified: log.proofs.get(&listed.name).copied(),
        recorded: log.recorded.contains(&listed.name),
        listed,
    };
    Ok(target.list().await?.into_iter().rev().map(entry).collect())
}

/// The newest of `entries` that was proved.
pub fn newest_verified(entries: &[Entry], now: Timestamp) -> Option<&Entry> {
    // The list begins with the newest.
    entries.iter().find(|entry| entry.verified.is_some() && !is_of_the_future(&entry.listed.name, now))
}

/// Everything the audit log says about backups.
pub async fn history(store: &Store) -> Result<Vec<BackupRecord>, StoreError> {
    store.backup_history(Timestamp::from_millis(0)).await
}

/// Whether a backup was made while a clock was wrong: as the newest one it would hide every other until its time comes.
pub fn is_of_the_future(name: &BackupName, now: Timestamp) -> bool {
    name.at() > now.plus(CLOCKS_DIFFER)
}

/// Whether nobody could say that yesterday's data is safe.
pub fn is_alarming(newest_verified: Option<&BackupName>, now: Timestamp) -> bool {
    newest_verified.is_none_or(|name| is_of_the_future(name, now) || now.since(name.at()) > ALARM_AGE)
}

#[cfg(test)]
mod tests {
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
    fn a_name_from_the_future_hides_no_other() {
        let now = Timestamp::from_millis(1_790_000_000_000);
        let right = BackupName::new(now.minus(Duration::from_secs(60 * 60)));
        let (soon, future) = (now.plus(CLOCKS_DIFFER), now.plus(CLOCKS_DIFFER + Duration::from_secs(1)));
        let [soon, future] = [soon, future].map(BackupName::new);
        assert!(!is_alarming(Some(&soon), now));
        assert!(is_alarming(Some(&future), now));

        let entry = |name: &BackupName, verified| Entry {
            listed: Listed { name: name.clone(), bytes: 1 },
            verified,
            recorded: true,
        };
        let entries = [entry(&future, Some(now)), entry(&soon, None), entry(&right, Some(now))];
        assert_eq!(newest_verified(&entries, now), Some(&entries[2]));
        assert_eq!(newest_verified(&entries[..2], now), None);

        let all = vec![right.clone(), future.clone()];
        assert_eq!(Wanted::Latest.newest_of(all.clone(), now), Ok(right));
        let refused = Wanted::Latest.newest_of(vec![future.clone()], now).unwrap_err().to_string();
        assert!(refused.contains("of the future") && refused.contains(&future.to_string()), "{refused}");
        assert_eq!(Wanted::NotAfter(future.at()).newest_of(all, now), Ok(future));
    }

    #[test]
    fn a_backup_is_asked_for_by_name_or_as_the_latest() {
        assert_eq!(Wanted::parse("latest"), Ok(Wanted::Latest));
        let name = "wardpost-20261123T020000Z.sqlite.gz.age";
        assert_eq!(Wanted::parse(name), Ok(Wanted::Named(name.parse().unwrap())));
        assert!(Wanted::parse("newest").unwrap_err().contains("latest"));
    }
}
