//! `backup-worker verify`: a drill, now. Also on another machine that has the settings and no database.

use std::path::Path;

use process::Exit;
use process::console::{complain, say};
use serde_json::json;
use store::Timestamp;

use super::open_if_there;
use crate::catalogue::Wanted;
use crate::config::Config;
use crate::drill::{self, Proof};
use crate::failure::Failure;
use crate::progress::Watcher;
use crate::target::{Target, TargetError};

/// Exit 0 when it restores, 1 when it does not, 69 when it could not be tried.
pub(super) async fn run(
    config: &Config,
    wanted: &Wanted,
    identity: Option<&Path>,
    as_json: bool,
) -> Result<Exit, Failure> {
    let identities = drill::identities(config, identity)?;
    let store = open_if_there(config).await?;
    let target = Target::open(&config.target, config.encryption.clone()).await?;
    let proved = match wanted.find(&target).await {
        Ok(name) => {
            let watcher = Watcher::of_command();
            let proof = drill::drill(config, store.as_ref(), &name, &identities, &watcher).await;
            Ok((name, proof))
        }
        Err(error) => Err(error),
    };
    let written = store.is_some();
    if let Some(store) = store {
        store.close().await;
    }
    let (name, proof) = proved?;
    match proof {
        Ok(proof) => {
            let age = Timestamp::now().since(proof.manifest.data_until()).as_secs();
            say(&if as_json {
                json!({ "name": name.to_string(), "sound": true, "data_age_seconds": age, "restore_seconds": proof.seconds,
                        "rows": proof.manifest.rows, "recorded": written })
                .to_string()
            } else {
                to_text(&proof, age)
            });
            if !written {
                complain("backup-worker: this machine has no database, so that BACKUP_VERIFIED was not written down");
            }
            Ok(Exit::Done)
        }
        // Nothing was proved either way.
        Err(failure @ (Failure::Work(_) | Failure::Target(TargetError::Unavailable(_)))) => {
            if as_json {
                say(&json!({ "name": name.to_string(), "sound": null, "reason": failure.to_string() }).to_string());
            }
            complain(&format!("backup-worker: {name} could not be tried: {failure}"));
            Ok(Exit::Unavailable)
        }
        Err(failure) if as_json => {
            say(&json!({ "name": name.to_string(), "sound": false, "reason": failure.to_string() }).to_string());
            Ok(failure.exit())
        }
        Err(failure) => {
            complain(&format!("backup-worker: {name} DOES NOT RESTORE: {failure}"));
            Ok(failure.exit())
        }
    }
}

fn to_text(proof: &Proof, age: u64) -> String {
    let rows = |table: &str| proof.manifest.rows.get(table).copied().unwrap_or(0);
    format!(
        "{} restores: {} messages, {} audit rows, all checks passed.\nRestoring took {:.1} s; its data is {age} s old.",
        proof.manifest.name,
        rows("message"),
        rows("audit_log"),
        proof.seconds
    )
}
