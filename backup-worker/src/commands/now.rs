//! `backup-worker now`: one backup, for cron or for somebody who is about to change something.

use process::Exit;
use process::console::print_out;
use serde_json::{Value, json};

use super::{open, stop_on_signal};
use crate::backup;
use crate::config::Config;
use crate::error::WorkerError;
use crate::manifest::Manifest;
use crate::progress::Watcher;

/// Exit 0 once the backup counts. Ctrl-C breaks it off, and nothing of it is kept.
pub(super) async fn run(config: &Config, as_json: bool) -> Result<Exit, WorkerError> {
    let store = open(config).await?;
    let made = backup::make(config, &store, &stop_on_signal(), &Watcher::of_command()).await;
    store.close().await;
    let manifest = made?;
    print_out(&if as_json { to_json(&manifest, config) } else { to_text(&manifest, config) });
    Ok(Exit::Done)
}

fn to_json(manifest: &Manifest, config: &Config) -> String {
    let mut value = json!(manifest);
    if let Value::Object(fields) = &mut value {
        fields.insert("target".to_owned(), config.target.to_string().into());
    }
    value.to_string()
}

fn to_text(manifest: &Manifest, config: &Config) -> String {
    format!(
        "Made {}\n  at {}, {} bytes, in {:.1} s\n  SHA-256 {}\n  everything up to {}\n`backup-worker verify` proves that it restores.",
        manifest.name,
        config.target,
        manifest.archive_bytes,
        manifest.seconds,
        manifest.archive_sha256,
        manifest.data_until
    )
}
