//! What audit rows say of people by name: an e-mail address, an account, an operator's name.
//!
//! The log itself can never be changed, so no name stands in it. A row's details carry under [`KEY`] the salted hash of a
//! text that lies in a table beside the log; pages, exports and the shipped copy show the text with the row as long as it is
//! there. Once it is erased with its salt, the hash proves nothing and no guess can be tested against it, while the chain of
//! hashes holds as before.

use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::ledger::audit::Entry;
use crate::ledger::chain_hash::field;
use crate::sqlite::schema::has_table;
use crate::sqlite::write::Write;
use crate::types::{AuditId, Hash, StoreError, random_bytes};

const LABEL: &[u8] = b"wardpost-personal-v1";
/// The table beside the log: since schema 6.
pub(crate) const TABLE: &str = "audit_personal";
/// Where the details of a row carry the hash.
const KEY: &str = "personal";

/// What stands beside an audit row of somebody by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personal {
    /// Random, and there for this text alone.
    pub salt: [u8; 16],
    /// A JSON object's text, as stored: fields that belong to the row's details.
    pub details: String,
}

impl Personal {
    /// What the row's details carry under `personal`:
    /// SHA-256("wardpost-personal-v1" || salt || field(details)), with `field` as in [`crate::chain_hash`].
    pub fn hash(&self) -> Hash {
        let mut sha = Sha256::new().chain_update(LABEL).chain_update(self.salt);
        field(Some(&self.details), &mut |bytes| sha.update(bytes));
        Hash::from_bytes(sha.finalize().into())
    }

    /// The salt in hex, as it is shipped.
    pub fn salt_hex(&self) -> String {
        hex::encode(self.salt)
    }

    /// Out of what was shipped. None where that is no salt.
    pub fn from_hex(salt: &str, details: &str) -> Option<Personal> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(salt, &mut bytes).ok()?;
        Some(Personal { salt: bytes, details: details.to_owned() })
    }

    /// Whether the details of a row carry the hash of this.
    pub fn is_of(&self, details: &str) -> bool {
        carried(details) == Some(self.hash().to_string())
    }

    /// From two columns, salt and details, the first of them at `first`; none where there is no such row.
    pub(crate) fn from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Personal>> {
        if row.get_ref(first)? == ValueRef::Null {
            return Ok(None);
        }
        Ok(Some(Personal { salt: row.get(first)?, details: row.get(first + 1)? }))
    }

    fn is_erased(&self) -> bool {
        self.salt == [0; 16] && self.details.bytes().all(|byte| byte == b' ')
    }
}

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PersonalError {
    /// It is not what the row carries the hash of.
    Changed,
    /// It is not there any more. No program erases it yet, so this is an error too.
    Gone,
}

/// Holds what stands beside a row against the row's details; `beside` is an error where it cannot be read.
pub(crate) fn check(details: &str, beside: Result<Option<Personal>, rusqlite::Error>) -> Option<PersonalError> {
    match (carried(details), beside) {
        (None, Ok(None)) => None,
        (Some(_), Ok(None)) => Some(PersonalError::Gone),
        (Some(_), Ok(Some(personal))) if personal.is_erased() => Some(PersonalError::Gone),
        (Some(hash), Ok(Some(personal))) if personal.hash().to_string() == hash => None,
        _ => Some(PersonalError::Changed),
    }
}

/// The hash in a row's details.
fn carried(details: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Carried {
        personal: Option<String>,
    }
    serde_json::from_str(details).ok().and_then(|carried: Carried| carried.personal)
}

/// Details and, instead of the hash, the fields beside them. None where they are no JSON object.
pub(crate) fn with_personal(details: &str, personal: Option<&str>) -> Option<Map<String, Value>> {
    let mut details: Map<String, Value> = serde_json::from_str(details).ok()?;
    if let Some(Ok(personal)) = personal.map(serde_json::from_str::<Map<String, Value>>) {
        details.remove(KEY);
        details.extend(personal);
    }
    Some(details)
}

impl Write<'_> {
    /// Appends a row whose details are those of `entry` and, beside the log, the fields of `personal`, a JSON object.
    pub(crate) fn append_personal(&mut self, mut entry: Entry, personal: &Value) -> Result<AuditId, StoreError> {
        let personal = Personal { salt: random_bytes(self.random()), details: personal.to_string() };
        entry.details[KEY] = personal.hash().to_string().into();
        let id = self.append(entry)?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO audit_personal (audit_id, salt, details) VALUES (?1, ?2, ?3)")?;
        insert.execute((id, personal.salt, &personal.details))?;
        Ok(id)
    }

    /// The same in a database that may be of an older schema, where there is no place beside the log.
    pub(crate) fn append_personal_in_any(&mut self, mut entry: Entry, personal: Value) -> Result<AuditId, StoreError> {
        if has_table(self.connection, TABLE)? {
            return self.append_personal(entry, &personal);
        }
        if let (Value::Object(details), Value::Object(personal)) = (&mut entry.details, personal) {
            details.extend(personal);
        }
        self.append(entry)
    }
}

#[cfg(test)]
mod tests;
