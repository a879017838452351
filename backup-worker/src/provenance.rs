//! Where a backup comes from: whether this installation made it, and whether it is the one that is meant.
//!
//! The public keys are no secret, so anyone who can write to the target can make an archive that opens and a manifest that
//! fits it; and an old pair is as sound as it ever was. So a backup has to be vouched for before any of it is unpacked: by
//! its manifest's code, and by an audit log that recorded it, the local one or the shipped copy. What lacks that is used
//! only where somebody asks for it, and the audit row says so.
//!
//! All of it is pure; [`crate::vouch`] asks the target and the logs.

use store::{RecordedBackup, Timestamp};

use crate::catalogue::{Wanted, is_of_the_future};
use crate::doubt::Doubt;
use crate::manifest::{Code, Manifest};
use crate::name::BackupName;

/// What knows of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An audit row of the local log.
    Log,
    /// The shipped copy of a log, as the operator handed it in.
    Copy,
    /// The local log has the row that the backup ends with: it was cut off before BACKUP_CREATED was written.
    Chain,
}

impl Source {
    /// As audit rows and scripts have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Log => "log",
            Source::Copy => "copy",
            Source::Chain => "chain",
        }
    }
}

/// What is known of backups beside the target.
#[derive(Debug, Default)]
pub struct Known {
    /// What the local log says, where there is one.
    pub local: Option<LocalLog>,
    /// What the shipped copy says, where somebody handed that in.
    pub copy: Option<Vec<RecordedBackup>>,
}

/// The local log.
#[derive(Debug)]
pub struct LocalLog {
    /// Its database's id.
    pub database_id: String,
    /// What it vouches for.
    pub backups: Vec<RecordedBackup>,
    /// Whether it has the row that the backup in question ends with.
    pub has_head: bool,
}

/// What is known of a backup's origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// Whether its manifest's code fits.
    pub authenticated: bool,
    /// What knows it.
    pub known_from: Option<Source>,
    /// What it lacks, and was taken all the same.
    pub accepted: Vec<Doubt>,
}

impl Provenance {
    /// The labels of what was accepted, as audit rows and scripts have it.
    pub fn accepted_labels(&self) -> Vec<String> {
        self.accepted.iter().map(|doubt| doubt.as_str().to_owned()).collect()
    }
}

/// What comes of what is known; `accept` is the operator's word that an unknown one is meant. The error is a sentence for the
/// operator: what is wrong, and what to do next.
pub fn judge(
    manifest: &Manifest,
    code: Code,
    wanted: &Wanted,
    known: &Known,
    accept: bool,
    now: Timestamp,
) -> Result<Provenance, String> {
    let name = manifest.name.to_string();
    let local = known.local.iter().flat_map(|local| &local.backups).map(|record| (Source::Log, record));
    let copied = known.copy.iter().flatten().map(|record| (Source::Copy, record));
    let (own, others): (Vec<_>, Vec<_>) = local.chain(copied).partition(|(_, record)| record.name == name);
    if let Some(what) = own.iter().find_map(|(_, record)| contradiction(record, manifest)) {
        return Err(format!(
            "{name} is not the backup that was made under this name: the audit log has another {what}. Somebody has replaced it at \
             the target: keep it, and see the incident plan in docs/RUNBOOK.md"
        ));
    }
    let others: Vec<&RecordedBackup> = others.into_iter().map(|(_, record)| record).collect();
    let authenticated = code == Code::Fits;
    let ends_here = |local: &LocalLog| local.has_head && local.database_id == manifest.database_id;
    let known_from = match own.first() {
        Some((source, _)) => Some(*source),
        None => (authenticated && known.local.as_ref().is_some_and(ends_here)).then_some(Source::Chain),
    };
    let newest = newest_of(&others, manifest, known, now);
    let doubts = doubts(manifest, code, wanted, known, known_from, &others, newest.as_ref());
    let by_name = matches!(wanted, Wanted::Named(_));
    let is_old = doubts.iter().any(|doubt| matches!(doubt, Doubt::OlderHead(_)));
    let a_name_is_enough = (authenticated || known_from.is_some()) && !is_old;
    if doubts.is_empty() || accept || (by_name && a_name_is_enough) {
        return Ok(Provenance { authenticated, known_from, accepted: doubts });
    }
    let words: Vec<String> = doubts.iter().map(Doubt::to_string).collect();
    let mut advice = String::new();
    if let Some(newest) = newest.filter(|newest| *newest < manifest.name) {
        advice.push_str(&format!("The newest that the log knows is {newest}: ask for that one by name. "));
    }
    if doubts.contains(&Doubt::NoLog) {
        advice.push_str(
            "`log-shipper backups --json` tells what was recorded: hand its answer in with --recorded FILE. ",
        );
    }
    let words = words.join("; ");
    Err(if a_name_is_enough {
        format!("{name} is taken only by its name: {words}. {advice}If this one is meant, ask for it by its name")
    } else {
        format!(
            "nobody vouches for {name}: {words}. {advice}Anyone who can write to the target can have put it there; if you know that \
             it is yours, say --accept-unrecorded"
        )
    })
}

fn doubts(
    manifest: &Manifest,
    code: Code,
    wanted: &Wanted,
    known: &Known,
    known_from: Option<Source>,
    others: &[&RecordedBackup],
    newest: Option<&BackupName>,
) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    match code {
        Code::Fits => {}
        Code::None => doubts.push(Doubt::NoCode),
        // A log that knows its hash says more than a code.
        Code::OfAnotherKey if known_from.is_some() => {}
        Code::OfAnotherKey => {
            doubts.push(Doubt::OtherKey(manifest.authenticated_by.clone().unwrap_or_default()));
        }
    }
    if known_from.is_none() {
        let nobody_asked = known.local.is_none() && known.copy.is_none();
        doubts.push(if nobody_asked { Doubt::NoLog } else { Doubt::NotRecorded });
        let is_of_its_log = |one: &RecordedBackup| {
            one.content.as_ref().is_some_and(|content| match &manifest.stream {
                Some(stream) => *stream == content.stream,
                None => manifest.database_id == content.database,
            })
        };
        let holds_more = |one: &&&RecordedBackup| {
            one.head.as_ref().is_some_and(|head| head.row > manifest.audit_head.id)
                && one.name < manifest.name.to_string()
                && is_of_its_log(one)
        };
        doubts.extend(others.iter().find(holds_more).map(|one| Doubt::OlderHead(one.name.clone())));
    }
    if is_of_another_database(manifest, known) {
        doubts.push(Doubt::OtherDatabase);
    }
    if let (Wanted::Latest, Some(newest)) = (wanted, newest)
        && *newest > manifest.name
    {
        doubts.push(Doubt::NotNewest(newest.to_string()));
    }
    doubts
}

fn is_of_another_database(manifest: &Manifest, known: &Known) -> bool {
    match &known.local {
        Some(local) => local.database_id != manifest.database_id,
        None => {
            let mut copied = known.copy.iter().flatten().filter_map(|one| one.content.as_ref()).peekable();
            copied.peek().is_some() && copied.all(|content| content.database != manifest.database_id)
        }
    }
}

/// The newest of them that is of our own database, as far as can be told, and of no time to come.
fn newest_of(others: &[&RecordedBackup], manifest: &Manifest, known: &Known, now: Timestamp) -> Option<BackupName> {
    let ours = match &known.local {
        Some(local) => Some(&local.database_id),
        // A copy may hold logs of several databases; of a stranger's it holds none.
        None if is_of_another_database(manifest, known) => None,
        None => Some(&manifest.database_id),
    };
    let same = |one: &&&RecordedBackup| {
        one.content.as_ref().is_none_or(|content| ours.is_none_or(|ours| content.database == *ours))
    };
    let names = others.iter().filter(same).filter_map(|one| one.name.parse::<BackupName>().ok());
    names.filter(|name| !is_of_the_future(name, now)).max()
}

/// What of a record is not as the manifest says.
fn contradiction(record: &RecordedBackup, manifest: &Manifest) -> Option<&'static str> {
    if record.bytes != manifest.archive_bytes {
        return Some("size");
    }
    if record.sha256 != manifest.archive_sha256 {
        return Some("SHA-256");
    }
    let end = &manifest.audit_head;
    if record.head.as_ref().is_some_and(|head| (head.row, &head.hash) != (end.id, &end.hash)) {
        return Some("end of the audit log");
    }
    let content = record.content.as_ref()?;
    [
        ("database", content.database == manifest.database_id),
        ("name of its log", manifest.stream.as_ref().is_none_or(|stream| *stream == content.stream)),
        ("schema", content.schema == manifest.schema),
        ("size of the database", content.database_bytes == manifest.database_bytes),
        ("SHA-256 of the database", content.database_sha256 == manifest.database_sha256),
    ]
    .into_iter()
    .find_map(|(what, agrees)| (!agrees).then_some(what))
}

#[cfg(test)]
mod tests;
