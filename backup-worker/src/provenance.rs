//! Where a backup comes from: whether this installation made it, and whether it is the one that is meant.
//!
//! The public keys are no secret, so whoever may write to the target can make an archive that opens and a manifest that
//! fits it; and an old pair is as sound as it ever was. So a backup has to be vouched for before any of it is unpacked: by
//! its manifest's code, and by an audit log that recorded it, the local one or the shipped copy. What lacks that is used
//! only where somebody asks for it, and the audit row says so.
//!
//! The judgement is pure; [`vouch`] asks the target and the log.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use store::{RecordedBackup, Store, StoreError, Timestamp};

use crate::catalogue::{Wanted, is_of_the_future};
use crate::failure::Failure;
use crate::identity::BackupIdentity;
use crate::manifest::{Code, Manifest};
use crate::name::BackupName;
use crate::target::Target;

/// The longest answer of `log-shipper backups --json` that is read, in bytes: 500 for each backup, a night each for a century.
const LONGEST_ANSWER: u64 = 16 << 20;

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

/// What a backup lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Its manifest has no code.
    NoCode,
    /// Its manifest has the code of a key that is not here.
    OtherKey(String),
    /// No log could be asked.
    NoLog,
    /// The log that was asked does not know it.
    NotRecorded,
    /// It is of another database than the log.
    OtherDatabase,
    /// An older backup of the same log holds more of it.
    OlderHead(String),
    /// The log knows a newer one, which the target does not have.
    NotNewest(String),
}

impl Doubt {
    /// As audit rows and scripts have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Doubt::NoCode => "no_code",
            Doubt::OtherKey(_) => "other_key",
            Doubt::NoLog => "no_log",
            Doubt::NotRecorded => "not_recorded",
            Doubt::OtherDatabase => "other_database",
            Doubt::OlderHead(_) => "older_head",
            Doubt::NotNewest(_) => "not_newest",
        }
    }

    /// Whether an audit row that names this still proves that the clinic's data is safe.
    pub fn leaves_a_proof(word: &str) -> bool {
        word == "no_code" || word == "not_newest"
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::NoCode => out.write_str("its manifest has no code (format 1, of an older program or of a stranger)"),
            Doubt::OtherKey(key) => write!(
                out,
                "its manifest has the code of another key, which follows the identity of {key}: give that with --identity FILE"
            ),
            Doubt::NoLog => out.write_str("there is no audit log here that could know it"),
            Doubt::NotRecorded => out.write_str(
                "the audit log does not know it: it was made before a restore, or not by this installation",
            ),
            Doubt::OtherDatabase => out.write_str("it is of another database"),
            Doubt::OlderHead(name) => {
                write!(out, "it holds less of the audit log than {name}, which has the older name: an old one under a new name")
            }
            Doubt::NotNewest(name) => {
                write!(out, "the audit log knows a newer one, {name}, and the target does not have it: see who removed it")
            }
        }
    }
}

/// How a backup was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// As the newest.
    Latest,
    /// By a moment.
    Moment,
    /// By its name.
    Name,
}

impl From<&Wanted> for Asked {
    fn from(wanted: &Wanted) -> Asked {
        match wanted {
            Wanted::Latest => Asked::Latest,
            Wanted::Named(_) => Asked::Name,
            Wanted::NotAfter(_) => Asked::Moment,
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

/// A backup whose origin was looked at, and taken; only such a one can be unpacked.
#[derive(Clone, Debug)]
pub struct Vouched {
    /// Its manifest.
    pub manifest: Manifest,
    /// What is known of its origin.
    pub provenance: Provenance,
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
    /// What was accepted, as audit rows and scripts have it.
    pub fn accepted_words(&self) -> Vec<String> {
        self.accepted.iter().map(|doubt| doubt.as_str().to_owned()).collect()
    }
}

/// Reads the manifest of `name`, checks its code, asks the log, and takes it or refuses it. `accept` is the operator's word
/// that an unknown one is meant.
#[expect(clippy::too_many_arguments, reason = "each is one thing, and a struct of them would be used here alone")]
pub async fn vouch(
    target: &Target,
    name: &BackupName,
    asked: Asked,
    identities: &[BackupIdentity],
    store: Option<&Store>,
    copy: Option<&[RecordedBackup]>,
    accept: bool,
    now: Timestamp,
) -> Result<Vouched, Failure> {
    let bytes = target.manifest(name).await?;
    let (manifest, code) = Manifest::read(&bytes, name, identities).map_err(Failure::Manifest)?;
    let local = match store {
        // A log that cannot be read knows nothing; what is wrong with it, the programs that need it say.
        Some(store) => local_log(store, &manifest).await.map_or_else(
            |error| {
                tracing::warn!(%error, "the audit log does not tell which backups were made");
                None
            },
            Some,
        ),
        None => None,
    };
    let known = Known { local, copy: copy.map(<[_]>::to_vec) };
    let provenance = judge(&manifest, code, asked, &known, accept, now).map_err(Failure::Untrusted)?;
    Ok(Vouched { manifest, provenance })
}

async fn local_log(store: &Store, manifest: &Manifest) -> Result<LocalLog, StoreError> {
    let head = &manifest.audit_head;
    Ok(LocalLog {
        database_id: store.database_id().to_owned(),
        backups: store.recorded_backups().await?,
        has_head: store.audit_row_has_hash(head.id, &head.hash).await?,
    })
}

/// What comes of what is known. The error is a sentence for the operator: what is wrong, and what to do next.
pub fn judge(
    manifest: &Manifest,
    code: Code,
    asked: Asked,
    known: &Known,
    accept: bool,
    now: Timestamp,
) -> Result<Provenance, String> {
    let name = manifest.name.to_string();
    let local = known.local.iter().flat_map(|local| &local.backups).map(|one| (Source::Log, one));
    let copied = known.copy.iter().flatten().map(|one| (Source::Copy, one));
    let all: Vec<(Source, &RecordedBackup)> = local.chain(copied).collect();
    let mut known_from = None;
    for (source, record) in all.iter().filter(|(_, record)| record.name == name) {
        if let Some(what) = contradiction(record, manifest) {
            return Err(format!(
                "it is not the backup that was made under this name: the audit log has another {what}. Somebody has replaced it at \
                 the target: keep it, and see the incident plan in docs/OPERATIONS.md"
            ));
        }
        known_from = known_from.or(Some(*source));
    }
    let authenticated = code == Code::Fits;
    let ends_here =
        known.local.as_ref().is_some_and(|local| local.has_head && local.database_id == manifest.database_id);
    if known_from.is_none() && authenticated && ends_here {
        known_from = Some(Source::Chain);
    }
    let others: Vec<&RecordedBackup> = all.iter().map(|(_, record)| *record).filter(|one| one.name != name).collect();
    let newest = newest_of(&others, manifest, known, now);
    let doubts = doubts(manifest, code, asked, known, known_from, &others, newest.as_ref());
    let is_vouched_for = authenticated || known_from.is_some();
    let is_taken = doubts.is_empty()
        || accept
        || (asked == Asked::Name
            && is_vouched_for
            && !doubts.iter().any(|doubt| matches!(doubt, Doubt::OlderHead(_))));
    if is_taken {
        return Ok(Provenance { authenticated, known_from, accepted: doubts });
    }
    let words: Vec<String> = doubts.iter().map(Doubt::to_string).collect();
    let mut advice = String::new();
    if let Some(newest) = newest {
        advice.push_str(&format!("The newest that the log knows is {newest}: ask for that one by name. "));
    }
    if doubts.contains(&Doubt::NoLog) {
        advice.push_str("`log-shipper backups --json` tells what was recorded: hand its answer in with --recorded FILE. ");
    }
    advice.push_str(if is_vouched_for && asked != Asked::Name {
        "If this one is meant, ask for it by its name"
    } else {
        "Whoever may write to the target can have put it there; if you know that it is yours, say --accept-unrecorded"
    });
    Err(format!("nobody vouches for it: {}. {advice}", words.join("; ")))
}

fn doubts(
    manifest: &Manifest,
    code: Code,
    asked: Asked,
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
    if let (Asked::Latest, Some(newest)) = (asked, newest)
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
fn newest_of(
    others: &[&RecordedBackup],
    manifest: &Manifest,
    known: &Known,
    now: Timestamp,
) -> Option<BackupName> {
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

#[derive(Deserialize)]
struct Answer {
    backups: Vec<RecordedBackup>,
}

/// Reads what `log-shipper backups --json` wrote.
pub fn read_answer(path: &Path) -> Result<Vec<RecordedBackup>, Failure> {
    let unusable = |why: &dyn fmt::Display| {
        let path = path.display();
        Failure::NotPossible(format!("{path} is not the answer of `log-shipper backups --json`: {why}"))
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| unusable(&error))?;
    file.take(LONGEST_ANSWER + 1).read_to_end(&mut text).map_err(|error| unusable(&error))?;
    if text.len() as u64 > LONGEST_ANSWER {
        return Err(unusable(&format!("it is longer than {LONGEST_ANSWER} bytes")));
    }
    let answer: Answer = serde_json::from_slice(&text).map_err(|error| unusable(&error))?;
    Ok(answer.backups)
}

#[cfg(test)]
#[path = "provenance_tests.rs"]
mod tests;
