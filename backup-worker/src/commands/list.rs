//! `backup-worker list`: what there is, and what was proved.

use process::Exit;
use process::console::{print_err, print_out};
use serde_json::json;
use store::Timestamp;

use super::open_if_possible;
use crate::catalogue::{self, Entry, Log, is_alarming, is_of_the_future, newest_verified};
use crate::clock;
use crate::config::Config;
use crate::error::WorkerError;
use crate::target::Target;

/// Exit 0 also where nothing was proved for long; the list says so first.
pub(super) async fn run(config: &Config, as_json: bool) -> Result<Exit, WorkerError> {
    let log = log(config).await;
    let target = Target::open(&config.target, config.encryption.clone()).await?;
    let knows_proofs = log.is_some();
    let entries = catalogue::entries(&target, &log.unwrap_or_default()).await?;
    let now = clock::now(None);
    print_out(&if as_json {
        to_json(config, &entries, knows_proofs, now)
    } else {
        to_text(config, &entries, knows_proofs, now)
    });
    Ok(Exit::Done)
}

/// What was made and proved, where there is a database that tells it.
async fn log(config: &Config) -> Option<Log> {
    let store = open_if_possible(config).await?;
    let log = catalogue::log(&store).await;
    store.close().await;
    if let Err(error) = &log {
        print_err(&format!("backup-worker: the audit log does not tell what was proved: {error}"));
    }
    log.ok()
}

fn to_json(config: &Config, entries: &[Entry], knows_log: bool, now: Timestamp) -> String {
    let newest = newest_verified(entries, now).map(|entry| &entry.listed.name);
    let backups: Vec<_> = entries
        .iter()
        .map(|entry| {
            json!({
                "name": entry.listed.name.to_string(),
                "made_at": entry.listed.name.at().to_rfc3339(),
                "age_seconds": now.since(entry.listed.name.at()).as_secs(),
                "bytes": entry.listed.bytes,
                "of_the_future": is_of_the_future(&entry.listed.name, now),
                "verified_at": entry.verified.map(Timestamp::to_rfc3339),
                "recorded": knows_log.then_some(entry.recorded),
            })
        })
        .collect();
    json!({
        "target": config.target.to_string(),
        "overdue": is_alarming(newest, now),
        "newest_verified": newest.map(ToString::to_string),
        "backups": backups,
    })
    .to_string()
}

fn to_text(config: &Config, entries: &[Entry], knows_proofs: bool, now: Timestamp) -> String {
    let mut text = String::new();
    if !knows_proofs {
        text.push_str("This machine has no database that tells it: what was proved is not known here.\n");
    } else if is_alarming(newest_verified(entries, now).map(|entry| &entry.listed.name), now) {
        text.push_str("NO BACKUP OF THE LAST 48 HOURS WAS PROVED TO RESTORE. Run `backup-worker now`, then `backup-worker verify`.\n");
    }
    if entries.is_empty() {
        return text + &format!("There is no backup at {}.", config.target);
    }
    text.push_str(&format!("{:<40} {:>9} {:>14}  proved to restore\n", "name", "age", "bytes"));
    for Entry { listed, verified, recorded } in entries {
        let verified =
            verified.map_or(if knows_proofs { "never" } else { "not known" }.to_owned(), Timestamp::to_rfc3339);
        let age = match is_of_the_future(&listed.name, now) {
            true => "to come".to_owned(),
            false => age(now.since(listed.name.at()).as_secs()),
        };
        let note = if knows_proofs && !recorded { "  NOT RECORDED" } else { "" };
        text.push_str(&format!("{:<40} {age:>9} {:>14}  {verified}{note}\n", listed.name.to_string(), listed.bytes));
    }
    if knows_proofs && entries.iter().any(|entry| !entry.recorded) {
        text.push_str(
            "NOT RECORDED: the audit log here does not know it. It was made before a restore, or not by this installation.\n",
        );
    }
    if entries.iter().any(|entry| is_of_the_future(&entry.listed.name, now)) {
        text.push_str(
            "What is named for a time to come was made while a clock was wrong; it does not count as the latest.\n",
        );
    }
    text
}

/// In the largest unit that says enough.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
