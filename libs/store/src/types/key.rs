//! The key of the database: 32 raw bytes.
//!
//! Raw rather than a passphrase, since a passphrase would be stretched with 256,000 rounds on every connection, and a
//! key from a secret store needs no stretching. The bytes are wiped when dropped and never shown.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// The 32-byte key of a database file.
pub struct DatabaseKey([u8; 32]);

/// Names the purpose, forever: audit rows hold fingerprints.
const FINGERPRINT: &[u8] = b"wardpost-key-fingerprint-v1";

/// A text was not a database key. It never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The wrong number of characters.
    #[error("the database key must be exactly 64 hex characters (32 bytes); this one has {found} characters")]
    Length {
        /// How many characters there were.
        found: usize,
    },
    /// Something that is not a hex digit.
    #[error("the database key must be 64 hex characters; this one has a character that is not 0-9, a-f or A-F")]
    NotHex,
}

impl DatabaseKey {
    /// Reads a key from exactly 64 hex characters.
    pub fn from_hex(text: &str) -> Result<DatabaseKey, KeyError> {
        let found = text.chars().count();
        if found != 64 {
            return Err(KeyError::Length { found });
        }
        let mut bytes = [0; 32];
        if hex::decode_to_slice(text, &mut bytes).is_err() {
            bytes.zeroize();
            return Err(KeyError::NotHex);
        }
        Ok(DatabaseKey(bytes))
    }

    /// The statement that gives a connection its key; the text is wiped when dropped.
    pub(crate) fn pragma(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex::encode(self.0));
        // Of its final size from the start: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(96));
        text.push_str("PRAGMA key = \"x'");
        text.push_str(&digits);
        text.push_str("'\";");
        text
    }

    /// A key of another purpose, derived from this one (HKDF-SHA256); `label` names the purpose.
    pub fn derive(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut derived = Zeroizing::new([0; 32]);
        // 32 bytes are never more than HKDF gives; a failure would leave zeros, which nobody may take for a key.
        if Hkdf::<Sha256>::new(None, &self.0).expand(label, derived.as_mut()).is_err() {
            unreachable!("HKDF-SHA256 gives up to 8160 bytes")
        }
        derived
    }

    /// What a key is called where it must not be shown: 16 hex characters that tell keys apart and nothing else.
    pub fn fingerprint(&self) -> String {
        hex::encode(&self.derive(FINGERPRINT)[..8])
    }

    /// A key that differs from this one.
    pub(crate) fn another(&self) -> DatabaseKey {
        let mut other = self.0;
        other[0] ^= 0xff;
        DatabaseKey(other)
    }

    /// A second holder of the same key, for work that outlives the borrow.
    pub fn duplicate(&self) -> DatabaseKey {
        DatabaseKey(self.0)
    }
}

impl Drop for DatabaseKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for DatabaseKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DatabaseKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_hex_characters() {
        let key = DatabaseKey::from_hex(&"aB".repeat(32)).unwrap();
        assert_eq!(key.pragma().as_str(), format!("PRAGMA key = \"x'{}'\";", "ab".repeat(32)));
    }

    #[test]
    fn a_bad_key_is_refused_without_being_repeated() {
        for text in ["", "secret", &"a".repeat(63), &"a".repeat(65), &"z".repeat(64), &"é".repeat(64)] {
            let error = DatabaseKey::from_hex(text).unwrap_err();
            assert!(text.is_empty() || !error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn derived_keys_differ_by_key_and_label_and_stay_the_same_forever() {
        let key = DatabaseKey::from_hex(&"ab".repeat(32)).unwrap();
        // Computed once with another implementation of RFC 5869: archives that exist depend on it.
        let expected = "f605a631256fee999c1bbc129dd5bdf7b374765bf8b77844eae256deda97c7f8";
        assert_eq!(hex::encode(key.derive(b"wardpost-backup-age-v1").as_slice()), expected);
        assert_ne!(key.derive(b"another").as_slice(), key.derive(b"wardpost-backup-age-v1").as_slice());
        assert_ne!(key.another().derive(b"another").as_slice(), key.derive(b"another").as_slice());
    }

    #[test]
    fn debug_shows_no_key() {
        let key = DatabaseKey::from_hex(&"ab".repeat(32)).unwrap();
        assert_eq!(format!("{key:?}"), "DatabaseKey(***)");
    }
}
