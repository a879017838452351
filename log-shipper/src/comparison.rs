//! Every row of every stream of a copy, held against the local log. Pure; the copy comes in pages, in any order, with rows
//! twice. It takes a bit or two for each row, and what [`crate::lineage`] needs to tell the story of the streams.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use store::{AuditId, Hash, Timestamp};

use crate::event::{About, Assembly, Parsed, ShippedEvent, parse};
use crate::lineage::{self, Chapter, LocalRestore, Place, Setting, StreamFacts, Watch};
use crate::rows::Rows;
use crate::verify::{Difference, GivenUpRows, Kind, Report, StreamReport};

/// Differences that are listed; more are only counted.
const LISTED: usize = 1_000;

/// Streams that are told apart; a clinic makes one at each restore. Lines of more are counted as unreadable.
const MOST_STREAMS: usize = 1_000;

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// What the books and the local log say of the range that is compared.
#[derive(Clone, Debug)]
pub struct Range {
    /// The first row.
    pub first: AuditId,
    /// The last row of the local log that is compared.
    pub last: AuditId,
    /// Rows of the copy after this one are not asked for; none where the end of the copy is compared as well.
    pub until: Option<AuditId>,
    /// By stream: up to here rows were shipped or quarantined.
    pub cursors: BTreeMap<String, AuditId>,
    /// By stream: rows that were given up on.
    pub quarantined: BTreeMap<String, BTreeSet<AuditId>>,
    /// Rows before this one are older than the copy keeps them.
    pub kept_from: AuditId,
}

/// The local log's restores, and how the place keeps rows.
#[derive(Clone, Debug)]
pub struct Background {
    /// The database's id.
    pub database_id: String,
    /// Its restores, oldest first.
    pub restores: Vec<LocalRestore>,
    /// How many days the place keeps rows; none for without end.
    pub retention_days: Option<i32>,
    /// How many it must.
    pub wanted_days: i32,
    /// The present.
    pub now: Timestamp,
}

impl Background {
    fn setting(&self, range: &Range) -> Setting<'_> {
        let days = self.retention_days.map(|days| u64::from(days.unsigned_abs()));
        Setting {
            database_id: &self.database_id,
            local: &self.restores,
            first: range.first,
            until: range.until,
            kept: days.map(|days| Duration::from_secs(days * SECONDS_A_DAY)),
            now: self.now,
        }
    }
}

/// What is known of one stream.
#[derive(Default)]
struct Stream {
    facts: StreamFacts,
    /// Rows that are the local log's.
    agreed: Rows,
    /// Rows that are another one in the local log.
    different: Rows,
    /// Rows that the local log does not have.
    gone: Rows,
    /// Rows that are not what their own hash covers.
    altered: Rows,
    /// All of these.
    seen: Rows,
    /// Rows that the stream itself says were given up on.
    quarantined: BTreeSet<AuditId>,
}

impl Stream {
    fn add(&mut self, id: AuditId, kind: impl FnOnce(&mut Stream) -> &mut Rows) {
        self.seen.add(id);
        kind(self).add(id);
    }

    /// Takes note of what the story needs.
    fn note(&mut self, event: &ShippedEvent) {
        if let Some(hashes) = self.facts.heads.get_mut(&event.id)
            && !hashes.contains(&event.hash)
        {
            hashes.push(event.hash);
        }
        match event.about.as_deref() {
            Some(About::Restored(record)) => {
                self.facts.restores.insert(event.id, record.clone());
            }
            Some(About::Backup(backup)) => {
                if let Some(rows) = self.facts.backups.get_mut(&backup.name)
                    && !rows.contains(backup)
                {
                    rows.push(backup.clone());
                }
            }
            Some(About::GivenUpOn(row)) => {
                self.quarantined.insert(*row);
            }
            None => {}
        }
    }
}

/// A comparison under way.
pub struct Comparison {
    range: Range,
    background: Background,
    streams: BTreeMap<String, Stream>,
    assembly: Assembly,
    unreadable: u64,
}

impl Comparison {
    /// Begins to compare the rows of a range; `watch` is what [`Comparison::watches`] gives.
    pub fn new(range: Range, background: Background, watch: BTreeMap<String, Watch>) -> Comparison {
        let mut comparison = Comparison {
            range,
            background,
            streams: BTreeMap::new(),
            assembly: Assembly::default(),
            unreadable: 0,
        };
        for (name, watch) in watch {
            // A stream of which there is no line must not look as if it were in the copy: see `facts`.
            let facts = &mut comparison.streams.entry(name).or_default().facts;
            facts.heads = watch.heads.into_iter().map(|id| (id, Vec::new())).collect();
            facts.backups = watch.backups.into_iter().map(|name| (name, Vec::new())).collect();
        }
        comparison
    }

    /// What the story needs to see, as far as is known before the copy is read, and after it.
    pub fn watches(&self) -> BTreeMap<String, Watch> {
        lineage::watches(&self.background.setting(&self.range), &self.facts())
    }

    /// Takes note that the place has a stream, which may be empty.
    pub fn found(&mut self, name: &str, created: Option<Timestamp>) {
        if let Some(stream) = self.stream(name) {
            stream.facts.created = created.or(stream.facts.created);
            stream.facts.is_there = true;
        }
    }

    /// The stream, unless there are too many.
    fn stream(&mut self, name: &str) -> Option<&mut Stream> {
        if self.streams.len() >= MOST_STREAMS && !self.streams.contains_key(name) {
            return None;
        }
        Some(self.streams.entry(name.to_owned()).or_default())
    }

    fn asks_for(&self, id: AuditId) -> bool {
        id >= self.range.first && self.range.until.is_none_or(|until| id <= until)
    }

    /// The events among these lines; what cannot be read is noted.
    pub fn read(&mut self, lines: &[String]) -> Vec<ShippedEvent> {
        let mut events = Vec::with_capacity(lines.len());
        for line in lines {
            match parse(line) {
                None => self.unreadable += 1,
                Some(Parsed::Whole(event)) => events.push(*event),
                Some(Parsed::Part(part)) => match self.assembly.add(part) {
                    Ok(event) => events.extend(event),
                    Err((stream, id)) => {
                        self.found(&stream, None);
                        if self.asks_for(id)
                            && let Some(stream) = self.stream(&stream)
                        {
                            stream.add(id, |stream| &mut stream.altered);
                        }
                    }
                },
            }
        }
        events
    }

    /// Compares events with what the local rows hash to; `local` has every local row among them.
    pub fn compare(&mut self, events: &[ShippedEvent], local: &BTreeMap<AuditId, Hash>) {
        let newest = self.range.last;
        for event in events {
            let asked = self.asks_for(event.id);
            let Some(stream) = self.stream(&event.stream) else {
                self.unreadable += 1;
                continue;
            };
            stream.facts.is_there = true;
            let is_sound = event.recomputed == event.hash;
            if is_sound {
                stream.note(event);
            }
            if !asked {
                continue;
            }
            stream.facts.last = stream.facts.last.max(Some(event.id));
            match local.get(&event.id) {
                _ if !is_sound => stream.add(event.id, |stream| &mut stream.altered),
                None => stream.add(event.id, |stream| &mut stream.gone),
                Some(hash) if *hash == event.hash => stream.add(event.id, |stream| &mut stream.agreed),
                // Written since the comparison began.
                Some(_) if event.id > newest => {}
                Some(_) => stream.add(event.id, |stream| &mut stream.different),
            }
        }
    }

    fn facts(&self) -> BTreeMap<String, StreamFacts> {
        let there = self.streams.iter().filter(|(_, stream)| stream.facts.is_there);
        there.map(|(name, stream)| (name.clone(), stream.facts.clone())).collect()
    }

    /// The end of the copy.
    pub fn finish(mut self) -> Report {
        for (name, id) in self.assembly.incomplete() {
            let Some(stream) = self.streams.get_mut(name) else { continue };
            // A kill may leave parts of a row behind that was sent again, whole; so may giving up on it.
            let given_up = self.range.quarantined.get(name).is_some_and(|rows| rows.contains(&id));
            let is_explained = given_up || stream.quarantined.contains(&id) || stream.agreed.has(id);
            let asked = id >= self.range.first && self.range.until.is_none_or(|until| id <= until);
            if asked && !is_explained {
                stream.add(id, |stream| &mut stream.altered);
            }
        }
        let setting = self.background.setting(&self.range);
        let chapters = lineage::tell(&setting, &self.facts());
        let current = chapters.iter().find(|chapter| chapter.place == Place::Current);
        let current = current.map_or_else(String::new, |chapter| chapter.stream.clone());
        let (first, last) = (self.range.first, self.range.last);
        let days = self.background.retention_days;
        let mut report = Report {
            agrees: false,
            first,
            last,
            checked: 0,
            not_yet_shipped: 0,
            quarantined: self.range.quarantined.get(&current).into_iter().flatten().copied().collect(),
            older_than_retention: 0,
            given_up_by_restores: 0,
            retention_days: days,
            streams: Vec::with_capacity(chapters.len()),
            differences: Vec::new(),
            more_differences: 0,
        };
        let empty = Stream::default();
        for chapter in &chapters {
            let stream = self.streams.get(&chapter.stream).unwrap_or(&empty);
            self.tell_stream(&mut report, chapter, stream);
        }
        if self.unreadable > 0 {
            report.differences.push(Difference::of(Kind::Unreadable, None, None, None));
            report.more_differences += self.unreadable - 1;
        }
        if let Some(days) = days.filter(|days| *days < self.background.wanted_days) {
            report.differences.push(Difference::retention(days, self.background.wanted_days));
        }
        report.differences.sort_by_key(|difference| (difference.id, difference.kind));
        report.more_differences += report.differences.len().saturating_sub(LISTED) as u64;
        report.differences.truncate(LISTED);
        report.agrees = report.differences.is_empty() && report.more_differences == 0;
        report
    }

    /// Adds what there is to tell of one stream.
    fn tell_stream(&self, report: &mut Report, chapter: &Chapter, stream: &Stream) {
        if let Some((joint, proof)) = &chapter.joint {
            report.differences.extend(Difference::of_joint(joint, *proof));
        }
        let is_faulty = chapter.joint.as_ref().is_some_and(|(_, proof)| proof.is_fault());
        match chapter.place {
            Place::Current | Place::Before | Place::GivenUp => {}
            Place::Unexplained if !is_faulty => report.differences.push(Difference::unexplained(&chapter.stream)),
            Place::Unexplained | Place::PastRetention | Place::NotAsked => {}
        }
        let (checked, given_up) = match chapter.place {
            Place::Current | Place::Before | Place::GivenUp => self.compare_stream(report, chapter, stream),
            Place::Unexplained | Place::PastRetention | Place::NotAsked => (0, None),
        };
        if chapter.place == Place::Current {
            report.checked = checked;
        }
        report.given_up_by_restores += given_up.map_or(0, |rows| rows.rows);
        // A stream that there is neither here nor there needs no line, but that of the local log is always told.
        if stream.facts.is_there || chapter.place == Place::Current || is_faulty {
            report.streams.push(StreamReport::of(chapter, checked, given_up));
        }
    }

    /// Adds what differs in one stream; gives how many of its rows agree, and those that were given up.
    fn compare_stream(
        &self,
        report: &mut Report,
        chapter: &Chapter,
        stream: &Stream,
    ) -> (u64, Option<GivenUpRows>) {
        let range = &self.range;
        let is_current = chapter.place == Place::Current;
        let name = (!is_current).then_some(chapter.stream.as_str());
        let is_shared = |id: &AuditId| chapter.shared_to.is_none_or(|shared| *id <= shared);
        let mut faults = Faults::default();
        for id in stream.altered.iter() {
            faults.add(Kind::Altered, id, id);
        }
        for id in stream.different.iter().filter(is_shared) {
            faults.add(if stream.agreed.has(id) { Kind::Conflicting } else { Kind::Changed }, id, id);
        }
        for id in stream.gone.iter().filter(is_shared) {
            faults.add_to_run(Kind::GoneHere, id, id);
        }
        // Of a stream from before a restore the books were restored as well: what it has proves how far it came.
        let newest = stream.facts.last.unwrap_or(AuditId::ZERO);
        let cursor = range.cursors.get(&chapter.stream).copied().unwrap_or(AuditId::ZERO);
        let shared_end = chapter.shared_to.map_or(range.last, |shared| shared.min(range.last));
        let shipped_to = if is_current { cursor } else { cursor.max(newest).min(shared_end) };
        let none = BTreeSet::new();
        let given_up_on: BTreeSet<AuditId> =
            range.quarantined.get(&chapter.stream).unwrap_or(&none).union(&stream.quarantined).copied().collect();
        let mut checked = 0;
        for number in range.first.get()..=(if is_current { range.last } else { shipped_to }).get() {
            let Some(id) = AuditId::new(number) else { continue };
            if stream.agreed.has(id) {
                checked += 1;
            } else if id > shipped_to {
                report.not_yet_shipped += 1;
            } else if id < range.kept_from {
                report.older_than_retention += 1;
            } else if !stream.seen.has(id) && !given_up_on.contains(&id) {
                faults.add_to_run(Kind::Missing, id, id);
            }
        }
        // Beyond, rows are walked by those that are there: numbers that somebody else wrote can be as high as they like.
        let mut given_up: Option<GivenUpRows> = None;
        let mut before = chapter.shared_to.unwrap_or(AuditId::ZERO).max(row_before(range.first));
        let keeps_all = self.background.retention_days.is_none();
        let oldest = stream.seen.first();
        for id in stream.seen.iter().filter(|id| !is_shared(id)) {
            let rows = given_up.get_or_insert(GivenUpRows { from: id, to: id, rows: 0 });
            (rows.to, rows.rows) = (id, rows.rows + 1);
            // A stream loses its oldest rows first, so that only a gap at its start can be its age.
            if !keeps_all && Some(id) == oldest {
                report.older_than_retention += (id.get() - before.get() - 1).unsigned_abs();
            } else {
                for (from, to) in gaps(before, id, &given_up_on) {
                    faults.add_to_run(Kind::Missing, from, to);
                }
            }
            before = id;
        }
        report.more_differences += faults.more;
        report.differences.extend(faults.listed.iter().map(|(kind, id, to)| Difference::of(*kind, Some(*id), Some(*to), name)));
        (checked, given_up)
    }
}

/// The runs of rows between two that are there, without those that were given up on.
fn gaps(before: AuditId, id: AuditId, given_up_on: &BTreeSet<AuditId>) -> Vec<(AuditId, AuditId)> {
    let (mut runs, mut from) = (Vec::new(), before.next());
    let stops = given_up_on.range(from..id).copied().chain([id]).collect::<Vec<_>>();
    for stop in stops {
        if from < stop {
            runs.push((from, row_before(stop)));
        }
        from = stop.next();
    }
    runs
}

fn row_before(id: AuditId) -> AuditId {
    AuditId::new(id.get() - 1).unwrap_or(AuditId::ZERO)
}

/// Rows with a fault, single ones or runs of them: as many as are listed of each kind, and how many more.
#[derive(Default)]
struct Faults {
    listed: Vec<(Kind, AuditId, AuditId)>,
    counts: BTreeMap<Kind, usize>,
    more: u64,
}

impl Faults {
    fn add(&mut self, kind: Kind, from: AuditId, to: AuditId) {
        let count = self.counts.entry(kind).or_default();
        if *count < LISTED {
            *count += 1;
            self.listed.push((kind, from, to));
        } else {
            self.more += 1;
        }
    }

    /// Rows of one kind come one after the other, lowest first.
    fn add_to_run(&mut self, kind: Kind, from: AuditId, to: AuditId) {
        match self.listed.last_mut() {
            Some((last, _, end)) if *last == kind && end.next() == from => *end = to,
            _ => self.add(kind, from, to),
        }
    }
}

#[cfg(test)]
#[path = "comparison_tests.rs"]
mod tests;
