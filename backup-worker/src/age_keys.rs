//! Who can open an archive: age key pairs. One is derived from the database key, so that a machine that has its secrets can
//! restore without anything else; others are the clinic's, whose private half it keeps offline.

use std::fs;
use std::path::Path;

use age::x25519::{Identity, Recipient};
use bech32::{Bech32, Hrp};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use store::DatabaseKey;
use zeroize::Zeroizing;

/// Names the purpose of the derived key, forever: archives that exist depend on it.
const LABEL: &[u8] = b"wardpost-backup-age-v1";

/// Names the purpose of the key that authenticates manifests, derived from an identity's own 32 bytes, so that it is kept,
/// changed and given away with the identity. It never changes: manifests that exist depend on it.
const MANIFEST_LABEL: &[u8] = b"wardpost-backup-manifest-v2";

/// How age marks a private key.
const PRIVATE: &str = "age-secret-key-";

/// A private key that opens archives, and authenticates their manifests.
#[derive(Clone)]
pub struct BackupIdentity {
    age: Identity,
    manifest_key: Zeroizing<[u8; 32]>,
}

/// Why a private key could not be had. No part of it is in the words.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The derived bytes are none; does not happen.
    #[error("the key of the backups cannot be derived from DB_ENCRYPTION_KEY")]
    Derive,
    /// The file with the identity cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{path}, line {line}: not an age identity; it begins with AGE-SECRET-KEY-1")]
    NotAnIdentity {
        /// The file.
        path: String,
        /// The line.
        line: usize,
    },
    /// The file holds nothing.
    #[error("{path} holds no age identity")]
    Empty {
        /// The file.
        path: String,
    },
}

impl BackupIdentity {
    /// The one that belongs to a database key.
    pub fn derive(key: &DatabaseKey) -> Result<BackupIdentity, IdentityError> {
        let bytes = key.derive(LABEL);
        let prefix = Hrp::parse(PRIVATE).map_err(|_| IdentityError::Derive)?;
        let text = bech32::encode::<Bech32>(prefix, bytes.as_slice()).map(Zeroizing::new);
        let text = text.map_err(|_| IdentityError::Derive)?;
        text.parse().ok().and_then(BackupIdentity::of).ok_or(IdentityError::Derive)
    }

    /// Those in a file, one a line; lines that begin with `#` are comments, as in age's own files.
    pub fn read_file(path: &Path) -> Result<Vec<BackupIdentity>, IdentityError> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| IdentityError::File { path: shown.clone(), source })?;
        let mut identities = Vec::new();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let parsed = text.parse().ok().and_then(BackupIdentity::of);
            identities.push(parsed.ok_or_else(|| IdentityError::NotAnIdentity { path: shown.clone(), line })?);
        }
        if identities.is_empty() { Err(IdentityError::Empty { path: shown }) } else { Ok(identities) }
    }

    fn of(age: Identity) -> Option<BackupIdentity> {
        let (_, secret) = bech32::decode(age.to_string().expose_secret()).ok()?;
        let secret = Zeroizing::new(secret);
        let mut manifest_key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &secret).expand(MANIFEST_LABEL, manifest_key.as_mut()).ok()?;
        Some(BackupIdentity { age, manifest_key })
    }

    /// The code (HMAC-SHA256) of a manifest's bytes under the key that follows this identity. The public
    /// half is not enough to make it.
    pub fn authenticate(&self, bytes: &[u8]) -> [u8; 32] {
        self.code_of(bytes).finalize().into_bytes().into()
    }

    /// Whether `code` is that code; compared in constant time.
    pub fn has_authenticated(&self, bytes: &[u8], code: &[u8; 32]) -> bool {
        self.code_of(bytes).verify(code.into()).is_ok()
    }

    fn code_of(&self, bytes: &[u8]) -> Hmac<Sha256> {
        // A key of exactly one block's size or less is taken as it is: there is nothing that could fail.
        let mut padded = Zeroizing::new([0; 64]);
        padded[..32].copy_from_slice(self.manifest_key.as_slice());
        let mut code = <Hmac<Sha256> as hmac::digest::KeyInit>::new((&*padded).into());
        code.update(bytes);
        code
    }

    /// The public half.
    pub fn recipient(&self) -> BackupRecipient {
        BackupRecipient(self.age.to_public())
    }

    /// As age's tools read it.
    pub fn reveal(&self) -> SecretString {
        self.age.to_string()
    }

    pub(crate) fn as_age(&self) -> &dyn age::Identity {
        &self.age
    }
}

/// A public key that archives are encrypted to.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupRecipient(Recipient);

impl BackupRecipient {
    /// Reads `age1...`. The error is a sentence for the operator.
    pub fn parse(text: &str) -> Result<BackupRecipient, String> {
        // Somebody may paste the wrong half, perhaps with a quote or its comment before it; its text must not be repeated.
        if text.to_ascii_uppercase().contains("AGE-SECRET-KEY") {
            return Err("holds a private key: only public ones (age1...) belong on this machine".to_owned());
        }
        text.parse().map(BackupRecipient).map_err(|_| format!("`{text}` is not an age public key, such as age1..."))
    }

    pub(crate) fn as_age(&self) -> &dyn age::Recipient {
        &self.0
    }
}

impl std::fmt::Display for BackupRecipient {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(out)
    }
}

/// The lines of an identity file, for the safe.
pub fn identity_file(identity: &BackupIdentity) -> Zeroizing<String> {
    let secret = identity.reveal();
    Zeroizing::new(format!(
        "# The key of Wardpost's backups. Anyone who has it can read every one of them: keep it in the safe.\n# public key: {}\n{}\n",
        identity.recipient(),
        secret.expose_secret()
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: &str) -> DatabaseKey {
        DatabaseKey::from_hex(&byte.repeat(32)).unwrap()
    }

    #[test]
    fn a_database_key_always_gives_the_same_identity_and_another_key_another() {
        let one = BackupIdentity::derive(&key("0a")).unwrap();
        assert_eq!(one.recipient(), BackupIdentity::derive(&key("0a")).unwrap().recipient());
        assert_ne!(one.recipient(), BackupIdentity::derive(&key("0b")).unwrap().recipient());
        assert_ne!(one.reveal().expose_secret(), &"0a".repeat(32));
    }

    #[test]
    fn the_code_of_a_manifest_stays_the_same_and_follows_the_identity() {
        let identity = BackupIdentity::derive(&key("0a")).unwrap();
        let code = identity.authenticate(b"a manifest");
        // Computed once with another implementation of RFC 5869 and RFC 2104: manifests that exist depend on it.
        assert_eq!(hex::encode(&code[..4]), "cb54226c");
        assert!(identity.has_authenticated(b"a manifest", &code));
        assert!(!identity.has_authenticated(b"a manifesT", &code));
        assert!(!BackupIdentity::derive(&key("0b")).unwrap().has_authenticated(b"a manifest", &code));
    }

    #[test]
    fn the_file_for_the_safe_is_read_back() {
        let identity = BackupIdentity::derive(&key("0a")).unwrap();
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("identity");
        fs::write(&path, identity_file(&identity).as_str()).unwrap();
        let read = BackupIdentity::read_file(&path).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].recipient(), identity.recipient());
        assert_eq!(read[0].authenticate(b"m"), identity.authenticate(b"m"));
    }

    #[test]
    fn what_is_no_identity_file_is_refused_and_not_repeated() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("identity");
        for (text, words) in
            [("", "no age identity"), ("# only\n\n", "no age identity"), ("# a\nAGE-SECRET-KEY-1WRONG\n", "line 2")]
        {
            fs::write(&path, text).unwrap();
            let error = BackupIdentity::read_file(&path).err().unwrap().to_string();
            assert!(error.contains(words) && !error.contains("WRONG"), "{error}");
        }
        fs::remove_file(&path).unwrap();
        assert!(BackupIdentity::read_file(&path).is_err());
    }

    #[test]
    fn a_private_key_is_no_recipient_and_is_not_repeated() {
        let identity = BackupIdentity::derive(&key("0a")).unwrap();
        let private = identity.reveal();
        let error = BackupRecipient::parse(private.expose_secret()).unwrap_err();
        assert!(error.contains("private key") && !error.contains(&private.expose_secret()[20..]), "{error}");
        let public = identity.recipient().to_string();
        assert_eq!(BackupRecipient::parse(&public).unwrap(), identity.recipient());
        assert!(BackupRecipient::parse("age1nonsense").is_err());
        for pasted in
            [format!("\"{}\"", private.expose_secret()), format!("# mine: {}", private.expose_secret().to_lowercase())]
        {
            let error = BackupRecipient::parse(&pasted).unwrap_err().to_uppercase();
            assert!(!error.contains(&private.expose_secret()[20..]), "{error}");
        }
    }

    proptest! {
        /// Only whole public keys are taken; a private one, however it is wrapped, is not repeated.
        #[test]
        fn a_recipient_is_its_own_text(text in "age1[a-z0-9]{50,60}|AGE1[A-Z0-9]{58}|\\PC{0,30}", before in "\\PC{0,6}", after in "\\PC{0,6}") {
            if let Ok(recipient) = BackupRecipient::parse(&text) {
                prop_assert_eq!(recipient.to_string(), text.to_lowercase());
            }
            let error = BackupRecipient::parse(&format!("{before}AGE-SECRET-KEY-1{text}{after}")).unwrap_err();
            prop_assert!(error.starts_with("holds a private key"), "{}", error);
        }
    }
}
