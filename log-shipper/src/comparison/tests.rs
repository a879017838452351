use proptest::prelude::*;
use store::{AuditEvent, RecordedHead, RestoreRecord, chain_hash, genesis_hash};

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::event::{LogIdentity, TimestampOverride, render, split};
use crate::lineage::Proof;
use crate::report::GivenUpRows;
use crate::scope::LocalRestore;

const STREAM: &str = "log";

fn id(number: i64) -> AuditId {
    AuditId::new(number).unwrap()
}

/// A chain of rows whose details say `word`.
fn chain(rows: i64, word: &str) -> Vec<AuditEvent> {
    let mut previous_hash = genesis_hash("x");
    (1..=rows)
        .map(|number| {
            let mut row = AuditEvent {
                id: id(number),
                at: Timestamp::from_millis(1_790_000_000_000 + number),
                person: None,
                action: "LOGIN".into(),
                details: serde_json::json!({ "word": word, "long": "y".repeat(300) }).to_string(),
                ip: None,
                previous_hash,
                hash: previous_hash,
                personal: None,
            };
            let at = row.at.to_rfc3339();
            row.hash = chain_hash(&previous_hash, &row.hashed_fields(&at));
            previous_hash = row.hash;
            row
        })
        .collect()
}

fn lines(rows: &[AuditEvent]) -> Vec<String> {
    let log = LogIdentity { database_id: "d".into(), stream: STREAM.into() };
    rows.iter().map(|row| render(row, &log, None)).collect()
}

fn local(rows: &[AuditEvent]) -> BTreeMap<AuditId, Hash> {
    rows.iter().map(|row| (row.id, row.hash)).collect()
}

fn scope(first: i64, last: i64, cursor: i64) -> Scope {
    Scope {
        database_id: STREAM.into(),
        restores: Vec::new(),
        first: id(first),
        last: id(last),
        until: None,
        cursors: BTreeMap::from([(STREAM.to_owned(), id(cursor))]),
        quarantined: BTreeMap::new(),
        kept_from: id(1),
        retention_days: None,
        now: Timestamp::from_millis(1_790_000_000_000),
    }
}

fn compared(scope: Scope, copy: &[String], local: &BTreeMap<AuditId, Hash>) -> Report {
    let mut comparison = Comparison::new(scope, BTreeMap::new());
    for page in copy.chunks(3) {
        let events = comparison.read(None, page);
        comparison.compare(&events, local);
    }
    comparison.finish()
}

fn found(report: &Report) -> Vec<(Kind, Option<i64>, Option<i64>)> {
    let number = |id: Option<AuditId>| id.map(AuditId::get);
    report
        .differences
        .iter()
        .map(|difference| (difference.kind, number(difference.id), number(difference.to)))
        .collect()
}

#[test]
fn a_copy_that_agrees_agrees_in_any_order_and_with_rows_twice() {
    let rows = chain(10, "a");
    let mut copy = lines(&rows);
    copy.extend(lines(&rows[3..6]));
    copy.reverse();
    let report = compared(scope(1, 10, 10), &copy, &local(&rows));
    assert!(report.agrees, "{report:?}");
    assert_eq!((report.checked, report.not_yet_shipped), (10, 0));
}

#[test]
fn rows_that_are_missing_are_named_as_ranges_unless_there_is_a_reason() {
    let rows = chain(20, "a");
    let copy = lines(&[&rows[5..7], &rows[9..15]].concat());
    let mut scope = scope(1, 20, 17);
    scope.kept_from = id(3);
    scope.quarantined.insert(STREAM.into(), BTreeSet::from([id(16)]));
    let report = compared(scope, &copy, &local(&rows));
    assert_eq!(
        found(&report),
        [(Kind::Missing, Some(3), Some(5)), (Kind::Missing, Some(8), Some(9)), (Kind::Missing, Some(17), None)]
    );
    assert_eq!((report.older_than_retention, report.not_yet_shipped, report.checked), (2, 3, 8));
    assert_eq!(report.quarantined, [id(16)]);
    assert!(report.differences[0].text.starts_with("rows 3 to 5: each was shipped"), "{report:?}");
}

#[test]
fn an_intruder_who_rewrote_the_local_chain_is_found_from_the_first_row_on() {
    let (was, is) = (chain(10, "a"), chain(10, "b"));
    let rewritten = [&was[..6], &is[6..]].concat();
    let report = compared(scope(1, 10, 10), &lines(&was), &local(&rewritten));
    let expected: Vec<_> = (7..=10).map(|number| (Kind::Changed, Some(number), None)).collect();
    assert_eq!(found(&report), expected);
}

#[test]
fn rows_that_are_gone_here_are_named() {
    let rows = chain(10, "a");
    let mut left = local(&rows[..7]);
    left.remove(&id(4));
    let report = compared(scope(1, 7, 10), &lines(&rows), &left);
    assert_eq!(found(&report), [(Kind::GoneHere, Some(4), None), (Kind::GoneHere, Some(8), Some(10))]);
}

#[test]
fn a_changed_copy_is_told_from_a_changed_log() {
    let rows = chain(5, "a");
    let mut copy = lines(&rows);
    copy[2] = copy[2].replace("LOGIN", "LOGOUT");
    let report = compared(scope(1, 5, 5), &copy, &local(&rows));
    assert_eq!(found(&report), [(Kind::Altered, Some(3), None)]);
}

#[test]
fn a_row_that_is_there_twice_and_differently_is_a_conflict() {
    let rows = chain(5, "a");
    let copy = [lines(&rows), lines(&chain(5, "b")[4..])].concat();
    for copy in [copy.clone(), copy.into_iter().rev().collect()] {
        let report = compared(scope(1, 5, 5), &copy, &local(&rows));
        assert_eq!(found(&report), [(Kind::Conflicting, Some(5), None)]);
    }
}

#[test]
fn what_cannot_be_read_and_parts_that_are_missing_are_differences() {
    let rows = chain(3, "a");
    let log = LogIdentity { database_id: "d".into(), stream: STREAM.into() };
    let parts = split(lines(&rows)[1].clone(), &rows[1], &log, None, 400);
    assert!(parts.len() > 1);
    let whole = [&lines(&rows)[..1], &parts, &lines(&rows)[2..]].concat();
    assert!(compared(scope(1, 3, 3), &whole, &local(&rows)).agrees);
    let mut broken = whole.clone();
    broken.remove(2);
    broken.push("{\"id\":".into());
    let report = compared(scope(1, 3, 3), &broken, &local(&rows));
    assert_eq!(found(&report), [(Kind::Unreadable, None, None), (Kind::Altered, Some(2), None)]);
}

#[test]
fn parts_that_come_twice_in_whatever_order_are_no_difference() {
    let rows = chain(3, "a");
    let log = LogIdentity { database_id: "d".into(), stream: STREAM.into() };
    let parts = split(lines(&rows)[1].clone(), &rows[1], &log, None, 400);
    let once = [lines(&rows)[0].clone(), lines(&rows)[2].clone()];
    let one_by_one: Vec<_> = parts.iter().flat_map(|part| [part.clone(), part.clone()]).collect();
    let after_a_kill = [&parts[..parts.len() - 1], &parts].concat();
    let cut_otherwise = [&split(lines(&rows)[1].clone(), &rows[1], &log, None, 420)[..1], &parts].concat();
    let time_override = Some(TimestampOverride::Late(Timestamp::from_millis(1_800_000_000_000)));
    let late = split(render(&rows[1], &log, time_override), &rows[1], &log, time_override, 450);
    assert_eq!(late.len(), parts.len(), "cut at other places into as many parts");
    let sent_again_late = [&parts[1..], &late].concat();
    for copy in [one_by_one, after_a_kill, cut_otherwise, sent_again_late] {
        for copy in [copy.clone(), copy.into_iter().rev().collect()] {
            let report = compared(scope(1, 3, 3), &[&once[..], &copy].concat(), &local(&rows));
            assert!(report.agrees, "{report:?}");
        }
    }
}

#[test]
fn parts_of_a_row_that_was_given_up_on_are_no_difference() {
    let rows = chain(3, "a");
    let log = LogIdentity { database_id: "d".into(), stream: STREAM.into() };
    let parts = split(lines(&rows)[1].clone(), &rows[1], &log, None, 400);
    let copy = [&lines(&rows)[..1], &parts[..1], &lines(&rows)[2..]].concat();
    let mut scope = scope(1, 3, 3);
    assert_eq!(found(&compared(scope.clone(), &copy, &local(&rows))), [(Kind::Altered, Some(2), None)]);
    scope.quarantined.insert(STREAM.into(), BTreeSet::from([id(2)]));
    assert!(compared(scope, &copy, &local(&rows)).agrees);
}

#[test]
fn what_was_not_asked_for_is_no_difference() {
    let rows = chain(10, "a");
    let mut copy = lines(&rows);
    for number in [1, 8] {
        copy[number] = copy[number].replace("LOGIN", "LOGOUT");
    }
    let left = local(&rows[..9]);
    let whole = scope(1, 9, 10);
    let expected = [(Kind::Altered, Some(2), None), (Kind::Altered, Some(9), None), (Kind::GoneHere, Some(10), None)];
    assert_eq!(found(&compared(whole.clone(), &copy, &left)), expected);
    assert_eq!(found(&compared(Scope { first: id(3), ..whole.clone() }, &copy, &left)), expected[1..]);
    let middle = Scope { first: id(3), last: id(8), until: Some(id(8)), ..whole.clone() };
    assert!(compared(middle, &copy, &left).agrees);
    // The end of the log was cut off within what was asked for.
    let to_the_end = Scope { first: id(10), until: Some(id(10)), ..whole };
    assert_eq!(found(&compared(to_the_end, &copy, &left)), expected[2..]);
}

#[test]
fn a_log_that_nothing_explains_has_no_business_in_the_same_place() {
    let rows = chain(3, "a");
    let log = LogIdentity { database_id: "e".into(), stream: "another".into() };
    let foreign: Vec<_> = chain(9, "b").iter().map(|row| render(row, &log, None)).collect();
    let report = compared(scope(1, 3, 3), &[lines(&rows), foreign].concat(), &local(&rows));
    assert_eq!(found(&report), [(Kind::StreamUnexplained, None, None)]);
    assert_eq!(report.differences[0].stream.as_deref(), Some("another"));
    assert_eq!(report.checked, 3);
}

/// A chain that was restored after row 5 (DATABASE_RESTORED is row 6), and the stream from before with its backup in row 6.
fn restored() -> (Vec<AuditEvent>, Vec<AuditEvent>, RestoreRecord) {
    let mut before = chain(9, "a");
    let head = RecordedHead { row: 5, hash: before[4].hash.to_string() };
    let rehash = |row: &mut AuditEvent| {
        let at = row.at.to_rfc3339();
        row.hash = chain_hash(&row.previous_hash, &row.hashed_fields(&at));
    };
    let mut row = before[5].clone();
    (row.action, row.details) = (
        "BACKUP_CREATED".into(),
        serde_json::json!({ "name": "b", "bytes": 1, "sha256": "00", "head": head }).to_string(),
    );
    rehash(&mut row);
    before[5] = row.clone();
    (row.action, row.details) = (
        "DATABASE_RESTORED".into(),
        serde_json::json!({ "backup": "b", "restored_head": head, "given_up_stream": STREAM }).to_string(),
    );
    rehash(&mut row);
    let record = RestoreRecord::of(&row).unwrap();
    let after = [&before[..5], &[row]].concat();
    (before, after, record)
}

fn compared_across(before: &[String], after: &[AuditEvent], record: &RestoreRecord, days: Option<i32>) -> Report {
    let current = record.stream(STREAM);
    let log = LogIdentity { database_id: STREAM.into(), stream: current.clone() };
    let mut copy: Vec<String> = after.iter().map(|row| render(row, &log, None)).collect();
    copy.extend(before.iter().cloned());
    let newest = after.last().unwrap().id.get();
    let mut scope = scope(1, newest, 9);
    scope.cursors = BTreeMap::from([(current, id(newest))]);
    scope.restores = vec![LocalRestore { record: record.clone(), head_at: None }];
    scope.retention_days = days;
    let wanted = Comparison::new(scope.clone(), BTreeMap::new()).wanted();
    let mut comparison = Comparison::new(scope, wanted);
    for page in copy.chunks(3) {
        let events = comparison.read(None, page);
        comparison.compare(&events, &local(after));
    }
    comparison.finish()
}

#[test]
fn rows_that_a_restore_gave_up_are_listed_and_are_no_difference() {
    let (before, after, record) = restored();
    let report = compared_across(&lines(&before), &after, &record, None);
    assert!(report.agrees, "{report:?}");
    assert_eq!(report.streams[0].given_up, Some(GivenUpRows { from: id(6), to: id(9), rows: 4 }));
    assert_eq!((report.streams[0].checked, report.streams[1].checked, report.given_up_by_restores), (5, 6, 4));
    assert_eq!(report.streams[1].restore.as_ref().unwrap().proof, Proof::Proved);
}

#[test]
fn rows_that_are_missing_before_a_restore_are_named_with_their_stream() {
    let (before, after, record) = restored();
    let copy: Vec<String> = [1, 3, 4, 5, 8].iter().map(|index| lines(&before)[*index].clone()).collect();
    let report = compared_across(&copy, &after, &record, None);
    assert_eq!(
        found(&report),
        [(Kind::Missing, Some(1), None), (Kind::Missing, Some(3), None), (Kind::Missing, Some(7), Some(8))]
    );
    assert!(report.differences.iter().all(|one| one.stream.as_deref() == Some(STREAM)));
    assert!(report.only_misses());
}

#[test]
fn rows_that_a_restore_gave_up_and_that_are_past_their_retention_are_counted_apart() {
    let (before, after, record) = restored();
    let copy: Vec<String> = [7, 8].iter().map(|index| lines(&before)[*index].clone()).collect();
    let log = LogIdentity { database_id: STREAM.into(), stream: record.stream(STREAM) };
    let current: Vec<String> = after.iter().map(|row| render(row, &log, None)).collect();
    // The stream before lost all up to row 7, and the restore with what would prove it is as old.
    let mut scope = scope(1, 6, 6);
    scope.restores = vec![LocalRestore { record: record.clone(), head_at: None }];
    (scope.retention_days, scope.kept_from) = (Some(365), id(6));
    let compared = |scope: &Scope, created: Timestamp| {
        let wanted = Comparison::new(scope.clone(), BTreeMap::new()).wanted();
        let mut comparison = Comparison::new(scope.clone(), wanted);
        comparison.found(&record.stream(STREAM), Some(created));
        let events = comparison.read(None, &[current.clone(), copy.clone()].concat());
        comparison.compare(&events, &local(&after));
        comparison.finish()
    };
    let report = compared(&scope, scope.now.minus(Duration::from_secs(366 * 24 * 60 * 60)));
    assert_eq!(found(&report), []);
    assert_eq!((report.older_than_retention, report.given_up_by_restores), (5 + 2, 2));
    assert_eq!(report.streams[1].restore.as_ref().unwrap().proof, Proof::PastRetention);
    let report = compared(&scope, scope.now);
    assert_eq!(found(&report), [(Kind::HeadUnknown, Some(6), None)]);
}

#[test]
fn an_earlier_stream_says_itself_which_rows_were_given_up_on_and_the_present_one_does_not() {
    let (before, after, record) = restored();
    let quarantined = |rows: &mut Vec<AuditEvent>| {
        let row = rows.last_mut().unwrap();
        (row.action, row.details) = ("AUDIT_ROW_QUARANTINED".into(), r#"{"row":3,"sink":"s","reason":"r"}"#.into());
        let at = row.at.to_rfc3339();
        row.hash = chain_hash(&row.previous_hash, &row.hashed_fields(&at));
    };
    let mut told = before.clone();
    quarantined(&mut told);
    told.remove(2);
    assert_eq!(found(&compared_across(&lines(&told), &after, &record, None)), []);
    let mut rows = chain(5, "a");
    quarantined(&mut rows);
    let mut copy = lines(&rows);
    copy.remove(2);
    assert_eq!(found(&compared(scope(1, 5, 5), &copy, &local(&rows))), [(Kind::Missing, Some(3), None)]);
}

#[test]
fn a_line_in_another_streams_section_is_not_taken() {
    let rows = chain(3, "a");
    let mut comparison = Comparison::new(scope(1, 3, 3), BTreeMap::new());
    for (section, lines) in [(STREAM, &lines(&rows)[..2]), ("other", &lines(&rows)[2..])] {
        let events = comparison.read(Some(section), lines);
        comparison.compare(&events, &local(&rows));
    }
    assert_eq!(found(&comparison.finish()), [(Kind::Unreadable, None, None), (Kind::Missing, Some(3), None)]);
}

#[test]
fn a_number_as_high_as_can_be_is_taken_as_one() {
    let (before, after, record) = restored();
    let mut high = before[8].clone();
    high.id = id(i64::MAX);
    let at = high.at.to_rfc3339();
    high.hash = chain_hash(&high.previous_hash, &high.hashed_fields(&at));
    let copy = [lines(&before), lines(&[high])].concat();
    let report = compared_across(&copy, &after, &record, None);
    assert_eq!(found(&report), [(Kind::Missing, Some(10), Some(i64::MAX - 1))]);
    // The row before it would be one that a forged restore gave up.
    assert_eq!(report.streams[0].given_up.unwrap().rows, 5);
}

#[test]
fn a_place_that_lets_rows_go_too_early_is_a_difference() {
    let (before, after, record) = restored();
    for (days, kinds) in [(364, vec![(Kind::RetentionTooShort, None, None)]), (365, vec![]), (3_653, vec![])] {
        assert_eq!(found(&compared_across(&lines(&before), &after, &record, Some(days))), kinds, "{days}");
    }
}

#[test]
fn there_is_no_end_to_differences_but_to_the_list() {
    let (was, is) = (chain(3_000, "a"), chain(3_000, "b"));
    let report = compared(scope(1, 3_000, 3_000), &lines(&was), &local(&is));
    assert!(!report.agrees);
    assert_eq!((report.differences.len(), report.more_differences), (1_000, 2_000));
}

/// What somebody may do to a copy or to the log behind it.
#[derive(Clone, Copy, Debug)]
enum Tampering {
    DropLine,
    ChangeLine,
    AddConflict,
    ChangeLocal,
    DropLocal,
}

proptest! {
    /// Whatever is done to one row on either side, it is named with its number, and no other row is.
    #[test]
    fn any_tampering_is_named_with_its_row(
        victim in 1..=30_usize,
        how in prop_oneof![
            Just(Tampering::DropLine), Just(Tampering::ChangeLine), Just(Tampering::AddConflict), Just(Tampering::ChangeLocal),
            Just(Tampering::DropLocal)
        ],
        shuffled in Just((0..30_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let rows = chain(30, "a");
        let mut log = local(&rows);
        let mut copy: Vec<String> = shuffled.iter().map(|index| lines(&rows)[*index].clone()).collect();
        let place = shuffled.iter().position(|index| *index == victim - 1).unwrap();
        let other = lines(&chain(30, "b"))[victim - 1].clone();
        let number = i64::try_from(victim).unwrap();
        let expected = match how {
            Tampering::DropLine => { copy.remove(place); Kind::Missing }
            Tampering::ChangeLine => { copy[place] = copy[place].replace("yyy", "yyz"); Kind::Altered }
            Tampering::AddConflict => { copy.push(other); Kind::Conflicting }
            Tampering::ChangeLocal => { log.insert(id(number), genesis_hash("other")); Kind::Changed }
            Tampering::DropLocal => { log.remove(&id(number)); Kind::GoneHere }
        };
        let report = compared(scope(1, 30, 30), &copy, &log);
        prop_assert!(!report.agrees);
        prop_assert_eq!(found(&report), [(expected, Some(number), None)]);
    }
}
