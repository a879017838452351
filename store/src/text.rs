//! What people write, checked once at the edge: a [`Subject`], a [`Body`], and the key that makes sending repeatable.
//!
//! Inside, nothing else can be stored. Debug shows lengths only, so that no text reaches a log by accident. The errors
//! are sentences for the person who typed, to stand beside the field.

use std::fmt;

use crate::random::random_bytes;

/// A message's subject: trimmed, 1 to 255 characters, none of them a control character.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject(String);

/// What is wrong with a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Nothing but space.
    #[error("Write a subject.")]
    Blank,
    /// More characters than fit.
    #[error("The subject may have {max} characters; this one has {}.", grouped(*found), max = Subject::MAX_CHARS)]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// A line break, tab or other control character.
    #[error("The subject holds a line break or another character that cannot be shown. Remove it.")]
    ControlCharacter,
}

impl Subject {
    /// The most characters (Unicode scalar values) a subject may have (control A5).
    pub const MAX_CHARS: usize = 255;

    /// Checks what was typed.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SubjectError::Blank);
        }
        let found = text.chars().count();
        if found > Self::MAX_CHARS {
            return Err(SubjectError::TooLong { found });
        }
        if text.chars().any(char::is_control) {
            return Err(SubjectError::ControlCharacter);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Subject({} bytes)", self.0.len())
    }
}

/// A message's body: plain text, not blank, at most 20,000 characters, lines ended by `\n`.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(String);

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Nothing but space.
    #[error("Write a message.")]
    Blank,
    /// More characters than fit.
    #[error("The message may have {max} characters; this one has {}.", grouped(*found), max = grouped(Body::MAX_CHARS))]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// A control character other than a line break or tab.
    #[error("The message holds a character that cannot be shown. Type or paste it again as plain text.")]
    ControlCharacter,
}

impl Body {
    /// The most characters (Unicode scalar values) a body may have: some ten printed pages.
    pub const MAX_CHARS: usize = 20_000;

    /// Checks what was typed. A browser sends line ends as CRLF; they are kept as LF.
    pub fn parse(text: &str) -> Result<Self, BodyError> {
        if text.trim().is_empty() {
            return Err(BodyError::Blank);
        }
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let found = text.chars().count();
        if found > Self::MAX_CHARS {
            return Err(BodyError::TooLong { found });
        }
        if text.chars().any(|each| each.is_control() && each != '\n' && each != '\t') {
            return Err(BodyError::ControlCharacter);
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Body({} bytes)", self.0.len())
    }
}

/// Made when a compose form is shown and sent along with it: the same key from the same author is the same message, so
/// a double click or a retried request makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(pub(crate) [u8; 16]);

impl IdempotencyKey {
    /// A new key.
    pub fn random() -> Self {
        Self(random_bytes())
    }

    /// Reads the 32 hex characters that Display writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

/// A number as people read it: 20,000.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_subject_is_trimmed_and_counted_in_characters() {
        assert_eq!(Subject::parse("  Rota \u{a0}").unwrap().as_str(), "Rota");
        assert!(Subject::parse(&"é".repeat(255)).is_ok());
        assert_eq!(Subject::parse(&"é".repeat(300)), Err(SubjectError::TooLong { found: 300 }));
        assert_eq!(Subject::parse(" \t\n"), Err(SubjectError::Blank));
        for text in ["a\nb", "a\0b", "a\u{85}b", "a\u{1b}[1m"] {
            assert_eq!(Subject::parse(text), Err(SubjectError::ControlCharacter), "{text:?}");
        }
    }

    #[test]
    fn the_errors_are_sentences_with_numbers() {
        let error = Subject::parse(&"x".repeat(300)).unwrap_err();
        assert_eq!(error.to_string(), "The subject may have 255 characters; this one has 300.");
        let error = Body::parse(&"x".repeat(20_001)).unwrap_err();
        assert_eq!(error.to_string(), "The message may have 20,000 characters; this one has 20,001.");
    }

    #[test]
    fn a_body_keeps_lines_and_tabs_and_nothing_else_that_is_invisible() {
        assert_eq!(Body::parse("a\r\nb\rc\nd\te").unwrap().as_str(), "a\nb\nc\nd\te");
        assert!(Body::parse(&"\r\n".repeat(9_999).replace("\r\n", "x\r\n")).is_ok());
        assert_eq!(Body::parse("\r\n \u{2003}"), Err(BodyError::Blank));
        assert_eq!(Body::parse("a\0"), Err(BodyError::ControlCharacter));
    }

    #[test]
    fn debug_shows_no_text() {
        assert_eq!(format!("{:?}", Subject::parse("Mrs Smith").unwrap()), "Subject(9 bytes)");
        assert_eq!(format!("{:?}", Body::parse("fever").unwrap()), "Body(5 bytes)");
    }

    #[test]
    fn a_key_survives_its_text() {
        let key = IdempotencyKey::random();
        assert_eq!(IdempotencyKey::parse(&key.to_string()), Some(key));
        for text in ["", "00", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32)] {
            assert_eq!(IdempotencyKey::parse(text), None);
        }
    }
}
