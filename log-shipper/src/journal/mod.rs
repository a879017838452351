//! The programs' log lines, from the system's journal to a sink of their own.
//!
//! The journal is the durable buffer: what could not be sent yet is read from it again, from the position that the database
//! remembers. This runs in a task of its own, and nothing in here delays an audit row.

mod entry;

use std::process::Stdio;
use std::time::{Duration, Instant};

use process::Shutdown;
use serde_json::json;
use store::{Store, StoreError, Timestamp};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

pub use entry::{Entry, parse};

use crate::batch::{Age, OutgoingEvent, plan};
use crate::config::APPLICATION_RETENTION_DAYS;
use crate::outage::Outage;
use crate::sink::{SendError, Sink, SinkAddress, Verdict};

/// The units whose lines are ours, as `systemd/units` has them. By name, since a pattern matches only what the journal knows
/// when it is asked.
const UNITS: [&str; 10] = [
    "wardpost-credentials.service",
    "wardpost-secrets.service",
    "wardpost-secrets-check.service",
    "wardpost-secrets-rotate.service",
    "wardpost-web.service",
    "wardpost-log-shipper.service",
    "wardpost-backup-worker.service",
    "wardpost-verify-chain.service",
    "wardpost-verify-copy.service",
    "wardpost-verify-backup.service",
];
/// On a machine that `terraform/boot.sh` set up: how full disk and memory are.
const ESTATE_UNIT: &str = "wardpost-machine.service";
/// What is read where no position is known yet.
const FIRST_SINCE: &str = "-1h";
/// How long lines are collected before they are sent.
const COLLECT: Duration = Duration::from_secs(1);
/// How many bytes are collected at most.
const COLLECT_BYTES: usize = 512 * 1024;

/// Why following the journal ended.
#[derive(Debug, thiserror::Error)]
enum JournalError {
    #[error("journalctl cannot be run: {0}")]
    Start(std::io::Error),
    #[error("journalctl ended: {0}")]
    Ended(String),
    #[error("the position cannot be kept: {0}")]
    Store(#[from] StoreError),
}

/// Ships log lines until the program is asked to stop. An outage is told and tried again, forever.
pub async fn ship(store: Store, address: SinkAddress, shutdown: Shutdown) {
    let stream =
        nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).filter(|name| !name.is_empty());
    let sink = Sink::open(&address, stream.as_deref().unwrap_or("unnamed"), APPLICATION_RETENTION_DAYS).await;
    let mut journal = Journal { store, address: address.to_string(), sink, outage: Outage::default() };
    while !shutdown.is_requested() {
        let Err(error) = journal.follow(&shutdown).await else { return };
        if matches!(&error, JournalError::Start(error) if error.kind() == std::io::ErrorKind::NotFound) {
            tracing::error!(
                "this machine has no journalctl: WARDPOST_APPLICATION_SINK needs systemd's journal; in a container leave it empty and let the engine's log driver do it"
            );
            return;
        }
        journal.failed(&error.to_string());
        journal.pause(&shutdown).await;
    }
}

struct Journal {
    store: Store,
    address: String,
    sink: Sink,
    outage: Outage,
}

impl Journal {
    /// Follows the journal until the program is asked to stop.
    async fn follow(&mut self, shutdown: &Shutdown) -> Result<(), JournalError> {
        let position = self.store.journal_position(&self.address).await?;
        let (mut journalctl, mut lines) = start(position.as_deref())?;
        let mut line = Vec::new();
        loop {
            let Some(first) = (tokio::select! {
                read = next_entry(&mut lines, &mut line) => read,
                _ = shutdown.requested() => return Ok(()),
            }) else {
                return Err(ended(&mut journalctl).await);
            };
            let mut position = first.position.clone();
            let mut events = first.events();
            let mut bytes = first.text.len();
            let until = tokio::time::Instant::now() + COLLECT;
            // Half a line that a time-out leaves in `line` is read on with the next one.
            while bytes < COLLECT_BYTES
                && let Ok(Some(entry)) = tokio::time::timeout_at(until, next_entry(&mut lines, &mut line)).await
            {
                bytes += entry.text.len();
                events.extend(entry.events());
                position = entry.position;
            }
            if !self.send(events, shutdown).await {
                return Ok(());
            }
            self.store.set_journal_position(&self.address, &position).await?;
        }
    }

    /// Sends until it is through; `false` when asked to stop before.
    async fn send(&mut self, events: Vec<OutgoingEvent>, shutdown: &Shutdown) -> bool {
        let mut ranges = vec![events];
        while let Some(mut events) = ranges.pop() {
            let now = self.store.now();
            for event in events.iter_mut().filter(|event| Age::of(event.stamp, now) != Age::Fresh) {
                event.stamp = now;
            }
            let count = plan(events.iter_mut());
            if count < events.len() {
                ranges.push(events.split_off(count));
            }
            let (left, reason) = match self.sink.send(events.clone()).await {
                Ok(verdicts) => {
                    let left = refused(events, &verdicts, now);
                    (left, "the other side refuses their times; they are sent again under the present one".to_owned())
                }
                Err(SendError::Invalid(_)) if events.len() > 1 => {
                    let half = events.split_off(events.len() / 2);
                    ranges.push(half);
                    ranges.push(events);
                    continue;
                }
                Err(SendError::Invalid(reason)) if self.is_the_lines_fault(&reason, now).await => {
                    tracing::warn!(reason, "a log line was refused for good; it stays in this machine's journal");
                    (Vec::new(), reason)
                }
                Err(SendError::Invalid(reason) | SendError::Outage(reason)) => (events, reason),
            };
            if left.is_empty() {
                self.recovered();
                continue;
            }
            ranges.push(left);
            self.failed(&reason);
            self.pause(shutdown).await;
            if shutdown.is_requested() {
                return false;
            }
        }
        true
    }

    /// Sends a note in the place of a line that was refused. A service that takes the note refuses the line; one that does
    /// not refuses everything, which says nothing about the line.
    async fn is_the_lines_fault(&mut self, reason: &str, now: Timestamp) -> bool {
        let note = json!({
            "timestamp": now.to_rfc3339(), "level": "WARN", "program": "log-shipper",
            "message": "a line that stood here was refused; the journal of its machine has it", "reason": reason,
        });
        let sent = self.sink.send(vec![OutgoingEvent { stamp: now, text: note.to_string() }]).await;
        sent.is_ok_and(|verdicts| verdicts.iter().all(|verdict| *verdict == Verdict::Accepted))
    }

    fn recovered(&mut self) {
        if let Some(failures) = self.outage.ended() {
            tracing::info!(failures, "log lines get through again");
        }
    }

    fn failed(&mut self, reason: &str) {
        if self.outage.failed(Instant::now()) {
            tracing::error!(reason, failures = self.outage.failures(), "log lines do not get through; trying again");
        }
    }

    async fn pause(&self, shutdown: &Shutdown) {
        tokio::select! {
            () = tokio::time::sleep(self.outage.pause()) => {}
            _ = shutdown.requested() => {}
        }
    }
}

/// What was not kept of what was sent, filed under the present time.
fn refused(events: Vec<OutgoingEvent>, verdicts: &[Verdict], now: Timestamp) -> Vec<OutgoingEvent> {
    let both = events.into_iter().zip(verdicts);
    let left = both.filter(|(_, verdict)| **verdict != Verdict::Accepted);
    left.map(|(event, _)| OutgoingEvent { stamp: now, text: event.text }).collect()
}

fn start(position: Option<&str>) -> Result<(Child, BufReader<ChildStdout>), JournalError> {
    let from = match position {
        Some(position) => format!("--after-cursor={position}"),
        None => format!("--since={FIRST_SINCE}"),
    };
    let mut journalctl = Command::new("journalctl")
        // Without --merge, --follow shows this boot alone (even beside --boot=all, tried with 252), and what was not sent before
        // a reboot never would be.
        .args(["--output=json", "--all", "--merge", "--follow", "--lines=all", "--output-fields=MESSAGE"])
        .args(UNITS.into_iter().chain([ESTATE_UNIT]).map(|unit| format!("--unit={unit}")))
        .arg(from)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(JournalError::Start)?;
    let lines = journalctl.stdout.take().ok_or_else(|| JournalError::Ended("it has no output".to_owned()))?;
    Ok((journalctl, BufReader::new(lines)))
}

/// The next line that can be read; none at the end. `line` carries what was read of one so far, so that this can be
/// cancelled without loss.
async fn next_entry(lines: &mut BufReader<ChildStdout>, line: &mut Vec<u8>) -> Option<Entry> {
    loop {
        match lines.read_until(b'\n', line).await {
            Ok(_) if line.last() == Some(&b'\n') => {}
            _ => return None,
        }
        let entry = parse(line);
        line.clear();
        if entry.is_some() {
            return entry;
        }
    }
}

async fn ended(journalctl: &mut Child) -> JournalError {
    let mut message = String::new();
    if let Some(errors) = journalctl.stderr.take() {
        // One line says what is wrong; it is a child that has ended.
        let _ = BufReader::new(errors).read_line(&mut message).await;
    }
    let status = journalctl.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
    JournalError::Ended(format!("{status} {}", message.trim()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_lines_of_every_service_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/units");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let services: BTreeSet<_> = names.filter(|name| name.ends_with(".service")).collect();
        assert_eq!(services, UNITS.map(str::to_owned).into());
    }
}
