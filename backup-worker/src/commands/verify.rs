//! `backup-worker verify`: a drill, now. Also on another machine that has the settings and no database, and where the database
//! does not open any more.

use std::path::Path;

use process::Exit;
use process::console::{print_err, print_out};
use serde_json::json;

use super::{open_if_possible, stop_on_signal};
use crate::clock;
use crate::config::Config;
use crate::drill::{self, AskedBy, Proof};
use crate::error::WorkerError;
use crate::progress::Watcher;
use crate::provenance::Source;
use crate::target::TargetError;
use crate::vouch::Request;

/// Exit 0 when it restores, 1 when it does not, 69 when it could not be tried.
pub(super) async fn run(
    config: &Config,
    request: &Request,
    identity: Option<&Path>,
    as_json: bool,
) -> Result<Exit, WorkerError> {
    let identities = drill::identities(config, identity)?;
    let store = open_if_possible(config).await;
    let (stop, watcher) = (stop_on_signal(), Watcher::of_command());
    let drill = drill::drill(AskedBy::Hand, config, store.as_ref(), request, &identities, &stop, &watcher).await;
    let written = matches!(drill.recorded, Ok(true));
    if let Some(store) = store {
        store.close().await;
    }
    if let Err(error) = &drill.recorded {
        print_err(&format!("backup-worker: how this ended could not be written down: {error}"));
    }
    let exit = match &drill.proof {
        Ok(_) => Exit::Done,
        Err(error) if proves_nothing(error) => Exit::Unavailable,
        Err(error) => error.exit(),
    };
    let age = |proof: &Proof| clock::now(None).since(proof.manifest.data_until()).as_secs();
    if as_json {
        print_out(
            &match &drill.proof {
                Ok(proof) => json!({ "name": drill.name, "sound": true, "data_age_seconds": age(proof),
                    "restore_seconds": proof.seconds, "rows": proof.manifest.rows, "recorded": written,
                    "authenticated": proof.provenance.authenticated,
                    "known_from": proof.provenance.known_from.map(Source::as_str),
                    "accepted": proof.provenance.accepted_labels() }),
                Err(error) => json!({ "name": drill.name, "sound": (!proves_nothing(error)).then_some(false),
                    "reason": error.to_string(), "recorded": written }),
            }
            .to_string(),
        );
    }
    let name = drill.name.map_or("latest".to_owned(), |name| name.to_string());
    match drill.proof {
        Ok(proof) if !as_json => print_out(&to_text(&proof, age(&proof))),
        Err(error) if proves_nothing(&error) => {
            print_err(&format!("backup-worker: {name} could not be tried: {error}"));
        }
        Err(error @ WorkerError::Untrusted(_)) if !as_json => {
            print_err(&format!("backup-worker: {error}"));
        }
        Err(error) if !as_json => print_err(&format!("backup-worker: {name} DOES NOT RESTORE: {error}")),
        _ => {}
    }
    if exit == Exit::Done && !written {
        print_err(
            "backup-worker: this machine has no database that takes it, so that BACKUP_VERIFIED was not written down",
        );
    }
    Ok(exit)
}

/// Whether nothing was proved either way.
fn proves_nothing(error: &WorkerError) -> bool {
    matches!(error, WorkerError::Work(_) | WorkerError::Stopped | WorkerError::Target(TargetError::Unavailable(_)))
}

fn to_text(proof: &Proof, age: u64) -> String {
    let rows = |table: &str| proof.manifest.rows.get(table).copied().unwrap_or(0);
    let mut text = format!(
        "{} restores: {} messages, {} audit rows, all checks passed.\nRestoring took {:.1} s; its data is {age} s old.",
        proof.manifest.name,
        rows("message"),
        rows("audit_log"),
        proof.seconds
    );
    for doubt in &proof.provenance.accepted {
        text.push_str(&format!("\nAccepted all the same: {doubt}."));
    }
    text
}
