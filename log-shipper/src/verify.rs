//! Holding the copy against the local chain. This is what finds an intruder who has the key and the machine and has
//! rewritten the local chain, hashes and all: they cannot rewrite the copy.
//!
//! The comparison is pure and takes a bit for each row; the copy comes in pages, in any order, with rows twice.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use store::{AuditId, Hash, Timestamp};

use crate::event::{Assembly, Parsed, ShippedEvent, parse};

/// Differences that are listed; more are only counted.
const LISTED: usize = 1_000;

/// Where a comparison begins or ends, as somebody typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A row's number.
    Row(AuditId),
    /// A time.
    Time(Timestamp),
}

impl Bound {
    /// Whether a comparison from here to `to` would compare nothing, whatever there is.
    pub fn is_after(&self, to: &Bound) -> bool {
        match (self, to) {
            (Bound::Row(from), Bound::Row(to)) => from > to,
            (Bound::Time(from), Bound::Time(to)) => from >= to,
            _ => false,
        }
    }

    /// Reads a row's number, a date, or an RFC 3339 time.
    pub fn parse(text: &str) -> Result<Bound, String> {
        if let Ok(row) = text.parse() {
            return Ok(Bound::Row(row));
        }
        Timestamp::parse_rfc3339(text)
            .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
            .map(Bound::Time)
            .ok_or_else(|| {
                format!("`{text}` is neither a row's number nor a time such as 2026-11-01 or 2026-11-01T08:00:00Z")
            })
    }
}

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
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Kind::Missing => "was shipped and is missing in the copy",
            Kind::Changed => "is not the row that was shipped: the local log was changed",
            Kind::Altered => "was altered in the copy: it is not what its hash covers",
            Kind::Conflicting => "is in the copy twice, and differently",
            Kind::GoneHere => "is in the copy and not in the local log any more",
            Kind::Unreadable => "of the copy cannot be read",
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
    /// The same in words.
    pub words: String,
}

impl Difference {
    fn of(kind: Kind, id: Option<AuditId>, to: Option<AuditId>) -> Difference {
        let to = to.filter(|to| Some(*to) != id);
        let what = match (id, to) {
            (Some(id), Some(to)) => format!("rows {id} to {to}: each"),
            (Some(id), None) => format!("row {id}"),
            (None, _) => "a line".to_owned(),
        };
        Difference { kind, id, to, words: format!("{what} {}", kind.words()) }
    }
}

/// What the books and the local log say of the range that is compared.
#[derive(Clone, Debug)]
pub struct Range {
    /// The first row.
    pub first: AuditId,
    /// The last row of the local log that is compared.
    pub last: AuditId,
    /// Rows of the copy after this one are not asked for; none where the end of the copy is compared as well.
    pub until: Option<AuditId>,
    /// Up to here rows were shipped or quarantined.
    pub cursor: AuditId,
    /// Rows that were given up on.
    pub quarantined: BTreeSet<AuditId>,
    /// Rows before this one are older than the copy keeps them.
    pub kept_from: AuditId,
}

impl Range {
    fn asks_for(&self, id: AuditId) -> bool {
        id >= self.first && self.until.is_none_or(|until| id <= until)
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
    /// How many rows of the copy agree with the local log.
    pub checked: u64,
    /// Rows that are not shipped yet.
    pub not_yet_shipped: u64,
    /// Rows that were given up on.
    pub quarantined: Vec<AuditId>,
    /// Rows that the copy has let go after its retention.
    pub older_than_retention: u64,
    /// What differs.
    pub differences: Vec<Difference>,
    /// How many differences are not listed.
    pub more_differences: u64,
}

impl Report {
    /// Whether rows are missing in the copy, and nothing else is wrong: a copy that shows late looks like that.
    pub fn only_misses(&self) -> bool {
        !self.agrees && self.differences.iter().all(|difference| difference.kind == Kind::Missing)
    }
}

/// A comparison under way.
pub struct Comparison {
    range: Range,
    stream: String,
    agreed: Bits,
    assembly: Assembly,
    altered: Found,
    different: Found,
    beyond: Found,
    unreadable: u64,
}

/// Rows with a fault: as many as are listed, and how many in all.
#[derive(Default)]
struct Found {
    rows: BTreeSet<AuditId>,
    more: u64,
}

impl Found {
    fn add(&mut self, id: AuditId) {
        if self.rows.len() < LISTED {
            self.rows.insert(id);
        } else if !self.rows.contains(&id) {
            self.more += 1;
        }
    }
}

impl Comparison {
    /// Begins to compare the rows of a range, as they stand in the copy under the name `stream`.
    pub fn new(range: Range, stream: &str) -> Comparison {
        let agreed = Bits::new(range.first, range.last);
        let found = Found::default;
        let stream = stream.to_owned();
        Comparison {
            range,
            stream,
            agreed,
            assembly: Assembly::default(),
            altered: found(),
            different: found(),
            beyond: found(),
            unreadable: 0,
        }
    }

    /// The events among these lines that belong to the log; what cannot be read is noted.
    pub fn read(&mut self, lines: &[String]) -> Vec<ShippedEvent> {
        let mut events = Vec::with_capacity(lines.len());
        for line in lines {
            match parse(line) {
                None => self.unreadable += 1,
                Some(Parsed::Whole(event)) if event.stream == self.stream => events.push(*event),
                Some(Parsed::Part(part)) if part.stream == self.stream => match self.assembly.add(part) {
                    Ok(event) => events.extend(event),
                    Err(id) if self.range.asks_for(id) => self.altered.add(id),
                    Err(_) => {}
                },
                Some(_) => {}
            }
        }
        events
    }

    /// Compares events with what the local rows hash to; `local` has every local row among them.
    pub fn compare(&mut self, events: &[ShippedEvent], local: &BTreeMap<AuditId, Hash>) {
        for event in events.iter().filter(|event| self.range.asks_for(event.id)) {
            if event.recomputed != event.hash {
                self.altered.add(event.id);
                continue;
            }
            match local.get(&event.id) {
                None => self.beyond.add(event.id),
                // Written since the comparison began.
                Some(_) if event.id > self.range.last => {}
                Some(hash) if *hash == event.hash => self.agreed.set(event.id),
                Some(_) => self.different.add(event.id),
            }
        }
    }

    /// Whether the copy has the row, and differently. Where not every such row is listed, one that does not agree is taken
    /// for one of those.
    fn has_fault(&self, id: AuditId) -> bool {
        [&self.altered, &self.different, &self.beyond].iter().any(|found| found.more > 0 || found.rows.contains(&id))
    }

    /// The end of the copy.
    pub fn finish(mut self) -> Report {
        for id in self.assembly.incomplete() {
            // A kill may leave parts of a row behind that was sent again, whole; so may giving up on it.
            let is_explained = self.agreed.has(id) || self.range.quarantined.contains(&id);
            if self.range.asks_for(id) && !is_explained {
                self.altered.add(id);
            }
        }
        let range = &self.range;
        let mut faults: Vec<(Kind, Option<AuditId>, Option<AuditId>)> = Vec::new();
        let mut more = self.altered.more + self.different.more + self.beyond.more;
        faults.extend(self.altered.rows.iter().map(|id| (Kind::Altered, Some(*id), None)));
        faults.extend(self.different.rows.iter().map(|id| {
            let kind = if self.agreed.has(*id) { Kind::Conflicting } else { Kind::Changed };
            (kind, Some(*id), None)
        }));
        faults.extend(ranges(self.beyond.rows.iter().copied()).map(|(id, to)| (Kind::GoneHere, Some(id), Some(to))));
        if self.unreadable > 0 {
            faults.push((Kind::Unreadable, None, None));
            more += self.unreadable - 1;
        }
        let (mut checked, mut not_yet_shipped, mut older_than_retention) = (0, 0, 0);
        let mut missing = Runs::default();
        for number in range.first.get()..=range.last.get() {
            let Some(id) = AuditId::new(number) else { continue };
            if self.agreed.has(id) {
                checked += 1;
            } else if id > range.cursor {
                not_yet_shipped += 1;
            } else if id < range.kept_from {
                older_than_retention += 1;
            } else if !range.quarantined.contains(&id) && !self.has_fault(id) {
                more += missing.add(id);
            }
        }
        faults.extend(missing.runs.iter().map(|(id, to)| (Kind::Missing, Some(*id), Some(*to))));
        faults.sort_by_key(|(kind, id, _)| (*id, *kind));
        let differences: Vec<_> = faults.into_iter().map(|(kind, id, to)| Difference::of(kind, id, to)).collect();
        Report {
            agrees: differences.is_empty() && more == 0,
            first: range.first,
            last: range.last,
            checked,
            not_yet_shipped,
            quarantined: range.quarantined.iter().copied().collect(),
            older_than_retention,
            differences,
            more_differences: more,
        }
    }
}

/// Rows that follow each other, as ranges; no more of them than are listed.
#[derive(Default)]
struct Runs {
    runs: Vec<(AuditId, AuditId)>,
}

impl Runs {
    /// Gives how many rows had to be left out.
    fn add(&mut self, id: AuditId) -> u64 {
        let is_full = self.runs.len() == LISTED;
        match self.runs.last_mut() {
            Some((_, last)) if last.get() + 1 == id.get() => *last = id,
            _ if is_full => return 1,
            _ => self.runs.push((id, id)),
        }
        0
    }
}

fn ranges(ids: impl Iterator<Item = AuditId>) -> impl Iterator<Item = (AuditId, AuditId)> {
    let mut runs = Runs::default();
    for id in ids {
        runs.add(id);
    }
    runs.runs.into_iter()
}

/// A bit for each row of a range.
struct Bits {
    first: i64,
    words: Vec<u64>,
}

impl Bits {
    fn new(first: AuditId, last: AuditId) -> Bits {
        let length = usize::try_from(last.get() - first.get() + 1).unwrap_or(0);
        Bits { first: first.get(), words: vec![0; length.div_ceil(64)] }
    }

    fn place(&self, id: AuditId) -> Option<(usize, u64)> {
        let index = usize::try_from(id.get() - self.first).ok()?;
        (index / 64 < self.words.len()).then_some((index / 64, 1 << (index % 64)))
    }

    fn set(&mut self, id: AuditId) {
        if let Some((word, bit)) = self.place(id) {
            self.words[word] |= bit;
        }
    }

    fn has(&self, id: AuditId) -> bool {
        self.place(id).is_some_and(|(word, bit)| self.words[word] & bit != 0)
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
