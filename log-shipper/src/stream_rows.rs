//! The rows of one stream of the copy: how each compares with the local log, and which of them that makes missing, changed or
//! given up. See [`crate::comparison`].

use std::collections::{BTreeMap, BTreeSet};

use store::{AuditId, Hash};

use crate::about::About;
use crate::comparison::LISTED;
use crate::event::ShippedEvent;
use crate::lineage::{JudgedStream, Role, StreamFacts, Wanted};
use crate::report::{Difference, GivenUpRows, Kind, Report};
use crate::rows::Rows;
use crate::scope::Scope;

/// What is known of one stream. Rows may stand in several sets: the copy may hold them twice, and differently.
#[derive(Default)]
pub struct StreamRows {
    /// What its place among the streams is judged by.
    pub facts: StreamFacts,
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

impl StreamRows {
    /// A stream of which nothing is seen yet. It is not there until a line says so.
    pub fn new(wanted: Wanted) -> StreamRows {
        let mut stream = StreamRows::default();
        stream.facts.heads = wanted.heads.into_iter().map(|id| (id, Vec::new())).collect();
        stream.facts.backups = wanted.backups.into_iter().map(|name| (name, Vec::new())).collect();
        stream
    }

    /// Takes note of an event; of one that is not asked for only what it says of restores and backups. `local` is what the
    /// local row hashes to, and `newest` the last local row that is compared.
    pub fn compare(&mut self, event: &ShippedEvent, is_asked: bool, local: Option<&Hash>, newest: AuditId) {
        let is_sound = event.recomputed == event.hash && event.personal_holds;
        if is_sound {
            self.note(event);
        }
        if !is_asked {
            return;
        }
        let id = event.id;
        self.facts.last = self.facts.last.max(Some(id));
        let set = match local {
            _ if !is_sound => &mut self.altered,
            None => &mut self.gone,
            Some(hash) if *hash == event.hash => &mut self.agreed,
            // Written since the comparison began.
            Some(_) if id > newest => return,
            Some(_) => &mut self.different,
        };
        set.add(id);
        self.seen.add(id);
    }

    /// Takes note of a row whose parts do not fit together.
    pub fn add_altered(&mut self, id: AuditId) {
        self.altered.add(id);
        self.seen.add(id);
    }

    /// Whether parts of a row may be left: it is there whole as well, or was given up on.
    pub fn explains_parts_of(&self, id: AuditId) -> bool {
        self.agreed.has(id) || self.quarantined.contains(&id)
    }

    fn note(&mut self, event: &ShippedEvent) {
        if let Some(hashes) = self.facts.heads.get_mut(&event.id)
            && !hashes.contains(&event.hash)
        {
            hashes.push(event.hash);
        }
        match event.about.as_deref() {
            Some(About::Restored(record)) => {
                self.facts.restores.insert(event.id, *record.clone());
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

    /// Adds what differs; gives how many rows agree, and those that a restore gave up.
    pub fn report(&self, report: &mut Report, judged: &JudgedStream, scope: &Scope) -> (u64, Option<GivenUpRows>) {
        let mut findings = Findings::default();
        let is_shared = |id: &AuditId| judged.shared_to.is_none_or(|shared| *id <= shared);
        for id in self.altered.iter() {
            findings.add(Kind::Altered, id, id);
        }
        for id in self.different.iter().filter(is_shared) {
            findings.add(if self.agreed.has(id) { Kind::Conflicting } else { Kind::Changed }, id, id);
        }
        for id in self.gone.iter().filter(is_shared) {
            findings.add_to_run(Kind::GoneHere, id, id);
        }
        let quarantined = self.all_quarantined(judged, scope);
        let checked = self.report_shared(report, &mut findings, judged, scope, &quarantined);
        let given_up = self.report_given_up(report, &mut findings, judged, scope, &quarantined);
        report.more_differences += findings.more;
        let name = (judged.role != Role::Current).then_some(judged.name.as_str());
        let listed = findings.listed.iter();
        report.differences.extend(listed.map(|(kind, id, to)| Difference::of(*kind, Some(*id), Some(*to), name)));
        (checked, given_up)
    }

    /// Rows that were given up on. A restore takes the shipping state back as well, so that of an earlier stream its own rows
    /// tell.
    fn all_quarantined(&self, judged: &JudgedStream, scope: &Scope) -> BTreeSet<AuditId> {
        let mut all = scope.quarantined.get(&judged.name).cloned().unwrap_or_default();
        if judged.role != Role::Current {
            all.extend(&self.quarantined);
        }
        all
    }

    /// Rows that must be the local log's; gives how many are.
    fn report_shared(
        &self,
        report: &mut Report,
        findings: &mut Findings,
        judged: &JudgedStream,
        scope: &Scope,
        quarantined: &BTreeSet<AuditId>,
    ) -> u64 {
        let shared_to = judged.shared_to.map_or(scope.last, |shared| shared.min(scope.last));
        let cursor = scope.cursors.get(&judged.name).copied().unwrap_or(AuditId::ZERO);
        // Of an earlier stream the cursor was restored as well: what is in the copy proves how far it came.
        let (end, shipped_to) = match judged.role {
            Role::Current => (scope.last, cursor),
            _ => {
                let shipped_to = cursor.max(self.facts.last.unwrap_or(AuditId::ZERO)).min(shared_to);
                (shipped_to, shipped_to)
            }
        };
        let mut checked = 0;
        for id in (scope.first.get()..=end.get()).filter_map(AuditId::new) {
            if self.agreed.has(id) {
                checked += 1;
            } else if id > shipped_to {
                report.not_yet_shipped += 1;
            } else if id < scope.kept_from {
                report.older_than_retention += 1;
            } else if !self.seen.has(id) && !quarantined.contains(&id) {
                findings.add_to_run(Kind::Missing, id, id);
            }
        }
        checked
    }

    /// Rows that a restore gave up. They are walked by those that are there: a number that somebody else wrote can be as high
    /// as it likes.
    fn report_given_up(
        &self,
        report: &mut Report,
        findings: &mut Findings,
        judged: &JudgedStream,
        scope: &Scope,
        quarantined: &BTreeSet<AuditId>,
    ) -> Option<GivenUpRows> {
        let shared_to = judged.shared_to?;
        let mut before = shared_to.max(scope.first.previous());
        let mut given_up: Option<GivenUpRows> = None;
        let oldest = self.seen.first();
        for id in self.seen.iter().filter(|id| *id > shared_to) {
            let rows = given_up.get_or_insert(GivenUpRows { from: id, to: id, rows: 0 });
            (rows.to, rows.rows) = (id, rows.rows + 1);
            // A stream loses its oldest rows first, so that only a gap at its start can be its age.
            if scope.retention_days.is_some() && Some(id) == oldest {
                report.older_than_retention += before.next().get().abs_diff(id.get());
            } else {
                for (from, to) in gaps(before, id, quarantined) {
                    findings.add_to_run(Kind::Missing, from, to);
                }
            }
            before = id;
        }
        given_up
    }
}

/// The runs of rows between two that are there, without those that were given up on.
fn gaps(before: AuditId, id: AuditId, quarantined: &BTreeSet<AuditId>) -> Vec<(AuditId, AuditId)> {
    let (mut runs, mut from) = (Vec::new(), before.next());
    for stop in quarantined.range(from..id).copied().chain([id]) {
        if from < stop {
            runs.push((from, stop.previous()));
        }
        from = stop.next();
    }
    runs
}

/// Rows that differ, single ones or runs of them: as many as are listed of each kind, and how many more.
#[derive(Default)]
struct Findings {
    listed: Vec<(Kind, AuditId, AuditId)>,
    counts: BTreeMap<Kind, usize>,
    more: u64,
}

impl Findings {
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
mod tests {
    use super::*;

    fn id(number: i64) -> AuditId {
        AuditId::new(number).unwrap()
    }

    #[test]
    fn gaps_are_what_lies_between_without_what_was_given_up_on() {
        let numbers = |runs: Vec<(AuditId, AuditId)>| runs.iter().map(|(a, b)| (a.get(), b.get())).collect::<Vec<_>>();
        let on = |ids: &[i64]| ids.iter().map(|number| id(*number)).collect::<BTreeSet<_>>();
        assert_eq!(numbers(gaps(id(4), id(5), &on(&[]))), []);
        assert_eq!(numbers(gaps(id(4), id(9), &on(&[]))), [(5, 8)]);
        assert_eq!(numbers(gaps(AuditId::ZERO, id(9), &on(&[1, 4, 8, 9]))), [(2, 3), (5, 7)]);
        assert_eq!(numbers(gaps(id(4), id(7), &on(&[5, 6]))), []);
    }
}
