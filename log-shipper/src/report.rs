//! What `log-shipper verify` reports: the copy held against the local chain. This is what finds an intruder who has the key and
//! the machine and has rewritten the local chain, hashes and all: they cannot rewrite the copy.
//!
//! It begins with what is outside: every stream of the copy ([`crate::lineage`]), each row of each ([`crate::comparison`]).
//! Nothing of the local log decides what is looked at.

use serde::Serialize;
use store::AuditId;

use crate::lineage::{JudgedStream, Proof, Restore, Role};
use crate::scope::Scope;

/// How the copy differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The row was shipped, and is not in the copy.
    Missing,
    /// The local row is not the one that was shipped.
    Changed,
    /// The copy's event is not what its own hash covers.
    Altered,
    /// The copy has the row twice, and differently.
    Conflicting,
    /// The copy has a row that is not in the local log any more: cut off its end, or taken out of it.
    GoneHere,
    /// A line of the copy is no event.
    Unreadable,
    /// The stream that a restore went on from is not in the copy.
    StreamMissing,
    /// The copy has a stream that no restore explains.
    StreamUnexplained,
    /// A restore put back a log that the stream before it never had.
    HeadUnknown,
    /// A restore names a backup that the stream before it does not record.
    BackupUnknown,
    /// The copy keeps rows for too short a time.
    RetentionTooShort,
}

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Kind::Missing => "was shipped and is missing in the copy",
            Kind::Changed => "is not the row that was shipped: the local log was changed",
            Kind::Altered => "was altered in the copy: it is not what its hash covers",
            Kind::Conflicting => "is in the copy twice, and differently",
            Kind::GoneHere => "is in the copy and not in the local log any more",
            Kind::Unreadable => "of the copy cannot be read",
            Kind::StreamMissing => "says that the database was restored, and the copy lacks the stream from before it",
            Kind::StreamUnexplained => {
                "is explained by no restore: another database, or one that somebody goes on with"
            }
            Kind::HeadUnknown => "says that a restore put back a log that the stream before it never had",
            Kind::BackupUnknown => "names a backup that the stream before it does not record so",
            Kind::RetentionTooShort => "keeps rows for too short a time",
        }
    }
}

/// One difference, of one row or of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which.
    pub kind: Kind,
    /// The row, or the first of a range; none for a line that names no row.
    pub id: Option<AuditId>,
    /// The last row of a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<AuditId>,
    /// The stream, where it is another one than the local log goes on in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The same as a sentence.
    #[serde(rename = "words")]
    pub text: String,
}

impl Difference {
    pub(crate) fn of(kind: Kind, id: Option<AuditId>, to: Option<AuditId>, stream: Option<&str>) -> Difference {
        let to = to.filter(|to| Some(*to) != id);
        let what = match (id, to) {
            (Some(id), Some(to)) => format!("rows {id} to {to}: each"),
            (Some(id), None) => format!("row {id}"),
            (None, _) => "a line".to_owned(),
        };
        let place = stream.map(|stream| format!(" (stream {stream})")).unwrap_or_default();
        Difference { kind, id, to, stream: stream.map(str::to_owned), text: format!("{what} {}{place}", kind.label()) }
    }

    /// A restore that is not proved.
    pub(crate) fn of_restore(restore: &Restore, proof: Proof) -> Option<Difference> {
        let kind = match proof {
            Proof::StreamMissing => Kind::StreamMissing,
            Proof::HeadUnknown => Kind::HeadUnknown,
            Proof::BackupUnknown => Kind::BackupUnknown,
            Proof::Proved | Proof::ByNameOnly | Proof::PastRetention | Proof::NotAsked => return None,
        };
        let (row, before) = (restore.record.id, &restore.before);
        let text = format!("row {row} (DATABASE_RESTORED) {}: {before}", kind.label());
        Some(Difference { kind, id: Some(row), to: None, stream: Some(before.clone()), text })
    }

    /// A stream that nothing explains.
    pub(crate) fn unexplained(stream: &str) -> Difference {
        let kind = Kind::StreamUnexplained;
        let text = format!("the stream {stream} {}", kind.label());
        Difference { kind, id: None, to: None, stream: Some(stream.to_owned()), text }
    }

    /// A log group that lets rows go too early.
    pub(crate) fn retention(days: i32, wanted: i32) -> Difference {
        let kind = Kind::RetentionTooShort;
        let text = format!("the log group {}: {days} days, and not {wanted}", kind.label());
        Difference { kind, id: None, to: None, stream: None, text }
    }
}

/// Rows of a stream that a restore gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GivenUpRows {
    /// The first one that the copy has.
    pub from: AuditId,
    /// The last one.
    pub to: AuditId,
    /// How many.
    pub rows: u64,
}

/// The restore that a stream begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// The row DATABASE_RESTORED.
    pub row: AuditId,
    /// The backup that it names.
    pub backup: String,
    /// The stream before it.
    pub before: String,
    /// How far it is proved.
    pub proof: Proof,
}

/// One stream of the copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamReport {
    /// Its name.
    pub name: String,
    /// What it is to the local log.
    pub role: Role,
    /// How many of its rows agree with the local log.
    pub checked: u64,
    /// Its rows that were given up.
    pub given_up: Option<GivenUpRows>,
    /// The restore that it begins with.
    pub restore: Option<RestoreReport>,
}

impl StreamReport {
    pub(crate) fn of(judged: &JudgedStream, checked: u64, given_up: Option<GivenUpRows>) -> StreamReport {
        let restore = judged.restore.as_ref().map(|(restore, proof)| RestoreReport {
            row: restore.record.id,
            backup: restore.record.details.backup.clone(),
            before: restore.before.clone(),
            proof: *proof,
        });
        StreamReport { name: judged.name.clone(), role: judged.role, checked, given_up, restore }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing differs.
    pub agrees: bool,
    /// The first row that was compared.
    pub first: AuditId,
    /// The last one.
    pub last: AuditId,
    /// How many rows of the stream that the local log goes on in agree with it.
    pub checked: u64,
    /// Rows that are not shipped yet.
    pub not_yet_shipped: u64,
    /// Rows that were given up on.
    pub quarantined: Vec<AuditId>,
    /// Rows that the copy has let go after its retention, in all streams.
    pub older_than_retention: u64,
    /// How many rows restores gave up.
    pub given_up_by_restores: u64,
    /// How many days the copy keeps rows; none for without end.
    pub retention_days: Option<i32>,
    /// Every stream of the copy: those of the local log, oldest first, and then all others.
    pub streams: Vec<StreamReport>,
    /// What differs.
    pub differences: Vec<Difference>,
    /// How many differences are not listed.
    pub more_differences: u64,
}

impl Report {
    /// Of a comparison in which nothing was compared yet.
    pub(crate) fn of(scope: &Scope) -> Report {
        Report {
            agrees: false,
            first: scope.first,
            last: scope.last,
            checked: 0,
            not_yet_shipped: 0,
            quarantined: Vec::new(),
            older_than_retention: 0,
            given_up_by_restores: 0,
            retention_days: scope.retention_days,
            streams: Vec::new(),
            differences: Vec::new(),
            more_differences: 0,
        }
    }

    /// Whether something is missing in the copy, and nothing else is wrong: a copy that shows late looks like that.
    pub fn only_misses(&self) -> bool {
        let may_come =
            |kind| matches!(kind, Kind::Missing | Kind::StreamMissing | Kind::HeadUnknown | Kind::BackupUnknown);
        !self.agrees && self.differences.iter().all(|difference| may_come(difference.kind))
    }
}
