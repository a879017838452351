//! Whether the streams of a copy follow from each other. Each restore begins a stream; it must put back a log that the stream
//! before it really had, from a backup that the stream before it recorded. Then no row that was ever shipped can disappear
//! without being in the list of those that a restore gave up.
//!
//! All of it is decided from values: what the local log says of its restores, and what was found in the copy. Any stream that
//! is not one of the local log's own must have been given up by a restore.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use store::{AuditId, ChainPosition, Hash, RestoreRecord, Timestamp};

use crate::about::BackupRow;
use crate::scope::{LocalRestore, Scope};

/// What the copy holds under one name, as far as it is needed here. Where there is nothing, there are no facts.
#[derive(Clone, Debug, Default)]
pub struct StreamFacts {
    /// Whether the copy has the stream, or a line that names it.
    pub is_there: bool,
    /// When the stream was made, as the service says; none where it does not.
    pub created: Option<Timestamp>,
    /// The last row of those that are asked for.
    pub last: Option<AuditId>,
    /// Its rows DATABASE_RESTORED.
    pub restores: BTreeMap<AuditId, RestoreRecord>,
    /// The rows that are [`Wanted`], and every hash that the copy has for them.
    pub heads: BTreeMap<AuditId, Vec<Hash>>,
    /// The backups that are [`Wanted`], by name, and every row that records one.
    pub backups: BTreeMap<String, Vec<BackupRow>>,
}

/// What has to be looked up in a stream to judge the restores from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Rows whose hashes are needed.
    pub heads: BTreeSet<AuditId>,
    /// Backups whose rows are needed.
    pub backups: BTreeSet<String>,
}

/// One restore: from which stream to which.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The stream that it begins.
    pub stream: String,
    /// The stream that had the backup's log.
    pub before: String,
    /// What it says.
    pub record: RestoreRecord,
    head_at: Option<Timestamp>,
    is_local: bool,
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
    /// Whether verification fails for it.
    pub fn fails_verification(self) -> bool {
        matches!(self, Proof::StreamMissing | Proof::HeadUnknown | Proof::BackupUnknown)
    }
}

/// What a stream is to the local log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
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

/// One stream, judged.
#[derive(Clone, Debug)]
pub struct JudgedStream {
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Up to here its rows must be the local log's; none for all. What comes after was given up.
    pub shared_to: Option<AuditId>,
    /// The restore that it begins with, and how far that is proved; none for the first one and for what nothing explains.
    pub restore: Option<(Restore, Proof)>,
}

impl JudgedStream {
    /// Whether its restore is a difference.
    pub fn fails_verification(&self) -> bool {
        self.restore.as_ref().is_some_and(|(_, proof)| proof.fails_verification())
    }
}

/// What has to be looked up, by stream, so that [`judge`] can judge; more of it may be known once the copy was read.
pub fn wanted(scope: &Scope, streams: &BTreeMap<String, StreamFacts>) -> BTreeMap<String, Wanted> {
    let mut all = BTreeMap::<String, Wanted>::new();
    for restore in restores(scope, streams) {
        let wanted = all.entry(restore.before).or_default();
        wanted.heads.extend(restored_head(&restore.record).map(|head| head.id));
        wanted.backups.insert(restore.record.details.backup);
    }
    all
}

/// Every stream: those of the local log, oldest first, and then all others.
pub fn judge(scope: &Scope, streams: &BTreeMap<String, StreamFacts>) -> Vec<JudgedStream> {
    let proved: Vec<(Restore, Proof)> = restores(scope, streams)
        .into_iter()
        .map(|restore| {
            let proof = prove(&restore, scope, streams);
            (restore, proof)
        })
        .collect();
    let first = JudgedStream { name: scope.database_id.clone(), role: Role::Current, shared_to: None, restore: None };
    let mut judged = vec![first];
    for (restore, proof) in proved.iter().filter(|(restore, _)| restore.is_local) {
        if let Some(last) = judged.last_mut() {
            (last.role, last.shared_to) = (Role::Before, Some(restore.record.id.previous()));
        }
        let name = restore.stream.clone();
        judged.push(JudgedStream {
            name,
            role: Role::Current,
            shared_to: None,
            restore: Some((restore.clone(), *proof)),
        });
    }
    let local: BTreeSet<String> = judged.iter().map(|stream| stream.name.clone()).collect();
    let others: Vec<&String> = streams.keys().filter(|name| !local.contains(*name)).collect();
    let given_up = given_up(&proved, &others);
    for name in others {
        let facts = &streams[name];
        let restore = proved.iter().find(|(restore, _)| restore.stream == *name).cloned();
        let own = restore.as_ref().map(|(restore, _)| restore.record.id);
        let newest = facts.last.max(own);
        let role = if restore.as_ref().is_some_and(|(_, proof)| proof.fails_verification()) {
            Role::Unexplained
        } else if given_up.contains(name) {
            Role::GivenUp
        } else if newest.is_some_and(|last| last < scope.first) {
            Role::NotAsked
        } else if newest.is_none() && is_past(facts.created, scope) {
            Role::PastRetention
        } else {
            Role::Unexplained
        };
        let shared_to = shared_with_local(scope, facts, own);
        judged.push(JudgedStream { name: name.clone(), role, shared_to, restore });
    }
    judged
}

/// Every restore that is known: those of the local log, oldest first, and then those of other streams.
fn restores(scope: &Scope, streams: &BTreeMap<String, StreamFacts>) -> Vec<Restore> {
    let id = scope.database_id.as_str();
    let mut before = id.to_owned();
    let mut restores = Vec::with_capacity(scope.restores.len());
    for LocalRestore { record, head_at } in &scope.restores {
        let stream = record.stream(id);
        let last = std::mem::replace(&mut before, stream.clone());
        restores.push(Restore { stream, before: last, record: record.clone(), head_at: *head_at, is_local: true });
    }
    let local: BTreeSet<String> = restores.iter().map(|restore| restore.stream.clone()).collect();
    for (name, facts) in streams.iter().filter(|(name, _)| !local.contains(*name) && *name != id) {
        let Some(record) = facts.restores.values().find(|record| record.stream(id) == *name).cloned() else { continue };
        let earlier = facts.restores.range(..record.id).next_back();
        let before = earlier.map_or_else(|| id.to_owned(), |(_, other)| other.stream(id));
        restores.push(Restore { stream: name.clone(), before, record, head_at: None, is_local: false });
    }
    restores
}

/// How far a restore is proved by the stream before it.
fn prove(restore: &Restore, scope: &Scope, streams: &BTreeMap<String, StreamFacts>) -> Proof {
    let before = streams.get(&restore.before);
    let record = &restore.record;
    // A restore is asked for as long as rows are that it gave up: else it could excuse them unseen.
    let newest = before.and_then(|facts| facts.last).max(Some(record.id));
    if newest < Some(scope.first) || scope.until.is_some_and(|until| record.id > until) {
        return Proof::NotAsked;
    }
    // The row itself must follow on the head that it names.
    let Some(head) = restored_head(record) else { return Proof::HeadUnknown };
    let is_past = is_past_proving(restore, scope, streams);
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

/// Whether what would prove a restore may be gone by age. How old the restore is, the service says, where that is known: the
/// rows' own times are the local log's. Where the head was past its retention on the day of the restore already, the restore
/// was never proved, and is not by age.
fn is_past_proving(restore: &Restore, scope: &Scope, streams: &BTreeMap<String, StreamFacts>) -> bool {
    let Some(kept) = scope.kept() else { return false };
    let created = streams.get(&restore.stream).and_then(|facts| facts.created).unwrap_or(scope.now);
    let was_there = |head_at: Timestamp| head_at.plus(kept) < scope.now && created < head_at.plus(kept);
    is_past(Some(created), scope) || restore.head_at.is_some_and(was_there)
}

fn is_past(created: Option<Timestamp>, scope: &Scope) -> bool {
    created.zip(scope.kept()).is_some_and(|(created, kept)| created.plus(kept) < scope.now)
}

/// The streams that restores gave up, of those that are not the local log's: the restore is one of the local log, or of a
/// stream that was given up itself. Where a restore does not say which log it gave up (the machine was lost), it is any
/// restored one that had begun by then. One that was not restored itself, such as the empty database of a new machine, has
/// to be named.
fn given_up(proved: &[(Restore, Proof)], others: &[&String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    loop {
        let known: Vec<&RestoreRecord> = proved
            .iter()
            .filter(|(restore, proof)| {
                !proof.fails_verification() && (restore.is_local || found.contains(&restore.stream))
            })
            .map(|(restore, _)| &restore.record)
            .collect();
        let is_given_up = |stream: &str| {
            let own = proved.iter().find(|(restore, _)| restore.stream == stream).map(|(restore, _)| &restore.record);
            known.iter().any(|record| match (&record.details.given_up_stream, own) {
                (Some(named), _) => named == stream,
                (None, Some(own)) => record.hash != own.hash && record.at >= own.at,
                (None, None) => false,
            })
        };
        let more = others.iter().filter(|stream| !found.contains(**stream) && is_given_up(stream));
        let more: Vec<String> = more.map(|stream| (*stream).clone()).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Up to where a stream that is not the local log's has the local log's rows: to the first restore that only one of the two
/// has.
fn shared_with_local(scope: &Scope, facts: &StreamFacts, own: Option<AuditId>) -> Option<AuditId> {
    // Another database shares nothing.
    let Some(own) = own else { return Some(AuditId::ZERO) };
    let mut theirs = facts.restores.range(..=own).map(|(id, record)| (*id, record.hash));
    let mut ours = scope.restores.iter().map(|restore| (restore.record.id, restore.record.hash));
    loop {
        let (their, our) = (theirs.next(), ours.next());
        if their.is_none() || their != our {
            return [their, our].into_iter().flatten().map(|(id, _)| id.previous()).min();
        }
    }
}

#[cfg(test)]
mod tests;
