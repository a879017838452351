//! The one-time code of a grant: 120 random bits, of which the database knows only the SHA-256.
//!
//! It must survive being read out over a telephone on a bad day: 24 letters and digits in groups of four, without those
//! that are taken for others (Crockford's base 32).

use std::fmt;

use rusqlite::types::{ToSql, ToSqlOutput};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::types::{Random, random_bytes};

const BYTES: usize = 15;
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const GROUP: usize = 4;

/// The secret that anyone who was granted access types or is linked to.
pub struct EmergencyCode([u8; BYTES]);

/// What is stored of it.
#[derive(Clone, Copy)]
pub(super) struct CodeHash([u8; 32]);

impl EmergencyCode {
    /// A new one.
    pub fn random(random: &dyn Random) -> Self {
        Self(random_bytes(random))
    }

    /// Reads what a person typed: case, spaces and dashes do not matter, and O, I and L are the digits they look like.
    pub fn parse(text: &str) -> Option<Self> {
        let mut code = Self([0; BYTES]);
        let mut bits = 0;
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let letter = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let value = LETTERS.iter().position(|known| char::from(*known) == letter)?;
            for bit in (0..5).rev() {
                *code.0.get_mut(bits / 8)? |= u8::try_from(value >> bit & 1).ok()? << (7 - bits % 8);
                bits += 1;
            }
        }
        (bits == BYTES * 8).then_some(code)
    }

    /// The secret as text, for the link and nothing else.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(32));
        for index in 0..BYTES * 8 / 5 {
            if index > 0 && index % GROUP == 0 {
                text.push('-');
            }
            let value = (0..5).fold(0, |value, bit| {
                let at = index * 5 + bit;
                value << 1 | usize::from(self.0[at / 8] >> (7 - at % 8) & 1)
            });
            text.push(char::from(LETTERS[value]));
        }
        text
    }

    pub(super) fn hash(&self) -> CodeHash {
        CodeHash(Sha256::digest(self.0).into())
    }
}

impl Drop for EmergencyCode {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for EmergencyCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("EmergencyCode(***)")
    }
}

impl ToSql for CodeHash {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_reads_as_groups_and_hides_in_debug() {
        assert_eq!(*EmergencyCode([0; BYTES]).reveal(), "0000-0000-0000-0000-0000-0000");
        assert_eq!(*EmergencyCode([0xff; BYTES]).reveal(), "ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        assert_eq!(format!("{:?}", EmergencyCode::random(&crate::SystemRandom)), "EmergencyCode(***)");
    }

    proptest! {
        #[test]
        fn every_code_survives_its_text_however_it_is_typed(bytes: [u8; BYTES]) {
            let code = EmergencyCode(bytes);
            let text = code.reveal();
            let typed = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            for text in [text.as_str(), &typed, &text.replace('-', "").replace('1', "I")] {
                prop_assert_eq!(EmergencyCode::parse(text).unwrap().0, bytes);
            }
            prop_assert!(EmergencyCode::parse(&text[1..]).is_none());
            let longer = format!("{}0", &*text);
            prop_assert!(EmergencyCode::parse(&longer).is_none());
        }

        #[test]
        fn what_is_no_code_is_refused_and_nothing_panics(text in ".{0,60}") {
            let letters = text.chars().filter(|c| !c.is_whitespace() && *c != '-').count();
            prop_assert!(letters == 24 || EmergencyCode::parse(&text).is_none());
        }
    }
}
