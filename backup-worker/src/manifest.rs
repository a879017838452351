//! What a backup must turn out to be, written down when it was made. A backup without its manifest does not count: the
//! manifest is written last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::Timestamp;
use store::backup::Inspection;

use crate::archive::Sums;
use crate::name::BackupName;

const FORMAT: u32 = 1;

/// What may stand in a secret's version beside letters and digits. Wide, since the version is taken from a comment.
const VERSION: &[u8] = b" -_.:/+=";
/// No backup takes a year; and numbers of 17 digits would not be read as they were written.
const YEAR_SECONDS: f64 = 366.0 * 86_400.0;

/// The end of an audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The newest row.
    pub id: i64,
    /// Its hash, in hex.
    pub hash: String,
}

/// The manifest of a backup. Times are RFC 3339, sizes are bytes, hashes are SHA-256 in hex.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// The archive.
    pub name: BackupName,
    /// When the backup was begun.
    pub made_at: String,
    /// Which database it is of.
    pub database_id: String,
    /// Its schema.
    pub schema: i64,
    /// The SQLite that made it.
    pub sqlite_version: String,
    /// The archive's size.
    pub archive_bytes: u64,
    /// The archive's hash.
    pub archive_sha256: String,
    /// The size of the pages in clear, as `age -d | gunzip` gives them.
    pub database_bytes: u64,
    /// Their hash.
    pub database_sha256: String,
    /// How many rows each table has.
    pub rows: BTreeMap<String, u64>,
    /// The end of the audit log.
    pub audit_head: Head,
    /// When the newest audit row was written: everything up to then is in the backup.
    pub data_until: String,
    /// Which version of the secret the machine ran with, where that is known.
    pub secret_version: Option<String>,
    /// Who can open it: age public keys.
    pub recipients: Vec<String>,
    /// How long it took to make, to the millisecond.
    pub seconds: f64,
}

impl Manifest {
    /// The manifest of a copy that was inspected and packed.
    pub fn new(name: BackupName, copy: &Inspection, sums: &Sums) -> Manifest {
        Manifest {
            format: FORMAT,
            made_at: name.at().to_rfc3339(),
            name,
            database_id: copy.database_id.clone(),
            schema: copy.schema,
            sqlite_version: copy.sqlite_version.clone(),
            archive_bytes: sums.archive_bytes,
            archive_sha256: sums.archive_sha256.clone(),
            database_bytes: sums.database_bytes,
            database_sha256: sums.database_sha256.clone(),
            rows: copy.rows.clone(),
            audit_head: Head { id: copy.head.id.get(), hash: copy.head.hash.to_string() },
            data_until: copy.newest_at.to_rfc3339(),
            secret_version: None,
            recipients: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Reads the manifest of the backup `name`. The error says what is wrong with it.
    pub fn parse(bytes: &[u8], name: &BackupName) -> Result<Manifest, String> {
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|error| format!("the manifest cannot be read: {error}"))?;
        if manifest.format != FORMAT {
            return Err(format!("the manifest has format {}, and this program knows format {FORMAT}", manifest.format));
        }
        if manifest.name != *name {
            return Err(format!("the manifest is that of {}: it was swapped", manifest.name));
        }
        match manifest.odd_field() {
            Some(field) => Err(format!("the manifest cannot be read: its `{field}` is not as this program writes it")),
            None => Ok(manifest),
        }
    }

    /// The first field that holds something else than what we write: whoever may write to the target may write anything, and
    /// an operator and the log see parts of it.
    fn odd_field(&self) -> Option<&'static str> {
        let hex = |text: &str| text.len() <= 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let time = |text: &str| Timestamp::parse_rfc3339(text).is_some_and(|at| at.to_rfc3339() == text);
        let word = |text: &str, more: &[u8]| {
            (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        let fields = [
            ("made_at", time(&self.made_at)),
            ("database_id", hex(&self.database_id)),
            ("sqlite_version", word(&self.sqlite_version, b".")),
            ("archive_sha256", hex(&self.archive_sha256)),
            ("database_sha256", hex(&self.database_sha256)),
            ("rows", self.rows.keys().all(|table| word(table, b"_"))),
            ("audit_head", self.audit_head.id >= 0 && hex(&self.audit_head.hash)),
            ("data_until", time(&self.data_until)),
            ("secret_version", self.secret_version.as_deref().is_none_or(|version| word(version, VERSION))),
            (
                "recipients",
                self.recipients.iter().all(|recipient| recipient.starts_with("age1") && word(recipient, b"")),
            ),
            ("seconds", (0.0..YEAR_SECONDS).contains(&self.seconds)),
        ];
        fields.into_iter().find(|(_, right)| !right).map(|(field, _)| field)
    }

    /// As it is written.
    pub fn to_json(&self) -> String {
        // Texts and numbers always have a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// When the newest row in it was written.
    pub fn data_until(&self) -> Timestamp {
        Timestamp::parse_rfc3339(&self.data_until).unwrap_or(self.name.at())
    }

    /// The first thing in which the unpacked archive is not what the manifest says.
    pub fn difference(&self, found: &Manifest) -> Option<String> {
        let differs = |what: &str, said: &dyn std::fmt::Display, is: &dyn std::fmt::Display| {
            Some(format!("{what} differs: the manifest says {said}, and it is {is}"))
        };
        if self.archive_bytes != found.archive_bytes {
            return differs("the archive's size", &self.archive_bytes, &found.archive_bytes);
        }
        if self.archive_sha256 != found.archive_sha256 {
            return differs("the archive's SHA-256", &self.archive_sha256, &found.archive_sha256);
        }
        if self.database_bytes != found.database_bytes {
            return differs("the database's size", &self.database_bytes, &found.database_bytes);
        }
        if self.database_sha256 != found.database_sha256 {
            return differs("the database's SHA-256", &self.database_sha256, &found.database_sha256);
        }
        if self.database_id != found.database_id {
            return differs("the database's id", &self.database_id, &found.database_id);
        }
        if self.schema != found.schema {
            return differs("the schema", &self.schema, &found.schema);
        }
        if self.audit_head != found.audit_head {
            return differs("the newest audit row", &self.audit_head.id, &found.audit_head.id);
        }
        if self.data_until != found.data_until {
            return differs("the age of the data", &self.data_until, &found.data_until);
        }
        if self.rows != found.rows {
            let tables = self.rows.keys().chain(found.rows.keys());
            let table = tables.into_iter().find(|table| self.rows.get(*table) != found.rows.get(*table));
            let count = |rows: &BTreeMap<String, u64>| table.and_then(|table| rows.get(table)).copied().unwrap_or(0);
            let what = format!("the number of rows of {}", table.map_or("a table", String::as_str));
            return differs(&what, &count(&self.rows), &count(&found.rows));
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use proptest::prelude::*;

    use super::*;

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
            (json.replace("\"format\": 1", "\"format\": 2"), &manifest.name, "format 2"),
            (json[..json.len() / 2].to_owned(), &manifest.name, "cannot be read"),
            (json.replace("\"schema\"", "\"scheme\""), &manifest.name, "cannot be read"),
            (String::new(), &manifest.name, "cannot be read"),
        ] {
            let error = Manifest::parse(json.as_bytes(), name).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn every_promise_is_compared() {
        type Change = fn(&mut Manifest);
        let changes: [(&str, Change); 9] = [
            ("archive's size", |manifest| manifest.archive_bytes += 1),
            ("archive's SHA-256", |manifest| manifest.archive_sha256.push('0')),
            ("database's size", |manifest| manifest.database_bytes += 1),
            ("database's SHA-256", |manifest| manifest.database_sha256.push('0')),
            ("database's id", |manifest| manifest.database_id.push('0')),
            ("schema", |manifest| manifest.schema += 1),
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

        /// Whoever can write to the target: each field replaced by anything. What is read has nothing in it that we would not
        /// write, and reads as the same again.
        #[test]
        fn what_is_read_is_what_we_could_have_written(
            field in proptest::sample::select(vec![
                "made_at", "database_id", "schema", "sqlite_version", "archive_bytes", "archive_sha256", "database_bytes",
                "rows", "audit_head", "data_until", "secret_version", "recipients", "seconds", "format", "name", "another",
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
}
