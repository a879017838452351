//! Who can open an archive: age key pairs. One is derived from the database key, so that a machine that has its secrets can
//! restore without anything else; others are the clinic's, whose private half it keeps offline.

use std::fs;
use std::path::Path;

use age::x25519::{Identity, Recipient};
use bech32::{Bech32, Hrp};
use secrecy::{ExposeSecret, SecretString};
use store::DatabaseKey;
use zeroize::Zeroizing;

/// Names the purpose of the derived key, for ever: archives that exist depend on it.
const LABEL: &[u8] = b"wardpost-backup-age-v1";

/// How age marks a private key.
const PRIVATE: &str = "age-secret-key-";

/// A private key that opens archives.
#[derive(Clone)]
pub struct BackupIdentity(Identity);

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
        text.parse().map(BackupIdentity).map_err(|_| IdentityError::Derive)
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
            let parsed = text.parse().map_err(|_| IdentityError::NotAnIdentity { path: shown.clone(), line })?;
            identities.push(BackupIdentity(parsed));
        }
        if identities.is_empty() { Err(IdentityError::Empty { path: shown }) } else { Ok(identities) }
    }

    /// The public half.
    pub fn recipient(&self) -> BackupRecipient {
        BackupRecipient(self.0.to_public())
    }

    /// As age's tools read it.
    pub fn reveal(&self) -> SecretString {
        self.0.to_string()
    }

    pub(crate) fn as_age(&self) -> &dyn age::Identity {
        &self.0
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
        "# The key of Wardpost's backups. Whoever has it can read every one of them: keep it in the safe.\n# public key: {}\n{}\n",
        identity.recipient(),
        secret.expose_secret()
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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
    fn the_file_for_the_safe_is_read_back() {
        let identity = BackupIdentity::derive(&key("0a")).unwrap();
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("identity");
        fs::write(&path, identity_file(&identity).as_str()).unwrap();
        let read = BackupIdentity::read_file(&path).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].recipient(), identity.recipient());
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
