//! Whether the streams of a copy form one story. Each restore begins a stream; it must put back a log that the stream before
//! it really had, from a backup that the stream before it recorded. Then no row that was ever shipped can disappear without
//! being in the list of those that a restore gave up.
//!
//! All of it is decided from values: what the local log says of its restores, and what was found in the copy. The streams of
//! the local log are its *line*, oldest first; any other stream must have been given up by a restore.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use store::{AuditId, ChainPosition, Hash, RestoreRecord, Timestamp};

use crate::event::RecordedBackup;

/// What the copy holds under one name, as far as the story needs it. Where there is nothing, there are no facts.
#[derive(Clone, Debug, Default)]
pub struct StreamFacts {
    /// Whether the place has the stream, or a line that names it.
    pub is_there: bool,
    /// When the place made the stream; none where it does not say.
    pub created: Option<Timestamp>,
    /// The last row of those that are asked for.
    pub last: Option<AuditId>,
    /// Its rows DATABASE_RESTORED.
    pub restores: BTreeMap<AuditId, RestoreRecord>,
    /// The rows that were watched for, and every hash that the copy has for them.
    pub heads: BTreeMap<AuditId, Vec<Hash>>,
    /// The backups that were watched for, by name, and every row that records one.
    pub backups: BTreeMap<String, Vec<RecordedBackup>>,
}

/// A restore of the local log, and when the row before it was written.
#[derive(Clone, Debug)]
pub struct LocalRestore {
    /// The row.
    pub record: RestoreRecord,
    /// The time of the row before it, by its own clock.
    pub head_at: Option<Timestamp>,
}

/// What the story is judged by.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// The id of the local database.
    pub database_id: &'a str,
    /// The restores of the local log, oldest first.
    pub local: &'a [LocalRestore],
    /// The first row that is asked for.
    pub first: AuditId,
    /// The last one; none for all.
    pub until: Option<AuditId>,
    /// How long the place keeps rows; none for without end.
    pub kept: Option<Duration>,
    /// The present.
    pub now: Timestamp,
}

/// One restore: from which stream to which.
#[derive(Clone, Debug)]
pub struct Joint {
    /// The stream that it begins.
    pub stream: String,
    /// The stream that had the backup's log.
    pub before: String,
    /// What it says.
    pub record: RestoreRecord,
    head_at: Option<Timestamp>,
    on_line: bool,
}

/// How far a restore is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The stream before had the head, and recorded the backup with it.
    Proved,
    /// The same, but the backup's row is of a version that did not write down the head.
    ByNameOnly,
    /// The rows that would prove it are past their retention.
    PastRetention,
    /// Neither it nor anything that it gave up is among the rows that are asked for.
    NotAsked,
    /// The stream before is not in the copy.
    StreamMissing,
    /// The stream before never had that head.
    HeadUnknown,
    /// The stream before records no such backup.
    BackupUnknown,
}

impl Proof {
    /// Whether the story ends here.
    pub fn is_fault(self) -> bool {
        matches!(self, Proof::StreamMissing | Proof::HeadUnknown | Proof::BackupUnknown)
    }
}

/// What a stream is to the local log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The stream that the local log goes on in.
    Current,
    /// One that it went on in before a restore.
    Before,
    /// One that was given up as a whole, from its own restore on.
    GivenUp,
    /// An empty one, older than rows are kept.
    PastRetention,
    /// One that nothing explains.
    Unexplained,
    /// The same, with no row among those that are asked for.
    NotAsked,
}

/// One stream in the story.
#[derive(Clone, Debug)]
pub struct Chapter {
    /// Its name.
    pub stream: String,
    /// What it is.
    pub place: Place,
    /// Up to here its rows must be the local log's; none for all. What comes after was given up.
    pub shared_to: Option<AuditId>,
    /// The restore that it begins with, and how far that is proved; none for the first one and for what nothing explains.
    pub joint: Option<(Joint, Proof)>,
}

/// What to watch for in a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// Rows whose hashes are wanted.
    pub heads: BTreeSet<AuditId>,
    /// Backups whose rows are wanted.
    pub backups: BTreeSet<String>,
}

/// Every restore that is known: those of the local log, oldest first, and then those of other streams.
fn joints(setting: &Setting<'_>, streams: &BTreeMap<String, StreamFacts>) -> Vec<Joint> {
    let mut before = setting.database_id.to_owned();
    let mut joints = Vec::with_capacity(setting.local.len());
    for LocalRestore { record, head_at } in setting.local {
        let stream = record.stream(setting.database_id);
        let last = std::mem::replace(&mut before, stream.clone());
        joints.push(Joint { stream, before: last, record: record.clone(), head_at: *head_at, on_line: true });
    }
    let line: BTreeSet<String> = joints.iter().map(|joint| joint.stream.clone()).collect();
    for (name, facts) in streams.iter().filter(|(name, _)| !line.contains(*name) && *name != setting.database_id) {
        let own = facts.restores.values().find(|record| record.stream(setting.database_id) == *name);
        let Some(record) = own.cloned() else { continue };
        let earlier = facts.restores.range(..record.id).next_back();
        let before =
            earlier.map_or_else(|| setting.database_id.to_owned(), |(_, other)| other.stream(setting.database_id));
        joints.push(Joint { stream: name.clone(), before, record, head_at: None, on_line: false });
    }
    joints
}

/// What has to be watched for, by stream, so that [`tell`] can judge; more of it may be known once the copy was read.
pub fn watches(setting: &Setting<'_>, streams: &BTreeMap<String, StreamFacts>) -> BTreeMap<String, Watch> {
    let mut watches = BTreeMap::<String, Watch>::new();
    for joint in joints(setting, streams) {
        let watch = watches.entry(joint.before).or_default();
        watch.heads.extend(restored_head(&joint.record).map(|head| head.id));
        watch.backups.insert(joint.record.details.backup);
    }
    watches
}

/// The story: the line of the local log from the oldest stream on, and then every other stream.
pub fn tell(setting: &Setting<'_>, streams: &BTreeMap<String, StreamFacts>) -> Vec<Chapter> {
    let judged: Vec<(Joint, Proof)> = joints(setting, streams)
        .into_iter()
        .map(|joint| {
            let proof = prove(&joint, setting, streams);
            (joint, proof)
        })
        .collect();
    let mut chapters = vec![Chapter {
        stream: setting.database_id.to_owned(),
        place: Place::Current,
        shared_to: None,
        joint: None,
    }];
    for (joint, proof) in judged.iter().filter(|(joint, _)| joint.on_line) {
        if let Some(last) = chapters.last_mut() {
            (last.place, last.shared_to) = (Place::Before, row_before(joint.record.id));
        }
        let stream = joint.stream.clone();
        let joint = Some((joint.clone(), *proof));
        chapters.push(Chapter { stream, place: Place::Current, shared_to: None, joint });
    }
    let line: BTreeSet<String> = chapters.iter().map(|chapter| chapter.stream.clone()).collect();
    let others: Vec<&String> = streams.keys().filter(|name| !line.contains(*name)).collect();
    let given_up = given_up(&judged, &others);
    for name in others {
        let facts = &streams[name];
        let joint = judged.iter().find(|(joint, _)| joint.stream == *name).cloned();
        let newest = facts.last.max(joint.as_ref().map(|(joint, _)| joint.record.id));
        let place = if joint.as_ref().is_some_and(|(_, proof)| proof.is_fault()) {
            Place::Unexplained
        } else if given_up.contains(name) {
            Place::GivenUp
        } else if newest.is_some_and(|last| last < setting.first) {
            Place::NotAsked
        } else if newest.is_none() && is_past(facts.created, setting) {
            Place::PastRetention
        } else {
            Place::Unexplained
        };
        let shared_to = shared_with_line(setting, facts, joint.as_ref().map(|(joint, _)| joint.record.id));
        chapters.push(Chapter { stream: name.clone(), place, shared_to, joint });
    }
    chapters
}

/// How far a restore is proved by the stream before it.
fn prove(joint: &Joint, setting: &Setting<'_>, streams: &BTreeMap<String, StreamFacts>) -> Proof {
    let before = streams.get(&joint.before);
    let record = &joint.record;
    // A restore is asked for as long as rows are that it gave up: else it could excuse them unseen.
    let newest = before.and_then(|facts| facts.last).max(Some(record.id));
    if newest < Some(setting.first) || setting.until.is_some_and(|until| record.id > until) {
        return Proof::NotAsked;
    }
    // The row itself must follow on the head that it names.
    let Some(head) = restored_head(record) else { return Proof::HeadUnknown };
    let is_past = is_past_proving(joint, setting, streams);
    let Some(before) = before else {
        return if is_past { Proof::PastRetention } else { Proof::StreamMissing };
    };
    match before.heads.get(&head.id).map(Vec::as_slice) {
        Some(hashes) if hashes.contains(&head.hash) => {}
        None | Some([]) if is_past => return Proof::PastRetention,
        _ => return Proof::HeadUnknown,
    }
    let backups = before.backups.get(&record.details.backup).map_or(&[][..], Vec::as_slice);
    let later = || backups.iter().filter(|backup| backup.row > head.id);
    if later().any(|backup| backup.head == Some(head)) {
        Proof::Proved
    } else if later().any(|backup| backup.head.is_none()) {
        Proof::ByNameOnly
    } else if backups.is_empty() && is_past {
        Proof::PastRetention
    } else {
        Proof::BackupUnknown
    }
}

/// The head that the restore put back, if the row follows on it.
fn restored_head(record: &RestoreRecord) -> Option<ChainPosition> {
    let head = record.details.restored_head.as_ref()?.position()?;
    (head.id.next() == record.id && head.hash == record.previous_hash).then_some(head)
}

/// Whether what would prove a restore may be gone by age. How old the restore is, the place says, where that is known: the
/// rows' own times are the local log's. A restore that put back what was past its retention on that very day was never proved.
fn is_past_proving(joint: &Joint, setting: &Setting<'_>, streams: &BTreeMap<String, StreamFacts>) -> bool {
    let Some(kept) = setting.kept else { return false };
    let created = streams.get(&joint.stream).and_then(|facts| facts.created).unwrap_or(setting.now);
    let was_there = |head_at: Timestamp| head_at.plus(kept) < setting.now && created < head_at.plus(kept);
    is_past(Some(created), setting) || joint.head_at.is_some_and(was_there)
}

fn is_past(created: Option<Timestamp>, setting: &Setting<'_>) -> bool {
    created.zip(setting.kept).is_some_and(|(created, kept)| created.plus(kept) < setting.now)
}

/// The streams beside the line that a restore gave up: one of the line, or one of a stream that was given up itself. Where a
/// restore does not say which log it gave up (the machine was lost), it is any restored one that had begun by then. One that
/// was not restored itself, such as the empty database of a new machine, has to be named.
fn given_up(judged: &[(Joint, Proof)], others: &[&String]) -> BTreeSet<String> {
    let of = |stream: &str| judged.iter().find(|(joint, _)| joint.stream == stream);
    let mut found = BTreeSet::new();
    loop {
        let known: Vec<&RestoreRecord> = judged
            .iter()
            .filter(|(joint, proof)| !proof.is_fault() && (joint.on_line || found.contains(&joint.stream)))
            .map(|(joint, _)| &joint.record)
            .collect();
        let is_given_up = |stream: &str| {
            let own = of(stream);
            let is_sound = own.is_none_or(|(_, proof)| !proof.is_fault());
            let gives_up = |record: &&RestoreRecord| match (&record.details.given_up_stream, own) {
                (Some(named), _) => named == stream,
                (None, Some((joint, _))) => record.hash != joint.record.hash && record.at >= joint.record.at,
                (None, None) => false,
            };
            is_sound && known.iter().any(gives_up)
        };
        let more: Vec<String> = others
            .iter()
            .filter(|stream| !found.contains(**stream) && is_given_up(stream))
            .map(|stream| (*stream).clone())
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Up to where a stream beside the line has the line's rows: to the first restore that only one of the two has.
fn shared_with_line(setting: &Setting<'_>, facts: &StreamFacts, own: Option<AuditId>) -> Option<AuditId> {
    // Another database shares nothing.
    let Some(own) = own else { return Some(AuditId::ZERO) };
    let mut theirs = facts.restores.range(..=own).map(|(id, record)| (*id, record.hash));
    let mut ours = setting.local.iter().map(|restore| (restore.record.id, restore.record.hash));
    loop {
        let (their, our) = (theirs.next(), ours.next());
        if their.is_none() || their != our {
            let parting = [their, our].into_iter().flatten().map(|(id, _)| id).min();
            return parting.and_then(row_before);
        }
    }
}

fn row_before(id: AuditId) -> Option<AuditId> {
    // A restore is never the first row: where somebody made it so, nothing is shared, and all of the stream is compared.
    AuditId::new(id.get() - 1)
}

#[cfg(test)]
#[path = "lineage_tests.rs"]
mod tests;
