//! What people write, checked once at the edge: a [`Subject`], a [`Body`], and the key that makes sending repeatable.
//!
//! Inside, nothing else can be stored. Debug shows lengths only, so that no text reaches a log by accident. The errors
//! are sentences for the person who typed, to stand beside the field.

use std::fmt;

use super::{Random, SystemRandom, Timestamp, random_bytes};

/// Whether there is anything in a text that can be seen: a link without it could not be clicked, and a name not be told
/// from none. Unicode's default ignorable characters, and blanks that it does not count as white space, show nothing.
pub fn is_visible(text: &str) -> bool {
    text.chars().any(|c| !(c.is_whitespace() || c.is_control() || is_ignorable(c)))
}

fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// A message's subject: trimmed, 1 to 255 characters, something to see among them and no control character.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject(String);

/// What is wrong with a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Nothing that can be seen.
    #[error("Write a subject.")]
    Blank,
    /// More characters than fit.
    #[error("The subject may have {max} characters; this one has {}.", grouped(*found), max = Subject::MAX_CHARS)]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// A line break, tab or other control character. What the browser can show is not refused for being unusual.
    #[error("The subject holds a line break or another character that cannot be shown. Remove it.")]
    ControlCharacter,
}

impl Subject {
    /// The most characters (Unicode scalar values) a subject may have (control A5).
    pub const MAX_CHARS: usize = 255;

    /// Checks what was typed; white space and a byte order mark at its ends are left out.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        // A byte order mark is pasted along with the beginning of a file.
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}');
        if !is_visible(text) {
            return Err(SubjectError::Blank);
        }
        let found = text.chars().count();
        if found > Self::MAX_CHARS {
            return Err(SubjectError::TooLong { found });
        }
        if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
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

/// A team's name: trimmed, 1 to 40 characters, something to see among them and no control character.
#[derive(Clone, PartialEq, Eq)]
pub struct TeamName(String);

/// What is wrong with a team's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TeamNameError {
    /// Nothing that can be seen.
    #[error("Write the team's name.")]
    Blank,
    /// More characters than fit.
    #[error("A team's name may have {max} characters; this one has {found}.", max = TeamName::MAX_CHARS)]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// A line break, tab or other control character.
    #[error("The name holds a line break or another character that cannot be shown. Remove it.")]
    ControlCharacter,
}

impl TeamName {
    /// The most characters (Unicode scalar values): what fits a small screen beside a number.
    pub const MAX_CHARS: usize = 40;

    /// Checks what was typed.
    pub fn parse(text: &str) -> Result<Self, TeamNameError> {
        // The same rules as for a subject, but for the length.
        match Subject::parse(text) {
            Ok(name) => match name.0.chars().count() {
                ..=Self::MAX_CHARS => Ok(Self(name.0)),
                found => Err(TeamNameError::TooLong { found }),
            },
            Err(SubjectError::Blank) => Err(TeamNameError::Blank),
            Err(SubjectError::TooLong { found }) => Err(TeamNameError::TooLong { found }),
            Err(SubjectError::ControlCharacter) => Err(TeamNameError::ControlCharacter),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TeamName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TeamName({} bytes)", self.0.len())
    }
}

/// A message's body: plain text, not blank, at most 20,000 characters, lines ended by `\n`.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(String);

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Nothing that can be seen.
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
        if !is_visible(text) {
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
    /// A new key, made of the system's time and randomness: for tests and tools, see [`crate::Store::fresh_key`].
    #[expect(clippy::disallowed_methods, reason = "for tests and tools")]
    pub fn fresh() -> Self {
        Self::made(Timestamp::now(), &SystemRandom)
    }

    /// A new key: the time in six bytes, so that new keys lie together in their index, and ten random ones.
    pub(crate) fn made(now: Timestamp, random: &dyn Random) -> Self {
        let mut key = random_bytes(random);
        // The lower six bytes of a time that is not negative hold it for the next 8,900 years.
        key[..6].copy_from_slice(&now.as_millis().to_be_bytes()[2..]);
        Self(key)
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

/// At most `max` characters of what came from outside: a row has to fit the services it is shipped to.
pub(crate) fn clip(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
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
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn typed() -> impl Strategy<Value = String> {
        let odd = proptest::sample::select(vec![
            '\r', '\n', '\t', ' ', '\0', '\u{1b}', '\u{85}', '\u{2028}', '\u{202E}', '\u{FEFF}', '\u{200B}', 'x',
        ]);
        proptest::collection::vec(prop_oneof![odd, any::<char>()], 0..300).prop_map(|chars| chars.into_iter().collect())
    }

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
    fn a_text_of_which_nothing_can_be_seen_is_blank() {
        for text in
            ["\u{200B}", "\u{2060}\u{FEFF} ", "\u{3164}", "\u{2800}\u{2800}", "\u{202E}\u{2069}", "\u{E0041}", "\u{AD}"]
        {
            assert_eq!(Subject::parse(text), Err(SubjectError::Blank), "{text:?}");
            assert_eq!(Body::parse(text), Err(BodyError::Blank), "{text:?}");
        }
        assert_eq!(Subject::parse("\u{FEFF}Rota\u{FEFF}").unwrap().as_str(), "Rota");
    }

    #[test]
    fn what_languages_and_emoji_need_is_kept_as_it_was_typed() {
        for text in
            ["می\u{200C}خواهم", "👩\u{200D}⚕\u{FE0F}", "ភាសា\u{200B}ខ្មែរ", "שלום\u{200F}", "a\u{202E}b", "e\u{301}"]
        {
            assert_eq!(Subject::parse(text).unwrap().as_str(), text);
            assert_eq!(Body::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_subject_is_one_line_whatever_unicode_calls_it() {
        for text in ["a\u{2028}b", "a\u{2029}b", "a\u{85}b", "a\u{b}b", "a\u{c}b"] {
            assert_eq!(Subject::parse(text), Err(SubjectError::ControlCharacter), "{text:?}");
        }
    }

    proptest! {
        /// What is accepted keeps the promise, is what was typed but for its ends, and is accepted again unchanged.
        #[test]
        fn a_subject_is_what_was_typed_or_refused(text in typed()) {
            let Ok(subject) = Subject::parse(&text) else { return Ok(()) };
            let kept = subject.as_str();
            prop_assert!(text.contains(kept) && is_visible(kept));
            prop_assert!(kept.chars().count() <= Subject::MAX_CHARS && !kept.chars().any(char::is_control));
            prop_assert_eq!(kept.lines().count(), 1);
            prop_assert_eq!(Subject::parse(kept), Ok(subject.clone()));
        }

        /// Line ends apart, nothing is changed.
        #[test]
        fn a_body_is_what_was_typed_or_refused(text in typed()) {
            let Ok(body) = Body::parse(&text) else { return Ok(()) };
            let kept = body.as_str();
            prop_assert!(!kept.contains('\r') && is_visible(kept));
            prop_assert!(kept.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
            prop_assert_eq!(kept, text.replace("\r\n", "\n").replace('\r', "\n"));
            prop_assert_eq!(Body::parse(kept), Ok(body.clone()));
        }

        #[test]
        fn only_32_hex_characters_are_a_key(text in "[0-9a-fA-F]{31,33}|[0-9a-g]{32}|\\PC{0,40}") {
            let ours = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            prop_assert_eq!(IdempotencyKey::parse(&text).map(|key| key.to_string()), ours.then(|| text.to_lowercase()));
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
    fn a_fresh_key_begins_with_its_time_and_is_the_only_one() {
        let now = Timestamp::from_millis(1_795_381_805_123);
        let keys: HashSet<_> = (0..1000).map(|_| IdempotencyKey::made(now, &SystemRandom).0).collect();
        assert_eq!(keys.len(), 1000);
        for key in keys {
            let time = key[..6].iter().fold(0, |time, byte| time << 8 | i64::from(*byte));
            assert_eq!(time, now.as_millis());
        }
    }

    #[test]
    fn debug_shows_no_text() {
        assert_eq!(format!("{:?}", Subject::parse("Mrs Smith").unwrap()), "Subject(9 bytes)");
        assert_eq!(format!("{:?}", Body::parse("fever").unwrap()), "Body(5 bytes)");
    }

    #[test]
    fn a_key_survives_its_text() {
        let key = IdempotencyKey::fresh();
        assert_eq!(IdempotencyKey::parse(&key.to_string()), Some(key));
        for text in ["", "00", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32)] {
            assert_eq!(IdempotencyKey::parse(text), None);
        }
    }

    #[test]
    fn clipping_keeps_whole_characters() {
        assert_eq!(clip("äöü", 2), "äö");
        assert_eq!(clip("äöü", 3), "äöü");
        assert_eq!(clip("", 3), "");
    }
}
