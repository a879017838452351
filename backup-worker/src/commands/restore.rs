//! `backup-worker restore`: a backup put back for good.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::Path;

use process::Exit;
use process::console::print_out;
use serde_json::json;

use super::{open_if_possible, stop_on_signal};
use crate::clock;
use crate::config::Config;
use crate::drill::{self, until_stopped};
use crate::error::WorkerError;
use crate::progress::Watcher;
use crate::provenance::Source;
use crate::replace::{Restored, restore};
use crate::target::Target;
use crate::vouch::Request;

/// Exit 0 once the database is in place.
pub(super) async fn run(
    config: &Config,
    request: &Request,
    to: &Path,
    replace: bool,
    identity: Option<&Path>,
    as_json: bool,
) -> Result<Exit, WorkerError> {
    let identities = drill::identities(config, identity)?;
    let target = Target::open(&config.target, config.encryption.clone()).await?;
    let name = request.wanted.find(&target, clock::now(None)).await?;
    if to.exists() && !replace {
        may_replace(to, &name.to_string())?;
    }
    let (stop, watcher) = (stop_on_signal(), Watcher::of_command());
    let store = open_if_possible(config).await;
    let vouched = until_stopped(request.vouch(&target, &name, &identities, store.as_ref()), &stop).await;
    if let Some(store) = store {
        store.close().await;
    }
    let restored = restore(&target, vouched?, &identities, to, config.database.key(), &stop, &watcher).await?;
    print_out(&if as_json { to_json(&restored, to) } else { to_text(&restored, to) });
    Ok(Exit::Done)
}

/// Asks the person at the terminal; without one, the flag is needed.
fn may_replace(to: &Path, name: &str) -> Result<(), WorkerError> {
    let refusal =
        |words: &str| WorkerError::NotPossible(format!("{} is there already, and stays: {words}", to.display()));
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(refusal("say --replace to put the backup in its place"));
    }
    let _ = write!(stderr(), "Replace {} by {name}? The file is kept under another name. [y/N] ", to.display());
    let mut answer = String::new();
    match stdin().read_line(&mut answer) {
        Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => Err(refusal("you did not say yes")),
    }
}

fn to_json(restored: &Restored, to: &Path) -> String {
    let manifest = &restored.proof.manifest;
    json!({
        "name": manifest.name.to_string(),
        "to": to,
        "replaced": restored.replaced,
        "given_up_row": restored.given_up.as_ref().map(|end| end.head.id),
        "restored_row": manifest.audit_head.id,
        "data_until": manifest.data_until,
        "restore_seconds": restored.proof.seconds,
        "authenticated": restored.proof.provenance.authenticated,
        "known_from": restored.proof.provenance.known_from.map(Source::as_str),
        "accepted": restored.proof.provenance.accepted_labels(),
        "ended_sessions": restored.ended_sessions,
    })
    .to_string()
}

fn to_text(restored: &Restored, to: &Path) -> String {
    let manifest = &restored.proof.manifest;
    let mut text = format!(
        "Restored {} to {} in {:.1} s.\nEverything up to {} is in it; its audit log ends with row {}, and DATABASE_RESTORED follows.\n",
        manifest.name,
        to.display(),
        restored.proof.seconds,
        manifest.data_until,
        manifest.audit_head.id
    );
    if let Some(replaced) = &restored.replaced {
        text.push_str(&format!("The database that was there is now {}\n", replaced.display()));
    }
    if let Some(end) = &restored.given_up {
        text.push_str(&format!(
            "Its audit log went up to row {}; the copy off the machine has the rows that were given up.\n",
            end.head.id
        ));
    }
    text.push_str(&format!(
        "{} sessions were live in it and are ended: everybody signs in again.\n",
        restored.ended_sessions
    ));
    for doubt in &restored.proof.provenance.accepted {
        text.push_str(&format!("Accepted all the same, and written into the audit log: {doubt}.\n"));
    }
    text
}
