//! `web audit verify`: the whole chain, from its first row to its end.

use std::time::Instant;

use database::DatabaseSettings;
use process::Exit;
use process::console::Progress;
use serde_json::json;
use store::{AuditId, ChainVerdict};

use super::{open_database, print_err, print_out};

/// Exit 0 when every row holds, 1 and the first bad row's number when one does not.
pub async fn run(database: &DatabaseSettings, as_json: bool) -> Exit {
    let store = match open_database(database).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let head = store.audit_head().await;
    let start = Instant::now();
    let verdict = match head {
        Ok(head) => store.verify_chain(None, progress(head.id)).await,
        Err(error) => Err(error),
    };
    match verdict {
        Ok(ChainVerdict::Sound { head, rows, .. }) => {
            print_out(&if as_json {
                json!({ "sound": true, "rows": rows, "head": head.id, "head_hash": head.hash.to_string() }).to_string()
            } else {
                format!(
                    "The audit chain holds: {rows} rows verified in {:.1} s.\nNewest row {}, hash {}.",
                    start.elapsed().as_secs_f32(),
                    head.id,
                    head.hash
                )
            });
            Exit::Done
        }
        Ok(ChainVerdict::Broken { row, error }) => {
            print_out(&if as_json {
                json!({ "sound": false, "first_bad_row": row, "fault": error.to_string() }).to_string()
            } else {
                format!(
                    "THE AUDIT CHAIN IS BROKEN at row {row}: {error}\nKeep this machine as it is, and compare with the shipped copy: see “The audit chain is broken” in docs/RUNBOOK.md."
                )
            });
            Exit::Failed
        }
        Err(error) => {
            print_err(&format!("web: the audit chain could not be read to its end: {error}"));
            Exit::Failed
        }
    }
}

fn progress(head: AuditId) -> impl FnMut(AuditId) + Send + 'static {
    let mut shown = Progress::start();
    move |row| shown.show(|| format!("{row} of {head} rows"))
}
