use proptest::prelude::*;

use super::*;
use crate::age_keys::BackupIdentity;

fn identity(byte: &str) -> BackupIdentity {
    BackupIdentity::derive(&store::DatabaseKey::from_hex(&byte.repeat(32)).unwrap()).unwrap()
}

/// As it stands at the target.
fn written() -> Manifest {
    sample().authenticate(&identity("0a"))
}

/// The same by a program before.
fn of_format_1() -> Manifest {
    Manifest { format: UNAUTHENTICATED, stream: None, authenticated_by: None, mac: None, ..sample() }
}

pub(crate) fn sample() -> Manifest {
    let name = BackupName::new(Timestamp::from_millis(1_790_000_000_000));
    Manifest {
        format: FORMAT,
        made_at: name.at().to_rfc3339(),
        name,
        database_id: "00".into(),
        schema: 2,
        sqlite_version: "3.53.4".into(),
        archive_bytes: 7,
        archive_sha256: "aa".into(),
        database_bytes: 8192,
        database_sha256: "bb".into(),
        rows: [("message".to_owned(), 3), ("person".to_owned(), 1)].into(),
        audit_head: Head { id: 9, hash: "cc".into() },
        data_until: "2026-11-23T01:59:00.000Z".into(),
        secret_version: Some("v".into()),
        recipients: vec!["age1x".into()],
        seconds: 1.5,
        stream: Some("00/restored-7-aabbccdd".into()),
        authenticated_by: Some("age1y".into()),
        mac: Some("dd".repeat(32)),
    }
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let manifest = sample();
    assert_eq!(Manifest::parse(manifest.to_json().as_bytes(), &manifest.name), Ok(manifest));
}

#[test]
fn a_swapped_a_newer_and_a_broken_manifest_each_have_their_reason() {
    let manifest = sample();
    let other = BackupName::new(Timestamp::from_millis(1_800_000_000_000));
    let json = manifest.to_json();
    for (json, name, reason) in [
        (json.clone(), &other, "swapped"),
        (json.replace("\"format\": 2", "\"format\": 3"), &manifest.name, "format 3"),
        (json.replace("\"format\": 2", "\"format\": 1"), &manifest.name, "`stream`"),
        (json.replace("00/restored-7-aabbccdd", "\\u001b[2J"), &manifest.name, "`stream`"),
        (json[..json.len() / 2].to_owned(), &manifest.name, "cannot be read"),
        (json.replace("\"schema\"", "\"scheme\""), &manifest.name, "cannot be read"),
        (String::new(), &manifest.name, "cannot be read"),
    ] {
        let error = Manifest::parse(json.as_bytes(), name).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

/// One byte changed anywhere, a byte more, a byte less: none of it is taken, whatever JSON makes of it.
#[test]
fn a_manifest_is_taken_with_its_code_and_in_no_other_form() {
    let (ours, manifest) = ([identity("0b"), identity("0a")], written());
    let (text, name) = (manifest.to_json(), &manifest.name);
    assert_eq!(Manifest::read(text.as_bytes(), name, &ours), Ok((manifest.clone(), Code::Fits)));
    assert_eq!(Manifest::read(text.as_bytes(), name, &ours[..1]), Ok((manifest.clone(), Code::OfAnotherKey)));
    for place in 0..text.len() {
        for bit in 0..8 {
            let mut changed = text.clone().into_bytes();
            changed[place] ^= 1 << bit;
            assert!(!matches!(Manifest::read(&changed, name, &ours), Ok((_, Code::Fits))), "byte {place}, bit {bit}");
        }
    }
    let spaced = serde_json::to_string(&serde_json::from_str::<serde_json::Value>(&text).unwrap()).unwrap();
    for changed in [format!("{text}\n"), format!(" {text}"), text.trim_end().to_owned(), spaced] {
        let error = Manifest::read(changed.as_bytes(), name, &ours).unwrap_err();
        assert!(error.contains("its code does not fit"), "{error}");
    }
}

#[test]
fn public_keys_are_not_enough_to_give_a_code() {
    let (ours, stranger) = ([identity("0a")], identity("0c"));
    let pretends = |by: &BackupIdentity| {
        let mut manifest = sample().authenticate(&stranger);
        manifest.authenticated_by = Some(by.recipient().to_string());
        Manifest::read(manifest.to_json().as_bytes(), &manifest.name, &ours)
    };
    assert!(pretends(&ours[0]).unwrap_err().contains("its code does not fit"));
    assert!(matches!(pretends(&stranger), Ok((_, Code::OfAnotherKey))), "which is no word for it");
    // One of ours, whose code another holder made.
    let both = [identity("0a"), identity("0c")];
    let mut manifest = sample().authenticate(&stranger);
    assert!(matches!(Manifest::read(manifest.to_json().as_bytes(), &manifest.name, &both), Ok((_, Code::Fits))));
    manifest.authenticated_by = Some(both[0].recipient().to_string());
    assert!(Manifest::read(manifest.to_json().as_bytes(), &manifest.name, &both).is_err());
}

#[test]
fn format_1_is_read_and_has_no_code_and_a_huge_one_is_not_read() {
    let old = of_format_1();
    assert_eq!(Manifest::read(old.to_json().as_bytes(), &old.name, &[identity("0a")]), Ok((old.clone(), Code::None)));
    assert!(old.to_record().content.is_none());
    let huge = old.to_json() + &" ".repeat(usize::try_from(LONGEST).unwrap());
    let error = Manifest::read(huge.as_bytes(), &old.name, &[]).unwrap_err();
    assert!(error.contains("longer than 65536 bytes"), "{error}");
}

#[test]
fn every_promise_is_compared() {
    type Change = fn(&mut Manifest);
    let changes: [(&str, Change); 10] = [
        ("archive's size", |manifest| manifest.archive_bytes += 1),
        ("archive's SHA-256", |manifest| manifest.archive_sha256.push('0')),
        ("database's size", |manifest| manifest.database_bytes += 1),
        ("database's SHA-256", |manifest| manifest.database_sha256.push('0')),
        ("database's id", |manifest| manifest.database_id.push('0')),
        ("schema", |manifest| manifest.schema += 1),
        ("name of the audit log", |manifest| manifest.stream = Some("00".into())),
        ("newest audit row", |manifest| manifest.audit_head.hash.push('0')),
        ("age of the data", |manifest| manifest.data_until = "2026-11-23T01:59:00.001Z".into()),
        ("rows of message", |manifest| *manifest.rows.entry("message".into()).or_default() += 1),
    ];
    assert_eq!(sample().difference(&sample()), None);
    for (what, change) in changes {
        let mut found = sample();
        change(&mut found);
        let words = sample().difference(&found).unwrap();
        assert!(words.contains(what), "{what}: {words}");
    }
    let mut missing = sample();
    missing.rows.remove("person");
    assert!(sample().difference(&missing).unwrap().contains("rows of person"));
}

/// The code in the file is that of another implementation: manifests that exist stay readable.
#[test]
fn the_format_with_its_code_stays_as_it_is() {
    let file = include_bytes!("../../corpus/manifests/read/as-we-write-it.json");
    let (manifest, code) = Manifest::read(file, &sample().name, &[identity("0a")]).unwrap();
    assert_eq!(code, Code::Fits);
    assert_eq!(manifest.authenticate(&identity("0a")).to_json().as_bytes(), file);
}

#[test]
fn manifests_that_others_wrote_are_read_or_refused_as_they_should_be() {
    for input in testkit::corpus(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/manifests")) {
        let read = Manifest::parse(&input.bytes, &sample().name);
        match input.outcome.as_str() {
            "read" => assert!(read.is_ok(), "{}: {read:?}", input.name),
            reason => {
                let error = read.expect_err(&input.name);
                assert!(error.replace(' ', "-").contains(reason), "{}: {error}", input.name);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Manifest::parse(&bytes, &sample().name);
    }

    /// Somebody who can write to the target: each field replaced by anything. What is read has nothing in it that we would not
    /// write, and reads as the same again.
    #[test]
    fn what_is_read_is_what_we_could_have_written(
        field in proptest::sample::select(vec![
            "made_at", "database_id", "schema", "sqlite_version", "archive_bytes", "archive_sha256", "database_bytes",
            "rows", "audit_head", "data_until", "secret_version", "recipients", "seconds", "format", "name", "another", "stream",
            "authenticated_by", "mac",
        ]),
        text in "[0-9a-f]{0,8}|age1[a-z0-9]{0,8}|2026-11-23T0[0-9]:59:00\\.000Z|wardpost-20261123T020000Z\\.sqlite\\.gz\\.age|\\PC{0,12}|\\x1b\\[2J|\u{202e}",
        number in proptest::option::of(any::<i64>()),
        shape in 0..4,
    ) {
        let plain = number.map_or_else(|| serde_json::Value::from(text.as_str()), serde_json::Value::from);
        let value = match shape {
            0 => plain,
            1 => serde_json::json!([plain]),
            2 => serde_json::json!({ text: number.unwrap_or(1) }),
            _ => serde_json::json!({ "id": number.unwrap_or(1), "hash": text }),
        };
        let mut json: serde_json::Value = serde_json::from_str(&sample().to_json()).unwrap();
        json[field] = value;
        if let Ok(manifest) = Manifest::parse(json.to_string().as_bytes(), &sample().name) {
            let again = manifest.to_json();
            prop_assert!(again.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{}", again);
            prop_assert_eq!(Manifest::parse(again.as_bytes(), &sample().name), Ok(manifest));
        }
    }
}
