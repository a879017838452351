//! `log-shipper verify`: reads every stream of the copy back, and compares it with the local log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use process::Exit;
use process::console::{Progress, print_err, print_out};
use store::{AuditCopy, AuditId, Hash, Store, StoreError, chain_hash};

use super::open;
use crate::bound::Bound;
use crate::comparison::Comparison;
use crate::config::{AUDIT_RETENTION_DAYS, Config};
use crate::event::ShippedEvent;
use crate::lineage::{Proof, Role};
use crate::report::{Report, StreamReport};
use crate::scope::Scope;
use crate::sink::{SendError, Sink};

/// Local rows that are read at once, and bytes of their details.
const ROWS: u32 = 5_000;
const BYTES: usize = 1 << 20;

/// Rows of a page that are less than this apart are read in one go.
const GAP: i64 = 1_000;

/// How often a copy that shows late is read before a row is called missing, and how long that waits in between.
const READS: u32 = 3;
/// See [`READS`].
const SHOWN_AFTER: Duration = Duration::from_secs(3);

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
enum VerifyError {
    #[error("the copy cannot be read: {0}")]
    Copy(#[from] SendError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Exit 0 when nothing differs, 1 when something does, 64 for bounds that leave nothing to compare, 69 when the copy cannot be
/// read.
pub(super) async fn run(config: &Config, from: Option<Bound>, to: Option<Bound>, as_json: bool) -> Exit {
    if let (Some(from), Some(to)) = (&from, &to)
        && from.is_after(to)
    {
        print_err("log-shipper: --from is not before --to, so that nothing would be compared");
        return Exit::Usage;
    }
    let (store, copy) = match open(config).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let mut sink = Sink::open(&config.audit_sink, &copy.stream, AUDIT_RETENTION_DAYS).await;
    let report = compare_until_shown(&store, &copy, &mut sink, from, to).await;
    store.close().await;
    match report {
        Ok(report) => {
            print_out(&if as_json {
                serde_json::to_string(&report).unwrap_or_default()
            } else {
                to_text(&report, &copy)
            });
            if report.agrees { Exit::Done } else { Exit::Failed }
        }
        Err(error) => {
            print_err(&format!("log-shipper: {error}"));
            match error {
                VerifyError::Copy(_) => Exit::Unavailable,
                VerifyError::Store(_) => Exit::Failed,
            }
        }
    }
}

/// Compares once more, after a while, where rows are missing and nothing else: CloudWatch Logs does not show at once what it
/// has accepted, and rows are shipped while this runs.
async fn compare_until_shown(
    store: &Store,
    copy: &AuditCopy,
    sink: &mut Sink,
    from: Option<Bound>,
    to: Option<Bound>,
) -> Result<Report, VerifyError> {
    let mut reads_left = if sink.shows_late() { READS } else { 1 };
    loop {
        let report = compare(store, copy, sink, from, to).await?;
        reads_left -= 1;
        if reads_left == 0 || !report.only_misses() {
            return Ok(report);
        }
        tokio::time::sleep(SHOWN_AFTER).await;
    }
}

async fn compare(
    store: &Store,
    copy: &AuditCopy,
    sink: &mut Sink,
    from: Option<Bound>,
    to: Option<Bound>,
) -> Result<Report, VerifyError> {
    let retention = sink.retention().await?;
    let scope = Scope::read(store, copy, retention, from, to).await?;
    let mut wanted = Comparison::new(scope.clone(), BTreeMap::new()).wanted();
    loop {
        let mut comparison = Comparison::new(scope.clone(), wanted.clone());
        read_all(store, sink, &mut comparison).await?;
        // A stream that is not the local log's may tell of restores that nobody knew of before it was read.
        let now_wanted = comparison.wanted();
        if now_wanted == wanted {
            return Ok(comparison.finish());
        }
        wanted = now_wanted;
    }
}

async fn read_all(store: &Store, sink: &mut Sink, comparison: &mut Comparison) -> Result<(), VerifyError> {
    let mut progress = Progress::start();
    let mut read = 0_u64;
    for section in sink.sections().await? {
        if let Some(stream) = &section.stream {
            comparison.found(stream, section.created);
        }
        let mut page = None;
        loop {
            let lines = sink.read_back(&section, page).await?;
            read += lines.texts.len() as u64;
            let events = comparison.read(section.stream.as_deref(), &lines.texts);
            let local = local_hashes(store, &events).await?;
            comparison.compare(&events, &local);
            progress.show(|| format!("compared {read} events"));
            match lines.next {
                Some(next) => page = Some(next),
                None => break,
            }
        }
    }
    Ok(())
}

/// What the local rows of these events hash to: their content, whatever hash stands beside it.
async fn local_hashes(store: &Store, events: &[ShippedEvent]) -> Result<BTreeMap<AuditId, Hash>, StoreError> {
    let wanted: BTreeSet<AuditId> = events.iter().map(|event| event.id).collect();
    let mut hashes = BTreeMap::new();
    let mut done = AuditId::ZERO;
    for id in wanted {
        // Rows that lie close together were read with the one before.
        while done < id {
            let before = id.previous();
            let after = if before.get() - done.get() < GAP { done } else { before };
            let rows = store.audit_events(after, ROWS, BYTES).await?;
            done = rows.last().map_or(id, |row| row.id);
            for row in rows {
                let at = row.at.to_rfc3339();
                hashes.insert(row.id, chain_hash(&row.previous_hash, &row.hashed_fields(&at)));
            }
        }
    }
    Ok(hashes)
}

fn to_text(report: &Report, copy: &AuditCopy) -> String {
    let mut text = format!("Copy: {}, as {}\n", copy.sink, copy.stream);
    if report.agrees {
        text.push_str(&format!("The copy agrees with the local log: {} rows compared", report.checked));
        text.push_str(&format!(" (rows {} to {}).\n", report.first, report.last));
    } else {
        text.push_str("THE COPY AND THE LOCAL LOG DIFFER:\n");
        for difference in &report.differences {
            text.push_str(&format!("  {}\n", difference.text));
        }
        if report.more_differences > 0 {
            text.push_str(&format!("  and {} more\n", report.more_differences));
        }
        text.push_str("Keep this machine as it is: see “The audit chain is broken” in docs/RUNBOOK.md.\n");
    }
    for (count, what) in [
        (report.not_yet_shipped, "not shipped yet"),
        (report.quarantined.len() as u64, "given up on: see `log-shipper status`"),
        (report.older_than_retention, "older than the copy keeps them"),
    ] {
        if count > 0 {
            text.push_str(&format!("{count} rows {what}.\n"));
        }
    }
    if report.streams.len() > 1 {
        text.push_str("Streams of the copy, from the oldest on:\n");
        for stream in &report.streams {
            text.push_str(&format!("  {}\n", stream_line(stream)));
        }
    }
    text
}

fn stream_line(stream: &StreamReport) -> String {
    let role = match stream.role {
        Role::Current => "the local log",
        Role::Before => "the local log before a restore",
        Role::GivenUp => "given up by a restore",
        Role::PastRetention => "older than the copy keeps rows",
        Role::Unexplained => "NOT EXPLAINED",
        Role::NotAsked => "not asked for",
    };
    let mut line = format!("{}: {role}; {} rows agree", stream.name, stream.checked);
    if let Some(rows) = &stream.given_up {
        line.push_str(&format!("; given up: {} rows, {} to {}", rows.rows, rows.from, rows.to));
    }
    if let Some(restore) = &stream.restore {
        let proof = match restore.proof {
            Proof::Proved => "the stream before it recorded that backup",
            Proof::ByNameOnly => {
                "the stream before it recorded that backup, by an earlier version, which did not say where its log ended"
            }
            Proof::PastRetention => "what would prove it is older than the copy keeps rows",
            Proof::NotAsked => "not asked for",
            Proof::StreamMissing | Proof::HeadUnknown | Proof::BackupUnknown => "NOT PROVED",
        };
        line.push_str(&format!("; begun by row {}, from backup {}: {proof}", restore.row, restore.backup));
    }
    line
}
