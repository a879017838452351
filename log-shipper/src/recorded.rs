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
