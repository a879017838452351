//! An audit row as it is shipped: one line of JSON with exactly the fields that its hash covers, and the hash.
//!
//! Anyone who has a copy of the lines and the description of the hash (`store`'s `chain_hash`) can recompute the chain
//! with nothing else at hand. The details stand in the line byte for byte as they are stored. What stands beside the row of
//! somebody by name is in the line as well, with its salt, as long as it is there: the details carry its hash.

mod read;

pub use read::{Assembly, EventPart, Parsed, ShippedEvent, parse};
use serde::Serialize;
use serde_json::value::RawValue;
use store::{AuditEvent, AuditId, PersonId, Personal, Timestamp};

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
pub enum TimestampOverride {
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
pub fn render(row: &AuditEvent, log: &LogIdentity, time_override: Option<TimestampOverride>) -> String {
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
        late: matches!(time_override, Some(TimestampOverride::Late(_))),
        ahead: matches!(time_override, Some(TimestampOverride::Ahead(_))),
        shipped_at: shipped_at(time_override),
        personal: personal.map(|personal| Details::of(&personal.details)),
        personal_salt: personal.map(Personal::salt_hex),
    })
}

fn shipped_at(time_override: Option<TimestampOverride>) -> Option<String> {
    time_override.map(|time_override| match time_override {
        TimestampOverride::Late(at) | TimestampOverride::Ahead(at) => at.to_rfc3339(),
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
    time_override: Option<TimestampOverride>,
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
        shipped_at: shipped_at(time_override),
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

#[cfg(test)]
mod tests;
