//! An audit row as it is shipped: one line of JSON with exactly the fields that its hash covers, and the hash.
//!
//! Whoever has a copy of the lines and the description of the hash (`store`'s `chain_hash`) can recompute the chain
//! with nothing else at hand. The details stand in the line byte for byte as they are stored. What stands beside the row of
//! somebody by name is in the line as well, with its salt, as long as it is there: the details carry its hash.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{AuditEvent, AuditId, Hash, HashedFields, PersonId, Personal, Timestamp, chain_hash};

use crate::about::About;

/// The version of this format.
const SCHEMA: u32 = 1;

/// What CloudWatch Logs counts for each event beside its text.
pub const EVENT_OVERHEAD: usize = 26;

/// The longest text of one event in bytes: 256 KiB less the overhead, which every region takes. Newer ones take 1 MiB.
pub const LONGEST_TEXT: usize = 262_144 - EVENT_OVERHEAD;

/// Which log a row belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The database's id.
    pub database_id: String,
    /// The name of its log, see [`store::Store::audit_stream`].
    pub stream: String,
}

/// Why an event carries another time than its row's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restamp {
    /// The row is older than the service takes.
    Late(Timestamp),
    /// The row's clock ran ahead of the service's.
    Ahead(Timestamp),
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    user_id: Option<i64>,
    action: &'a str,
    details: Details<'a>,
    ip_address: Option<&'a str>,
    id: AuditId,
    hash: String,
    previous_hash: String,
    database_id: &'a str,
    stream: &'a str,
    schema: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ahead: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipped_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    personal: Option<Details<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    personal_salt: Option<String>,
}

/// Details that are no JSON are never written; where somebody changed them, they are shipped as a text.
#[derive(Serialize)]
#[serde(untagged)]
enum Details<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

impl<'a> Details<'a> {
    fn of(text: &'a str) -> Details<'a> {
        serde_json::from_str(text).map_or(Details::Text(text), Details::Json)
    }
}

/// The line of a row.
pub fn render(row: &AuditEvent, log: &LogIdentity, restamp: Option<Restamp>) -> String {
    let personal = row.personal.as_ref();
    to_text(&Line {
        timestamp: &row.at.to_rfc3339(),
        user_id: row.person.map(PersonId::get),
        action: &row.action,
        details: Details::of(&row.details),
        ip_address: row.ip.as_deref(),
        id: row.id,
        hash: row.hash.to_string(),
        previous_hash: row.previous_hash.to_string(),
        database_id: &log.database_id,
        stream: &log.stream,
        schema: SCHEMA,
        late: matches!(restamp, Some(Restamp::Late(_))),
        ahead: matches!(restamp, Some(Restamp::Ahead(_))),
        shipped_at: shipped_at(restamp),
        personal: personal.map(|personal| Details::of(&personal.details)),
        personal_salt: personal.map(Personal::salt_hex),
    })
}

fn shipped_at(restamp: Option<Restamp>) -> Option<String> {
    restamp.map(|restamp| match restamp {
        Restamp::Late(at) | Restamp::Ahead(at) => at.to_rfc3339(),
    })
}

#[derive(Serialize)]
struct PartLine<'a> {
    id: AuditId,
    hash: String,
    database_id: &'a str,
    stream: &'a str,
    schema: u32,
    part: usize,
    parts: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipped_at: Option<String>,
    text: &'a str,
}

/// Numbers and texts always have a JSON form.
fn to_text(line: &impl Serialize) -> String {
    serde_json::to_string(line).unwrap_or_default()
}

/// The line of a row ([`render`]) as it is, or in numbered parts of at most `longest` bytes each; their texts together are the
/// line.
pub fn split(
    line: String,
    row: &AuditEvent,
    log: &LogIdentity,
    restamp: Option<Restamp>,
    longest: usize,
) -> Vec<String> {
    if line.len() <= longest {
        return vec![line];
    }
    let part = |part, parts, text| PartLine {
        id: row.id,
        hash: row.hash.to_string(),
        database_id: &log.database_id,
        stream: &log.stream,
        schema: SCHEMA,
        part,
        parts,
        shipped_at: shipped_at(restamp),
        text,
    };
    // As if there were as many parts as can be: no number is then longer than was counted.
    let envelope = to_text(&part(line.len(), line.len(), "")).len();
    let room = longest.saturating_sub(envelope).max(LONGEST_ESCAPE);
    let mut texts = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (index, character) in line.char_indices() {
        let size = escaped_len(character);
        if used + size > room {
            texts.push(&line[start..index]);
            (start, used) = (index, 0);
        }
        used += size;
    }
    texts.push(&line[start..]);
    let parts = texts.len();
    (1..).zip(texts).map(|(number, text)| to_text(&part(number, parts, text))).collect()
}

/// `\u001f`
const LONGEST_ESCAPE: usize = 6;

/// How many bytes JSON needs for a character.
fn escaped_len(character: char) -> usize {
    match character {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..='\u{1f}' => LONGEST_ESCAPE,
        other => other.len_utf8(),
    }
}

/// A line that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A whole event.
    Whole(Box<ShippedEvent>),
    /// A part of one.
    Part(EventPart),
}

impl Parsed {
    /// The stream that the line names.
    pub fn stream(&self) -> &str {
        match self {
            Parsed::Whole(event) => &event.stream,
            Parsed::Part(part) => &part.stream,
        }
    }
}

/// An event that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShippedEvent {
    /// The row's number.
    pub id: AuditId,
    /// The log that it belongs to.
    pub stream: String,
    /// The hash that the event claims.
    pub hash: Hash,
    /// What its own fields hash to.
    pub recomputed: Hash,
    /// What it says that `verify` needs to know.
    pub about: Option<Box<About>>,
    /// Whether what it says of somebody by name is what its details carry the hash of. Where it says nothing, it was erased
    /// before the row was shipped.
    pub personal_holds: bool,
}

/// A part of an event that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPart {
    /// The row's number.
    pub id: AuditId,
    /// The log that it belongs to.
    pub stream: String,
    /// The row's hash.
    pub hash: Hash,
    /// 1, 2, 3, ...
    pub part: usize,
    /// How many there are.
    pub parts: usize,
    /// When the row was sent under another time than its own, if it was.
    pub shipped_at: Option<String>,
    /// The piece of the event's line.
    pub text: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: i64,
    hash: String,
    stream: String,
    schema: u32,
    part: Option<usize>,
    parts: Option<usize>,
    text: Option<String>,
    shipped_at: Option<String>,
    #[serde(default)]
    timestamp: String,
    user_id: Option<i64>,
    #[serde(default)]
    action: String,
    #[serde(borrow)]
    details: Option<&'a RawValue>,
    ip_address: Option<String>,
    previous_hash: Option<String>,
    #[serde(borrow)]
    personal: Option<&'a RawValue>,
    personal_salt: Option<String>,
}

/// Reads a line back. `None` where it is not one of this format.
pub fn parse(line: &str) -> Option<Parsed> {
    let read: Envelope<'_> = serde_json::from_str(line).ok()?;
    let (id, hash) = (AuditId::new(read.id)?, Hash::parse(&read.hash)?);
    if read.schema != SCHEMA {
        return None;
    }
    if let (Some(part), Some(parts), Some(text)) = (read.part, read.parts, read.text) {
        let in_range = (1..=parts).contains(&part);
        let (stream, shipped_at) = (read.stream, read.shipped_at);
        return in_range.then_some(Parsed::Part(EventPart { id, stream, hash, part, parts, shipped_at, text }));
    }
    let person = match read.user_id {
        Some(number) => Some(PersonId::new(number)?),
        None => None,
    };
    let fields = HashedFields {
        id,
        at: &read.timestamp,
        person,
        action: &read.action,
        details: read.details?.get(),
        ip: read.ip_address.as_deref(),
    };
    let previous_hash = Hash::parse(&read.previous_hash?)?;
    let recomputed = chain_hash(&previous_hash, &fields);
    let about = About::of(&fields, previous_hash, recomputed).map(Box::new);
    let personal_holds = match (read.personal, read.personal_salt) {
        (None, None) => true,
        (Some(personal), Some(salt)) => {
            Personal::from_hex(&salt, personal.get()).is_some_and(|it| it.is_of(fields.details))
        }
        _ => false,
    };
    Some(Parsed::Whole(Box::new(ShippedEvent { id, stream: read.stream, hash, recomputed, about, personal_holds })))
}

/// Puts the parts of oversize events together again, in whatever order and however often they come.
#[derive(Default)]
pub struct Assembly {
    waiting: BTreeMap<Cut, BTreeMap<usize, String>>,
}

/// One way in which a row was cut: sent again under another time, its parts are others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cut {
    stream: String,
    row: AuditId,
    hash: String,
    parts: usize,
    shipped_at: Option<String>,
}

impl Assembly {
    /// Takes a part; gives the event once its last part is there. Parts that make no event give an error.
    pub fn add(&mut self, part: EventPart) -> Result<Option<ShippedEvent>, (String, AuditId)> {
        let (id, parts) = (part.id, part.parts);
        let key = Cut { stream: part.stream, row: id, hash: part.hash.to_string(), parts, shipped_at: part.shipped_at };
        let collected = self.waiting.entry(key.clone()).or_default();
        collected.insert(part.part, part.text);
        if collected.len() < parts {
            return Ok(None);
        }
        let line: String = collected.values().map(String::as_str).collect();
        self.waiting.remove(&key);
        match parse(&line) {
            Some(Parsed::Whole(event)) if event.id == id && event.stream == key.stream => Ok(Some(*event)),
            _ => Err((key.stream, id)),
        }
    }

    /// The streams and rows of which parts are left that make no whole; the row may have come whole beside them.
    pub fn incomplete(&self) -> impl Iterator<Item = (&str, AuditId)> + '_ {
        self.waiting.keys().map(|cut| (cut.stream.as_str(), cut.row))
    }
}

#[cfg(test)]
mod tests;
