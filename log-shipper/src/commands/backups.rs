//! `log-shipper backups`: which backups the copy knows, for a machine whose own log is lost. It asks no database.

use process::Exit;
use process::console::{Progress, print_err, print_out};
use serde_json::json;

use crate::config::{AUDIT_RETENTION_DAYS, Config};
use crate::recorded::{AlteredRow, RecordedRow, recorded_row};
use crate::sink::{SendError, Sink};

#[derive(Debug, thiserror::Error)]
enum BackupsError {
    #[error("the copy cannot be read: {0}")]
    Copy(#[from] SendError),
    #[error("{0}; nothing of it is given: see “The audit chain is broken” in docs/RUNBOOK.md")]
    Altered(#[from] AlteredRow),
}

/// Exit 0 with the answer, 1 where a row of it was altered, 69 when the copy cannot be read.
pub(super) async fn run(config: &Config, as_json: bool) -> Exit {
    match read(config).await {
        Ok(rows) => {
            let sink = config.audit_sink.to_string();
            print_out(&if as_json {
                json!({ "sink": sink, "backups": rows }).to_string()
            } else {
                to_text(&sink, &rows)
            });
            Exit::Done
        }
        Err(error) => {
            print_err(&format!("log-shipper: {error}"));
            match error {
                BackupsError::Copy(_) => Exit::Unavailable,
                BackupsError::Altered(_) => Exit::Failed,
            }
        }
    }
}

/// Oldest first, each row once.
async fn read(config: &Config) -> Result<Vec<RecordedRow>, BackupsError> {
    // The stream is for sending alone.
    let mut sink = Sink::open(&config.audit_sink, "", AUDIT_RETENTION_DAYS).await;
    let (mut rows, mut page, mut progress, mut pages) = (Vec::new(), None, Progress::start(), 0_u64);
    loop {
        let lines = sink.read_backups(page).await?;
        for line in &lines.texts {
            rows.extend(recorded_row(line)?);
        }
        pages += 1;
        progress.show(|| format!("read {pages} pages of the copy"));
        match lines.next {
            Some(next) => page = Some(next),
            None => break,
        }
    }
    rows.sort_by(|one: &RecordedRow, other| {
        (&one.at, &one.stream, one.row).cmp(&(&other.at, &other.stream, other.row))
    });
    rows.dedup();
    Ok(rows)
}

fn to_text(sink: &str, rows: &[RecordedRow]) -> String {
    if rows.is_empty() {
        return format!("{sink} knows no backup.");
    }
    let mut text = format!("What {sink} knows, oldest first:\n");
    for row in rows {
        let RecordedRow { at, action, backup, .. } = row;
        text.push_str(&format!(
            "{at}  {action}  {}\n  {} bytes, SHA-256 {}; row {} of {}\n",
            backup.name, backup.bytes, backup.sha256, row.row, row.stream
        ));
    }
    text.push_str("`--json` gives what `backup-worker ... --recorded FILE` reads.");
    text
}
