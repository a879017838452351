//! Lines of the copy, read back: whole events, and parts of those that were too long for one line.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use store::{AuditId, Hash, HashedFields, PersonId, Personal, chain_hash};

use super::SCHEMA;
use crate::about::About;

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
