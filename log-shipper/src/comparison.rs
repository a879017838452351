//! Every row of every stream of a copy, compared with the local log. Pure; the copy comes in pages, in any order, with rows
//! twice. It takes a few bits for each row, and what [`crate::lineage`] needs to judge the streams.

use std::collections::BTreeMap;

use store::{AuditId, Hash, Timestamp};

use crate::config::AUDIT_RETENTION_DAYS;
use crate::event::{Assembly, Parsed, ShippedEvent, parse};
use crate::lineage::{self, JudgedStream, Role, StreamFacts, Wanted};
use crate::report::{Difference, Kind, Report, StreamReport};
use crate::scope::Scope;
use crate::stream_rows::StreamRows;

/// Differences that are listed; more are only counted.
pub const LISTED: usize = 1_000;

/// Streams that are told apart; a clinic makes one at each restore. Lines of more are counted as unreadable.
const MOST_STREAMS: usize = 1_000;

/// A comparison under way.
pub struct Comparison {
    scope: Scope,
    streams: BTreeMap<String, StreamRows>,
    assembly: Assembly,
    unreadable: u64,
}

impl Comparison {
    /// Begins to compare; `wanted` is what [`Comparison::wanted`] gives.
    pub fn new(scope: Scope, wanted: BTreeMap<String, Wanted>) -> Comparison {
        let streams = wanted.into_iter().map(|(name, wanted)| (name, StreamRows::new(wanted))).collect();
        Comparison { scope, streams, assembly: Assembly::default(), unreadable: 0 }
    }

    /// What has to be looked up in the copy, as far as is known before it is read, and after it.
    pub fn wanted(&self) -> BTreeMap<String, Wanted> {
        lineage::wanted(&self.scope, &self.facts())
    }

    /// Takes note that the copy has a stream, which may be empty.
    pub fn found(&mut self, name: &str, created: Option<Timestamp>) {
        if let Some(stream) = self.stream(name) {
            stream.facts.created = created.or(stream.facts.created);
        }
    }

    /// The stream, which is there; none where there are too many.
    fn stream(&mut self, name: &str) -> Option<&mut StreamRows> {
        if self.streams.len() >= MOST_STREAMS && !self.streams.contains_key(name) {
            return None;
        }
        let stream = self.streams.entry(name.to_owned()).or_default();
        stream.facts.is_there = true;
        Some(stream)
    }

    /// The events among these lines; what cannot be read is noted. In a `section` of its own, a stream has no other's lines.
    pub fn read(&mut self, section: Option<&str>, lines: &[String]) -> Vec<ShippedEvent> {
        let mut events = Vec::with_capacity(lines.len());
        for line in lines {
            let parsed = parse(line).filter(|parsed| section.is_none_or(|name| name == parsed.stream()));
            match parsed {
                None => self.unreadable += 1,
                Some(Parsed::Whole(event)) => events.push(*event),
                Some(Parsed::Part(part)) => match self.assembly.add(part) {
                    Ok(event) => events.extend(event),
                    Err((stream, id)) => self.add_altered(&stream, id),
                },
            }
        }
        events
    }

    fn add_altered(&mut self, stream: &str, id: AuditId) {
        let is_asked = self.scope.asks_for(id);
        if let Some(stream) = self.stream(stream)
            && is_asked
        {
            stream.add_altered(id);
        }
    }

    /// Compares events with what the local rows hash to; `local` has every local row among them.
    pub fn compare(&mut self, events: &[ShippedEvent], local: &BTreeMap<AuditId, Hash>) {
        let newest = self.scope.last;
        for event in events {
            let is_asked = self.scope.asks_for(event.id);
            match self.stream(&event.stream) {
                Some(stream) => stream.compare(event, is_asked, local.get(&event.id), newest),
                None => self.unreadable += 1,
            }
        }
    }

    fn facts(&self) -> BTreeMap<String, StreamFacts> {
        let there = self.streams.iter().filter(|(_, stream)| stream.facts.is_there);
        there.map(|(name, stream)| (name.clone(), stream.facts.clone())).collect()
    }

    /// The end of the copy.
    pub fn finish(mut self) -> Report {
        self.add_incomplete();
        let judged = lineage::judge(&self.scope, &self.facts());
        let mut report = Report::of(&self.scope);
        for stream in &judged {
            self.report_stream(&mut report, stream);
        }
        if self.unreadable > 0 {
            report.differences.push(Difference::of(Kind::Unreadable, None, None, None));
            report.more_differences += self.unreadable - 1;
        }
        if let Some(days) = self.scope.retention_days.filter(|days| *days < AUDIT_RETENTION_DAYS) {
            report.differences.push(Difference::retention(days, AUDIT_RETENTION_DAYS));
        }
        report.differences.sort_by_key(|difference| (difference.id, difference.kind));
        report.more_differences += report.differences.len().saturating_sub(LISTED) as u64;
        report.differences.truncate(LISTED);
        report.agrees = report.differences.is_empty() && report.more_differences == 0;
        report
    }

    /// Rows of which only parts came are altered, unless there is a reason: a kill may leave parts of a row that was sent
    /// again, whole, and so may giving up on one.
    fn add_incomplete(&mut self) {
        for (name, id) in self.assembly.incomplete() {
            let Some(stream) = self.streams.get_mut(name) else { continue };
            let is_quarantined = self.scope.quarantined.get(name).is_some_and(|rows| rows.contains(&id));
            if self.scope.asks_for(id) && !is_quarantined && !stream.explains_parts_of(id) {
                stream.add_altered(id);
            }
        }
    }

    /// Adds what there is to say of one stream.
    fn report_stream(&self, report: &mut Report, judged: &JudgedStream) {
        let empty = StreamRows::default();
        let rows = self.streams.get(&judged.name).unwrap_or(&empty);
        if let Some((restore, proof)) = &judged.restore {
            report.differences.extend(Difference::of_restore(restore, *proof));
        }
        let (checked, given_up) = match judged.role {
            Role::Current | Role::Before | Role::GivenUp => rows.report(report, judged, &self.scope),
            Role::Unexplained | Role::PastRetention | Role::NotAsked => (0, None),
        };
        if judged.role == Role::Unexplained && !judged.fails_verification() {
            report.differences.push(Difference::unexplained(&judged.name));
        }
        if judged.role == Role::Current {
            report.checked = checked;
            report.quarantined = self.scope.quarantined.get(&judged.name).into_iter().flatten().copied().collect();
        }
        report.given_up_by_restores += given_up.map_or(0, |rows| rows.rows);
        // A restore that is not in the copy is told by its difference; the local log's own stream is always told.
        if rows.facts.is_there || judged.role == Role::Current || judged.fails_verification() {
            report.streams.push(StreamReport::of(judged, checked, given_up));
        }
    }
}

#[cfg(test)]
mod tests;
