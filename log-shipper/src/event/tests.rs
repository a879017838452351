use proptest::prelude::*;
use store::{chain_hash, genesis_hash};

use super::*;

fn log() -> LogIdentity {
    LogIdentity { database_id: "00112233445566778899aabbccddeeff".into(), stream: "0011/restored-5-abcdef01".into() }
}

/// A row as the store would have written it.
fn row(id: i64, details: &str, ip: Option<&str>) -> AuditEvent {
    let mut row = AuditEvent {
        id: AuditId::new(id).unwrap(),
        at: Timestamp::from_millis(1_795_381_805_123),
        person: PersonId::new(7),
        action: "LOGIN".into(),
        details: details.into(),
        ip: ip.map(str::to_owned),
        previous_hash: genesis_hash("x"),
        hash: genesis_hash("to be set"),
        personal: None,
    };
    let at = row.at.to_rfc3339();
    row.hash = chain_hash(&row.previous_hash, &row.hashed_fields(&at));
    row
}

fn whole(line: &str) -> ShippedEvent {
    match parse(line) {
        Some(Parsed::Whole(event)) => *event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_line_has_the_promised_fields() {
    let row = row(3, r#"{"email":"a@b.example","n":1.50}"#, Some("192.0.2.7"));
    let line: serde_json::Value = serde_json::from_str(&render(&row, &log(), None)).unwrap();
    let expected = serde_json::json!({
        "timestamp": "2026-11-22T21:10:05.123Z", "user_id": 7, "action": "LOGIN",
        "details": {"email": "a@b.example", "n": 1.5}, "ip_address": "192.0.2.7", "id": 3,
        "hash": row.hash.to_string(), "previous_hash": row.previous_hash.to_string(),
        "database_id": log().database_id, "stream": log().stream, "schema": 1,
    });
    assert_eq!(line, expected);
}

#[test]
fn a_line_names_somebody_as_long_as_that_stands_beside_the_row_and_proves_it() {
    let personal = Personal { salt: [7; 16], details: r#"{"email":"a@b.example", "n":1.50}"#.into() };
    let mut row = row(3, &serde_json::json!({ "personal": personal.hash().to_string() }).to_string(), None);
    let erased = render(&row, &log(), None);
    row.personal = Some(personal);
    let line = render(&row, &log(), None);
    let shown: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(shown["personal"]["email"], "a@b.example");
    for line in [&line, &erased] {
        let event = whole(line);
        assert!(event.hash == event.recomputed && event.personal_holds, "{line}");
    }
    for (from, to) in [
        ("a@b", "c@b"),
        ("07\"}", "08\"}"),
        ("07\"}", "\"}"),
        (",\"personal\":{", ",\"other\":{"),
        (",\"personal_salt\":", ",\"s\":"),
    ] {
        let changed = line.replacen(from, to, 1);
        assert_ne!(changed, line);
        assert!(!whole(&changed).personal_holds, "{from} to {to}");
    }
}

#[test]
fn details_keep_every_byte() {
    // Another order, another spelling of the same number and of the same letter: hashes are over bytes.
    let details = r#"{ "b":1.50, "a":"\u00e9" }"#;
    let line = render(&row(3, details, None), &log(), None);
    assert!(line.contains(details), "{line}");
    let event = whole(&line);
    assert_eq!(event.recomputed, event.hash);
}

#[test]
fn a_row_under_another_timestamp_says_so_and_keeps_its_own_time() {
    let now = Timestamp::from_millis(1_800_000_000_000);
    for (time_override, mark) in [(TimestampOverride::Late(now), "late"), (TimestampOverride::Ahead(now), "ahead")] {
        let line: serde_json::Value =
            serde_json::from_str(&render(&row(3, "{}", None), &log(), Some(time_override))).unwrap();
        assert_eq!(line[mark], true);
        assert_eq!(line["timestamp"], "2026-11-22T21:10:05.123Z");
        assert_eq!(line["shipped_at"], now.to_rfc3339());
        let other = if mark == "late" { "ahead" } else { "late" };
        assert!(line.get(other).is_none());
    }
}

#[test]
fn details_that_somebody_made_no_json_are_shipped_all_the_same_and_found_out() {
    let line = render(&row(3, "not {json", None), &log(), None);
    let event = whole(&line);
    assert_ne!(event.recomputed, event.hash);
}

#[test]
fn any_change_to_a_line_shows_in_its_hash() {
    let line = render(&row(3, r#"{"email":"a@b.example"}"#, Some("192.0.2.7")), &log(), None);
    for (from, to) in [
        ("05.123Z", "05.124Z"),
        ("\"user_id\":7", "\"user_id\":8"),
        ("LOGIN", "LOGOUT"),
        ("a@b", "c@b"),
        ("192.0.2.7", "192.0.2.8"),
        ("\"id\":3", "\"id\":4"),
        ("\"user_id\":7", "\"user_id\":null"),
    ] {
        let changed = line.replacen(from, to, 1);
        assert_ne!(changed, line);
        let event = whole(&changed);
        assert_ne!(event.recomputed, event.hash, "{from} to {to}");
    }
}

#[test]
fn lines_that_others_wrote_into_the_log_are_told_apart() {
    for input in testkit::corpus(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/events")) {
        let found = match parse(input.line()) {
            Some(Parsed::Whole(event)) if event.hash == event.recomputed => "proved",
            Some(Parsed::Whole(_)) => "not-proved",
            Some(Parsed::Part(_)) => "part",
            None => "no-event",
        };
        assert_eq!(found, input.outcome, "{}", input.name);
    }
}

#[test]
fn what_is_no_event_is_not_taken_for_one() {
    let line = render(&row(3, "{}", None), &log(), None);
    for broken in [
        "",
        "{}",
        "null",
        "[]",
        "a line",
        &line[1..],
        &line[..line.len() - 1],
        &line.replace("\"schema\":1", "\"schema\":2"),
        &line.replace("\"id\":3", "\"id\":0"),
        &line.replace("\"user_id\":7", "\"user_id\":-7"),
        &line.replace("\"details\":{},", ""),
    ] {
        assert_eq!(parse(broken), None, "{broken}");
    }
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let row = row(3, &format!("{{\"x\":\"{}\"}}", "y".repeat(900)), None);
    let parts = split(render(&row, &log(), None), &row, &log(), None, 600);
    assert!(parts.len() > 2);
    let part = |line: &str| match parse(line) {
        Some(Parsed::Part(part)) => part,
        other => panic!("{other:?}"),
    };
    let mut assembly = Assembly::default();
    assert_eq!(assembly.add(part(&parts[0])), Ok(None));
    assert_eq!(assembly.incomplete().collect::<Vec<_>>(), [(log().stream.as_str(), row.id)]);
    let mut other_count = part(&parts[1]);
    other_count.parts += 1;
    assert_eq!(assembly.add(other_count), Ok(None));
    for line in &parts[2..] {
        assert_eq!(assembly.add(part(line)), Ok(None), "a part of another cut is no part of this one");
    }
    let mut changed = part(&parts[1]);
    changed.text = changed.text.replace('y', "z");
    let event = assembly.add(changed).unwrap().unwrap();
    assert_ne!(event.recomputed, event.hash);
    for (number, line) in parts.iter().enumerate() {
        let mut no_event = part(line);
        no_event.text.insert(0, '!');
        let expected = if number + 1 < parts.len() { Ok(None) } else { Err((log().stream, row.id)) };
        assert_eq!(assembly.add(no_event), expected);
    }
    let of_no_number = parts[0].replace("\"part\":1", "\"part\":0");
    assert_eq!(parse(&of_no_number), None);
}

/// A row whose whole line has `length` bytes.
fn row_of_length(length: usize, filling: char) -> AuditEvent {
    let of = |text: &str| row(3, &format!("{{\"text\":\"{text}\"}}"), None);
    let room = length - render(&of(""), &log(), None).len();
    let mut text = filling.to_string().repeat(room / filling.len_utf8());
    text.push_str(&"x".repeat(room - text.len()));
    let row = of(&text);
    assert_eq!(render(&row, &log(), None).len(), length);
    row
}

#[test]
fn exactly_the_longest_line_is_one_event_and_a_byte_more_makes_two() {
    for filling in ['x', 'é', '€', '😀', '\u{7f}'] {
        for (length, count) in [(LONGEST_TEXT - 1, 1), (LONGEST_TEXT, 1), (LONGEST_TEXT + 1, 2)] {
            let row = row_of_length(length, filling);
            let line = render(&row, &log(), None);
            let parts = split(line.clone(), &row, &log(), None, LONGEST_TEXT);
            assert_eq!(parts.len(), count, "{length} bytes of {filling}");
            assert!(parts.iter().all(|part| part.len() <= LONGEST_TEXT));
            let mut assembly = Assembly::default();
            for part in &parts {
                match parse(part) {
                    Some(Parsed::Whole(event)) => assert_eq!((event.recomputed, count), (row.hash, 1)),
                    Some(Parsed::Part(part)) => {
                        let last = part.part == part.parts;
                        let event = assembly.add(part).unwrap();
                        assert_eq!(event.map(|event| event.recomputed), last.then_some(row.hash));
                    }
                    None => panic!("{}", part.len()),
                }
            }
        }
    }
    // What is sent is within what the service takes for one event.
    assert_eq!(LONGEST_TEXT + EVENT_OVERHEAD, 256 * 1024);
}

proptest! {
    /// Whatever the details hold, a row is found again in its parts, each within the limit, in any order.
    #[test]
    fn an_oversize_row_is_put_together_again(
        text in "[a-z\"\\\\\u{0}-\u{1f}é€😀]{0,600}", longest in 450..900_usize, shift in 0..10_usize, late in any::<bool>(),
    ) {
        let row = row(3, &serde_json::json!({ "text": text }).to_string(), Some("192.0.2.7"));
        let time_override = late.then(|| TimestampOverride::Late(Timestamp::from_millis(1_800_000_000_000)));
        let line = render(&row, &log(), time_override);
        let mut parts = split(line.clone(), &row, &log(), time_override, longest);
        prop_assert!(parts.iter().all(|part| part.len() <= longest), "{:?}", parts);
        prop_assert_eq!(parts.len() == 1, line.len() <= longest);
        if parts.len() > 1 {
            let count = parts.len();
            parts.rotate_left(shift % count);
            let mut assembly = Assembly::default();
            let mut found = None;
            for line in &parts {
                let Some(Parsed::Part(part)) = parse(line) else { panic!("{line}") };
                prop_assert!(found.is_none());
                found = assembly.add(part).unwrap();
            }
            let found = found.unwrap();
            prop_assert_eq!(found.hash, row.hash);
            prop_assert_eq!(found.recomputed, row.hash);
            prop_assert_eq!(assembly.incomplete().count(), 0);
        }
    }

    /// A line of somebody else's making, near to ours: whatever is read from it was in it, and a hash it claims is proved by
    /// its content or is not.
    #[test]
    fn a_line_that_was_tampered_with_proves_nothing_else(
        at: prop::sample::Index, other in any::<char>(), text in any::<String>(), cut: bool,
    ) {
        let row = row(3, &serde_json::json!({ "text": text }).to_string(), Some("192.0.2.7"));
        let line = render(&row, &log(), None);
        let at = at.index(line.chars().count());
        let changed: String = line
            .chars()
            .enumerate()
            .filter(|(index, _)| !cut || *index != at)
            .map(|(index, c)| if !cut && index == at { other } else { c })
            .collect();
        if let Some(Parsed::Whole(event)) = parse(&changed)
            && event.hash == row.hash
            && event.recomputed == row.hash
        {
            // What the hash does not cover may differ: which log it is, that it was late, spaces.
            let read: serde_json::Value = serde_json::from_str(&changed).unwrap();
            let written: serde_json::Value = serde_json::from_str(&line).unwrap();
            for member in ["timestamp", "user_id", "action", "details", "ip_address", "id", "previous_hash"] {
                prop_assert_eq!(&read[member], &written[member], "{}", member);
            }
        }
    }

    #[test]
    fn no_line_makes_it_panic(line in "[{}\\[\\]\":,0-9a-z]{0,60}|\\PC{0,60}") {
        let _ = parse(&line);
    }

    /// The shipped line alone is enough to recompute the hash.
    #[test]
    fn every_row_is_proved_by_its_own_line(id in 1..i64::MAX, text in any::<String>(), ip in proptest::option::of("[0-9a-f:.]{1,20}")) {
        let row = row(id, &serde_json::json!({ "text": text }).to_string(), ip.as_deref());
        let event = whole(&render(&row, &log(), None));
        prop_assert_eq!((event.id, event.hash, event.recomputed), (row.id, row.hash, row.hash));
        prop_assert_eq!(event.stream, log().stream);
    }
}
