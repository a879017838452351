use std::time::Duration;

use store::RecordedHead;

use super::*;
use crate::manifest::tests::sample;

fn now() -> Timestamp {
    sample().name.at().plus(Duration::from_secs(3_600))
}

fn by_name() -> Wanted {
    Wanted::Named(sample().name)
}

fn by_moment() -> Wanted {
    Wanted::NotAfter(now())
}

/// What a log says of a backup that was made so many seconds after the sample.
fn made(seconds: i64) -> RecordedBackup {
    let at = sample().name.at().as_millis() + seconds * 1000;
    let name = BackupName::new(Timestamp::from_millis(at)).to_string();
    let head = RecordedHead { row: 9 + seconds, hash: "ee".into() };
    RecordedBackup { name, head: Some(head), ..sample().to_record() }
}

fn local(backups: Vec<RecordedBackup>) -> Known {
    Known { local: Some(LocalLog { database_id: sample().database_id, backups, has_head: false }), copy: None }
}

fn judged(manifest: &Manifest, code: Code, wanted: Wanted, known: &Known) -> Result<Provenance, String> {
    judge(manifest, code, &wanted, known, false, now())
}

/// What had to be accepted, with the operator's word.
fn accepted(manifest: &Manifest, code: Code, known: &Known) -> Vec<String> {
    judge(manifest, code, &Wanted::Latest, known, true, now()).unwrap().accepted_labels()
}

#[test]
fn with_its_code_and_its_row_it_is_taken_however_it_is_asked_for() {
    let known = local(vec![made(-60), sample().to_record()]);
    for wanted in [Wanted::Latest, by_moment(), by_name()] {
        let found = judged(&sample(), Code::Fits, wanted, &known).unwrap();
        assert_eq!(found, Provenance { authenticated: true, known_from: Some(Source::Log), accepted: vec![] });
    }
    let copied = Known { local: None, copy: Some(vec![sample().to_record()]) };
    let found = judged(&sample(), Code::Fits, Wanted::Latest, &copied).unwrap();
    assert_eq!((found.known_from, found.accepted), (Some(Source::Copy), vec![]));
    // A machine that has another key, such as one that only proves backups: the row alone says enough.
    let found = judged(&sample(), Code::OfAnotherKey, Wanted::Latest, &copied).unwrap();
    assert_eq!((found.authenticated, found.accepted), (false, vec![]));
}

#[test]
fn what_contradicts_a_row_is_never_taken() {
    type Change = fn(&mut RecordedBackup);
    let changes: [(&str, Change); 8] = [
        ("size", |record| record.bytes += 1),
        ("SHA-256", |record| record.sha256.push('0')),
        ("end of the audit log", |record| record.head.as_mut().unwrap().hash.push('0')),
        ("database", |record| record.content.as_mut().unwrap().database.push('0')),
        ("name of its log", |record| record.content.as_mut().unwrap().stream.push('0')),
        ("schema", |record| record.content.as_mut().unwrap().schema += 1),
        ("size of the database", |record| record.content.as_mut().unwrap().database_bytes += 1),
        ("SHA-256 of the database", |record| record.content.as_mut().unwrap().database_sha256.push('0')),
    ];
    for (what, change) in changes {
        let mut record = sample().to_record();
        change(&mut record);
        for known in [local(vec![record.clone()]), Known { local: None, copy: Some(vec![record]) }] {
            for code in [Code::Fits, Code::None] {
                let refused = judge(&sample(), code, &by_name(), &known, true, now()).unwrap_err();
                assert!(refused.contains(&format!("has another {what}")), "{what}: {refused}");
            }
        }
    }
    // A row of an older program has less to contradict.
    let old = RecordedBackup { head: None, content: None, ..sample().to_record() };
    assert!(judged(&sample(), Code::Fits, Wanted::Latest, &local(vec![old])).is_ok());
}

#[test]
fn with_its_code_alone_it_has_to_be_asked_for_by_name() {
    for (known, word, words) in [
        (local(vec![made(-60)]), "not_recorded", "before a restore"),
        (Known::default(), "no_log", "log-shipper backups --json"),
        (Known { local: None, copy: Some(vec![made(-60)]) }, "not_recorded", "the audit log does not know it"),
    ] {
        for wanted in [Wanted::Latest, by_moment()] {
            let refused = judged(&sample(), Code::Fits, wanted, &known).unwrap_err();
            assert!(refused.contains(words) && refused.contains("ask for it by its name"), "{refused}");
        }
        let found = judged(&sample(), Code::Fits, by_name(), &known).unwrap();
        assert_eq!((found.authenticated, found.accepted_labels()), (true, vec![word.to_owned()]));
    }
    let refused = judged(&sample(), Code::Fits, Wanted::Latest, &local(vec![made(-60)])).unwrap_err();
    assert!(refused.contains(&made(-60).name), "the newest that is known: {refused}");
}

#[test]
fn a_run_that_was_killed_before_it_wrote_the_row_is_known_by_the_end_of_its_log() {
    let mut known = local(vec![made(-60)]);
    known.local.as_mut().unwrap().has_head = true;
    let found = judged(&sample(), Code::Fits, Wanted::Latest, &known).unwrap();
    assert_eq!((found.known_from, found.accepted), (Some(Source::Chain), vec![]));
    // Without a code, anybody can say that it ends there.
    assert!(judged(&sample(), Code::None, by_name(), &known).is_err());
    let other = Manifest { database_id: "11".into(), ..sample() };
    assert!(judged(&other, Code::Fits, Wanted::Latest, &known).is_err());
    assert_eq!(
        accepted(&other, Code::Fits, &known),
        ["not_recorded", "other_database"],
        "rows of another database end so too"
    );
}

#[test]
fn what_nobody_vouches_for_takes_the_operators_word() {
    let known = local(vec![made(-60)]);
    for (code, words) in [(Code::None, "format 1"), (Code::OfAnotherKey, "--identity FILE")] {
        for known in [&known, &Known::default()] {
            let refused = judged(&sample(), code, by_name(), known).unwrap_err();
            assert!(refused.contains(words) && refused.contains("--accept-unrecorded"), "{refused}");
        }
    }
    assert_eq!(accepted(&sample(), Code::None, &known), ["no_code", "not_recorded"]);
    assert_eq!(accepted(&sample(), Code::OfAnotherKey, &Known::default()), ["other_key", "no_log"]);
    let other = Manifest { database_id: "11".into(), stream: Some("11".into()), ..sample() };
    assert_eq!(accepted(&other, Code::None, &known), ["no_code", "not_recorded", "other_database"]);
    let refused = judged(&other, Code::None, Wanted::Latest, &known).unwrap_err();
    assert!(refused.contains(&made(-60).name), "which one is ours: {refused}");
    let copied = Known { local: None, copy: Some(vec![made(-60)]) };
    assert_eq!(accepted(&other, Code::Fits, &copied), ["not_recorded", "other_database"]);
    let refused = judged(&other, Code::None, Wanted::Latest, &copied).unwrap_err();
    assert!(refused.contains(&made(-60).name), "which one the copy has: {refused}");
}

#[test]
fn format_1_that_the_log_knows_is_taken_by_name() {
    let known = local(vec![sample().to_record()]);
    let refused = judged(&sample(), Code::None, Wanted::Latest, &known).unwrap_err();
    assert!(refused.contains("format 1") && refused.contains("ask for it by its name"), "{refused}");
    let found = judged(&sample(), Code::None, by_name(), &known).unwrap();
    assert_eq!((found.known_from, found.accepted_labels()), (Some(Source::Log), vec!["no_code".to_owned()]));
    assert!(found.accepted_labels().iter().all(|word| Doubt::leaves_a_proof(word)));
}

#[test]
fn heads_grow_within_one_log() {
    // One that has the older name holds more: this is older than its name.
    let more = RecordedBackup { head: Some(RecordedHead { row: 10, hash: "ee".into() }), ..made(-60) };
    let known = local(vec![more.clone()]);
    for wanted in [Wanted::Latest, by_name()] {
        let refused = judged(&sample(), Code::Fits, wanted, &known).unwrap_err();
        assert!(refused.contains("an old one under a new name") && refused.contains(&more.name), "{refused}");
    }
    assert_eq!(accepted(&sample(), Code::Fits, &known), ["not_recorded", "older_head"]);
    // In another log it may: the rows after a restore have the same numbers again.
    let mut elsewhere = more.clone();
    elsewhere.content.as_mut().unwrap().stream = "00".into();
    assert!(judged(&sample(), Code::Fits, by_name(), &local(vec![elsewhere])).is_ok());
    // A newer one holds more by nature.
    assert!(judged(&sample(), Code::Fits, by_name(), &local(vec![made(60)])).is_ok());
    // A row of its own says when it was made; a clock that was set back makes names go back.
    assert!(judged(&sample(), Code::Fits, Wanted::Latest, &local(vec![more, sample().to_record()])).is_ok());
}

#[test]
fn the_newest_that_the_log_knows_must_not_be_missing() {
    let known = local(vec![sample().to_record(), made(60)]);
    let refused = judged(&sample(), Code::Fits, Wanted::Latest, &known).unwrap_err();
    assert!(refused.contains(&made(60).name) && refused.contains("see who removed it"), "{refused}");
    for wanted in [by_moment(), by_name()] {
        assert!(judged(&sample(), Code::Fits, wanted, &known).is_ok());
    }
    // One that a wrong clock has named is not waited for.
    assert!(judged(&sample(), Code::Fits, Wanted::Latest, &local(vec![sample().to_record(), made(50_000)])).is_ok());
}
