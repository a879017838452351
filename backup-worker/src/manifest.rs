//! What a backup must turn out to be, written down when it was made. A backup without its manifest does not count: the
//! manifest is written last. Format 2 ends with a [`code`].

mod code;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use store::backup::Inspection;
use store::{BackupContent, RecordedBackup, RecordedHead, Timestamp};

pub use self::code::Code;
use crate::archive::Sums;
use crate::name::BackupName;

/// What this program writes.
const FORMAT: u32 = 2;
/// The format without a code, of programs before.
const UNAUTHENTICATED: u32 = 1;
/// The longest manifest that is read, in bytes. Ours take some 200 for each table and recipient, 2 KiB together.
pub const LONGEST: u64 = 64 * 1024;

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
    /// The size of the pages in plaintext, as `age -d | gunzip` gives them.
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
    /// The name of the database's log, see [`store::Store::audit_stream`]. This and what follows: since format 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Whose key authenticates this: an age public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticated_by: Option<String>,
    /// The code, in hex. The last field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
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
            stream: Some(copy.stream.clone()),
            authenticated_by: None,
            mac: None,
        }
    }

    /// Reads it without asking for its code.
    fn parse(bytes: &[u8], name: &BackupName) -> Result<Manifest, String> {
        let manifest: Manifest =
            serde_json::from_slice(bytes).map_err(|error| format!("the manifest cannot be read: {error}"))?;
        if !(UNAUTHENTICATED..=FORMAT).contains(&manifest.format) {
            return Err(format!(
                "the manifest has format {}, and this program knows formats up to {FORMAT}: use the newer program",
                manifest.format
            ));
        }
        if manifest.name != *name {
            return Err(format!("the manifest is that of {}: it was swapped", manifest.name));
        }
        match manifest.odd_field() {
            Some(field) => Err(format!("the manifest cannot be read: its `{field}` is not as this program writes it")),
            None => Ok(manifest),
        }
    }

    /// The first field that holds something else than what we write: anyone who may write to the target may write anything, and
    /// an operator and the log see parts of it.
    fn odd_field(&self) -> Option<&'static str> {
        let hex = |text: &str| text.len() <= 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let time = |text: &str| Timestamp::parse_rfc3339(text).is_some_and(|at| at.to_rfc3339() == text);
        let word = |text: &str, more: &[u8]| {
            (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        let has_code = self.format > UNAUTHENTICATED;
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
            ("stream", self.stream.as_deref().map_or(!has_code, |stream| has_code && word(stream, b"/-"))),
            (
                "authenticated_by",
                self.authenticated_by
                    .as_deref()
                    .map_or(!has_code, |key| has_code && key.starts_with("age1") && word(key, b"")),
            ),
            ("mac", self.mac.as_deref().map_or(!has_code, |mac| has_code && mac.len() == 64 && hex(mac))),
        ];
        fields.into_iter().find(|(_, right)| !right).map(|(field, _)| field)
    }

    /// As it is written.
    pub fn to_json(&self) -> String {
        // Texts and numbers always have a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// What an audit row says of it.
    pub fn to_record(&self) -> RecordedBackup {
        RecordedBackup {
            name: self.name.to_string(),
            bytes: self.archive_bytes,
            sha256: self.archive_sha256.clone(),
            head: Some(RecordedHead { row: self.audit_head.id, hash: self.audit_head.hash.clone() }),
            content: self.stream.clone().map(|stream| BackupContent {
                database: self.database_id.clone(),
                stream,
                schema: self.schema,
                database_bytes: self.database_bytes,
                database_sha256: self.database_sha256.clone(),
            }),
        }
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
        if self.stream.is_some() && self.stream != found.stream {
            let name = |stream: &Option<String>| stream.clone().unwrap_or_default();
            return differs("the name of the audit log", &name(&self.stream), &name(&found.stream));
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

/// What is said of a manifest above [`LONGEST`].
pub(crate) fn too_long() -> String {
    format!("the manifest is longer than {LONGEST} bytes, which ours never are: somebody has changed it at the target")
}

#[cfg(test)]
pub(crate) mod tests;
