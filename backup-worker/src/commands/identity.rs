//! `backup-worker identity`: the key of the backups, for the safe.

use std::io::{IsTerminal, stdout};

use process::Exit;
use process::console::{print_err, print_out};

use super::open_if_there;
use crate::age_keys::{BackupIdentity, identity_file};
use crate::config::Config;
use crate::error::WorkerError;

/// Who has seen the key stands in the audit log, where there is one.
pub(super) async fn run(config: &Config, print: bool) -> Result<Exit, WorkerError> {
    if !print && !stdout().is_terminal() {
        print_err(
            "backup-worker: this prints a key that opens every backup, and standard output is no terminal; say --print if that is meant",
        );
        return Ok(Exit::Usage);
    }
    if let Some(store) = open_if_there(config).await? {
        let operator = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or("unknown".to_owned());
        let recorded = store.record_identity_shown(&operator, store.now()).await;
        store.close().await;
        recorded?;
    }
    print_out(&identity_file(&BackupIdentity::derive(config.database.key())?));
    Ok(Exit::Done)
}
