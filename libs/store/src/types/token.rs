//! A session's token: 256 random bits that the browser holds, of which the database knows only the SHA-256.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use super::{Random, random_bytes};

/// The secret that a browser's cookie carries.
pub struct SessionToken([u8; 32]);

/// What is stored of a token. Looking one up by its hash gives nothing away in time: the token behind it is not
/// guessed byte by byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenHash([u8; 32]);

impl SessionToken {
    /// A new one.
    pub fn random(random: &dyn Random) -> Self {
        Self(random_bytes(random))
    }

    /// Reads the 64 hex characters of [`SessionToken::reveal`].
    pub fn parse(text: &str) -> Option<Self> {
        let mut token = Self([0; 32]);
        hex::decode_to_slice(text, &mut token.0).ok()?;
        Some(token)
    }

    /// The secret as text, for the cookie and nothing else.
    pub fn reveal(&self) -> String {
        hex::encode(self.0)
    }

    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0).into())
    }
}

impl TokenHash {
    /// The raw bytes.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for SessionToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SessionToken(***)")
    }
}

/// 64 random hex characters, for a session's forms (control A3).
pub(crate) fn csrf_token(random: &dyn Random) -> String {
    hex::encode(Zeroizing::new(random_bytes::<32>(random)).as_slice())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SystemRandom;

    proptest! {
        #[test]
        fn only_64_hex_characters_are_a_token(text in "[0-9a-fA-F]{63,65}|[0-9a-g]{64}|\\PC{0,70}") {
            let ours = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            prop_assert_eq!(SessionToken::parse(&text).map(|token| token.reveal()), ours.then(|| text.to_lowercase()));
        }
    }

    #[test]
    fn a_token_survives_its_text_and_hides_in_debug() {
        let token = SessionToken::random(&SystemRandom);
        assert!(SessionToken::parse(&token.reveal()).unwrap().hash() == token.hash());
        assert_eq!(format!("{token:?}"), "SessionToken(***)");
        for text in ["", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            assert!(SessionToken::parse(text).is_none());
        }
    }

    #[test]
    fn the_form_token_has_64_characters() {
        assert_eq!(csrf_token(&SystemRandom).len(), 64);
        assert_ne!(csrf_token(&SystemRandom), csrf_token(&SystemRandom));
    }
}
