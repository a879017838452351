//! The database as a program opens it: which settings say where it is, who waits until it is created, and which exit code
//! a refusal has. [`store`] knows nothing of settings and exit codes, and `process` nothing of a database.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

use std::path::{Path, PathBuf};
use std::time::Duration;

use process::settings::Settings;
use process::{Exit, Shutdown};
use store::{DatabaseKey, IfMissing, Location, OpenError, Store};

/// How long to wait before looking again for a database that is not created yet.
const PAUSE: Duration = Duration::from_secs(2);
/// One look of so many is told of in the log: one a minute.
const TOLD: u32 = 30;

/// Where the database is, and what opens it.
pub struct DatabaseSettings {
    /// Both.
    pub location: Location,
}

impl DatabaseSettings {
    /// WARDPOST_DB and DB_ENCRYPTION_KEY; `None` means that an error was recorded.
    pub fn read(settings: &mut Settings) -> Option<DatabaseSettings> {
        let path = path(settings);
        let key =
            settings.secret("DB_ENCRYPTION_KEY", |text| DatabaseKey::from_hex(text).map_err(|error| error.to_string()));
        Some(DatabaseSettings { location: Location::File { path: path?, key: key? } })
    }

    /// Opens it; see [`OpenError`] for the refusals.
    pub async fn open(&self, if_missing: IfMissing) -> Result<Store, OpenError> {
        Store::open(&self.location, if_missing).await
    }

    /// The file, for what works on files.
    pub fn path(&self) -> &Path {
        let Location::File { path, .. } = &self.location;
        path
    }

    /// Its key.
    pub fn key(&self) -> &DatabaseKey {
        let Location::File { key, .. } = &self.location;
        key
    }

    /// Opens it as soon as it is created: the site does that, and on a new machine may not have yet. `None` when the program
    /// was asked to stop before.
    pub async fn open_when_created(&self, shutdown: &Shutdown) -> Option<Result<Store, OpenError>> {
        for look in (0..TOLD).cycle() {
            match self.open(IfMissing::Refuse).await {
                Err(error @ (OpenError::Missing { .. } | OpenError::NoDirectory { .. })) => {
                    if look == 0 {
                        tracing::warn!(%error, "there is no database yet; waiting for the site to make it");
                    }
                }
                opened => return Some(opened),
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = shutdown.requested() => break,
            }
        }
        None
    }
}

/// WARDPOST_DB alone, for a rule over several settings; `None` means that an error was recorded.
pub fn path(settings: &mut Settings) -> Option<PathBuf> {
    settings.or_default("WARDPOST_DB", "/var/lib/wardpost/wardpost.db", |text| Ok(PathBuf::from(text)))
}

/// The exit code of a program that could not open its database: whether starting again can help.
pub fn exit_of(error: &OpenError) -> Exit {
    match error {
        OpenError::Missing { .. }
        | OpenError::NotOurs { .. }
        | OpenError::NewerSchema { .. }
        | OpenError::OtherMigration { .. } => Exit::Configuration,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use process::Signal;

    use super::*;

    fn settings(path: PathBuf) -> DatabaseSettings {
        DatabaseSettings { location: Location::File { path, key: DatabaseKey::from_hex(&"0".repeat(64)).unwrap() } }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_database_is_waited_for_until_it_is_created() {
        let folder = tempfile::tempdir().unwrap();
        // Its folder is not there yet, either.
        let path = folder.path().join("later/wardpost.db");
        let (_trigger, shutdown) = Shutdown::by_hand();
        let (waiting, creating) = (settings(path.clone()), settings(path.clone()));
        let waiting = waiting.open_when_created(&shutdown);
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("there is none to open"),
            () = async {
                assert_eq!(exit_of(&creating.open(IfMissing::Refuse).await.err().unwrap()), Exit::Configuration);
                std::fs::create_dir(path.parent().unwrap()).unwrap();
                assert_eq!(exit_of(&creating.open(IfMissing::Refuse).await.err().unwrap()), Exit::Configuration);
            } => {}
        }
        // It may be found before the one that creates it is told that it is there.
        let (opened, created) = tokio::join!(waiting, creating.open(IfMissing::Create));
        created.unwrap().close().await;
        opened.unwrap().unwrap().close().await;
    }

    #[tokio::test]
    async fn waiting_for_a_database_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let (trigger, shutdown) = Shutdown::by_hand();
        trigger.request(Signal::Terminate);
        let settings = settings(folder.path().join("wardpost.db"));
        assert!(settings.open_when_created(&shutdown).await.is_none());
    }

    #[tokio::test]
    async fn a_database_that_is_there_and_refused_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wardpost.db");
        std::fs::write(&path, "x".repeat(8192)).unwrap();
        let (_trigger, shutdown) = Shutdown::by_hand();
        let refused = settings(path).open_when_created(&shutdown).await.unwrap().err().unwrap();
        assert_eq!(exit_of(&refused), Exit::Configuration);
    }
}
