//! Which backups the copy knows: its rows BACKUP_CREATED and DATABASE_RESTORED, whichever log of the place they belong to. A
//! machine whose own database is lost learns here what was made, and needs none to ask.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::RecordedBackup;

use crate::event::{Parsed, parse};

/// A row of the copy that vouches for an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordedRow {
    /// The log that it belongs to.
    pub stream: String,
    /// Its number there.
    pub row: i64,
    /// When it was written, RFC 3339.
    pub at: String,
    /// Its action.
    pub action: String,
    /// What it vouches for.
    #[serde(flatten)]
    pub backup: RecordedBackup,
}

/// A row of the copy is not what its own hash covers: somebody has altered the copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("row {row} of {stream} is not what its hash covers: the copy was altered")]
pub struct AlteredRow {
    /// The log.
    pub stream: String,
    /// The row.
    pub row: i64,
}

#[derive(Deserialize)]
struct Line<'a> {
    timestamp: String,
    action: String,
    #[serde(borrow)]
    details: &'a RawValue,
}

/// What a line of the copy vouches for; none for all other lines. Such a row is far below the size at which rows are cut into
/// parts.
pub fn recorded_row(line: &str) -> Result<Option<RecordedRow>, AlteredRow> {
    let Ok(read) = serde_json::from_str::<Line<'_>>(line) else { return Ok(None) };
    let Some(backup) = RecordedBackup::of_row(&read.action, read.details.get()) else { return Ok(None) };
    let Some(Parsed::Whole(event)) = parse(line) else { return Ok(None) };
    let (stream, row) = (event.stream, event.id.get());
    if event.recomputed != event.hash {
        return Err(AlteredRow { stream, row });
    }
    Ok(Some(RecordedRow { stream, row, at: read.timestamp, action: read.action, backup }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use store::{AuditEvent, AuditId, Personal, Timestamp, chain_hash, genesis_hash};

    use super::*;
    use crate::event::{LogIdentity, render, split};

    /// A row as the store would have written it.
    fn row(action: &str, details: &serde_json::Value) -> AuditEvent {
        let mut row = AuditEvent {
            id: AuditId::new(7).unwrap(),
            at: Timestamp::parse_rfc3339("2026-11-22T21:10:05.123Z").unwrap(),
            person: None,
            action: action.into(),
            details: details.to_string(),
            ip: None,
            previous_hash: genesis_hash("before"),
            hash: genesis_hash("to be set"),
            personal: None::<Personal>,
        };
        let at = row.at.to_rfc3339();
        row.hash = chain_hash(&row.previous_hash, &row.hashed_fields(&at));
        row
    }

    fn log() -> LogIdentity {
        LogIdentity { database_id: "d".into(), stream: "d/restored-5-abcdef01".into() }
    }

    fn line(action: &str, details: &serde_json::Value) -> String {
        render(&row(action, details), &log(), None)
    }

    const NAME: &str = "wardpost-20261122T211000Z.sqlite.gz.age";

    /// What BACKUP_CREATED says of an archive.
    fn archive() -> serde_json::Value {
        let head = json!({ "row": 6, "hash": "cd".repeat(32) });
        json!({ "name": NAME, "bytes": 4_096, "sha256": "ab".repeat(32), "head": head })
    }

    /// What DATABASE_RESTORED says of it, among other things.
    fn restored() -> serde_json::Value {
        let head = json!({ "row": 6, "hash": "cd".repeat(32) });
        json!({ "backup": NAME, "bytes": 4_096, "sha256": "ab".repeat(32), "restored_head": head, "given_up_stream": "d" })
    }

    #[test]
    fn a_row_that_vouches_for_an_archive_is_given_with_its_place() {
        for (action, details) in [("BACKUP_CREATED", archive()), ("DATABASE_RESTORED", restored())] {
            let found = recorded_row(&line(action, &details)).unwrap().unwrap();
            let place = (found.stream.as_str(), found.row, found.at.as_str(), found.action.as_str());
            assert_eq!(place, ("d/restored-5-abcdef01", 7, "2026-11-22T21:10:05.123Z", action));
            let backup = RecordedBackup::of_row("BACKUP_CREATED", &archive().to_string()).unwrap();
            assert_eq!((backup.name.as_str(), found.backup), (NAME, backup.clone()));
        }
    }

    #[test]
    fn all_other_lines_vouch_for_nothing() {
        let created = line("BACKUP_CREATED", &archive());
        let whole = row("BACKUP_CREATED", &archive());
        let parts = split(created.clone(), &whole, &log(), None, 450);
        assert!(parts.len() > 1);
        for other in [
            line("BACKUP_VERIFIED", &archive()),
            line("LOGIN", &json!({ "new_person": true })),
            // An archive without its hash could be any.
            line("BACKUP_CREATED", &json!({ "name": NAME, "bytes": 4_096 })),
            created.replace("\"schema\":1", "\"schema\":2"),
            created[..created.len() - 1].to_owned(),
            r#"{"level":"INFO","message":"a log line of another program"}"#.to_owned(),
            String::new(),
        ]
        .iter()
        .chain(&parts)
        {
            assert_eq!(recorded_row(other), Ok(None), "{other}");
        }
    }

    #[test]
    fn a_row_that_was_altered_in_the_copy_is_named_whatever_was_altered() {
        let created = line("BACKUP_CREATED", &archive());
        for (from, to) in [
            ("\"bytes\":4096", "\"bytes\":4097"),
            ("abab", "abac"),
            ("T211000Z", "T211001Z"),
            ("21:10:05.123Z", "21:10:05.124Z"),
            ("BACKUP_CREATED", "DATABASE_RESTORED"),
            ("\"row\":6", "\"row\":5"),
            ("\"user_id\":null", "\"user_id\":1"),
        ] {
            let altered = created.replacen(from, to, 1);
            assert_ne!(altered, created, "{from}");
            let error = AlteredRow { stream: log().stream, row: 7 };
            assert_eq!(recorded_row(&altered), Err(error), "{from} to {to}");
        }
    }
}
