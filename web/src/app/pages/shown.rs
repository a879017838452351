//! Text of somebody else's, as others get to see it.
//!
//! What was typed is stored as it was typed. Where it is shown, characters that make a text look like another one are
//! written out, `[U+202E]`: those that turn the order of letters round, and those that hide. What a language or an emoji
//! needs stays: joiners and non-joiners, zero-width spaces between words, direction marks, embeddings and isolates (which
//! end where the element ends: the templates put every such text into one of its own), variation selectors, a flag's tags.
//!
//! A field of a page that holds such text is a [`Shown`]. What goes back into a form is not: there the author reads it.

use std::fmt::{self, Write};

/// Text that was written by somebody else than its reader.
#[derive(Clone)]
pub struct Shown(String);

impl<T: Into<String>> From<T> for Shown {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl Shown {
    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_str();
        let mut before = None;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| !c.is_ascii() || c.is_ascii_control()) {
            out.write_str(&rest[..at])?;
            before = rest[..at].chars().next_back().or(before);
            rest = &rest[at..];
            if let Some(flag) = flag(rest) {
                out.write_str(flag)?;
                (rest, before) = (&rest[flag.len()..], None);
                continue;
            }
            if deceives(c, before) {
                write!(out, "[U+{:04X}]", u32::from(c))?;
            } else {
                out.write_char(c)?;
            }
            (rest, before) = (&rest[c.len_utf8()..], Some(c));
        }
        out.write_str(rest)
    }
}

/// Whether `c`, after `before`, makes a text look like another.
fn deceives(c: char, before: Option<char>) -> bool {
    match c {
        '\n' | '\r' | '\t' => false,
        // One for each character is what they are for; in a row they carry text that nobody sees.
        c if selects_variation(c) => before.is_none_or(selects_variation),
        // Controls, and the overrides of direction.
        c if c.is_control() => true,
        '\u{202D}' | '\u{202E}' => true,
        // Letters without a shape: the fillers of Hangul and Khmer's inherent vowels.
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{17B4}' | '\u{17B5}' => true,
        // Invisible operators, deprecated formats, a misplaced byte order mark, annotations, shorthand, music, tags.
        '\u{2061}'..='\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' => true,
        '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}' => true,
        // Not characters at all.
        c => matches!(c, '\u{FDD0}'..='\u{FDEF}') || u32::from(c) & 0xFFFE == 0xFFFE,
    }
}

fn selects_variation(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

/// The flag of a part of a country that a text begins with, such as England's: a black flag, a few tags, their end.
fn flag(text: &str) -> Option<&str> {
    let tags = text.strip_prefix('\u{1F3F4}')?;
    let end = tags.find(|c| !matches!(c, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}'))?;
    // As long as a country's code and that of its part; each tag takes four bytes.
    let short = (3 * 4..=6 * 4).contains(&end);
    let whole = text.len() - tags.len() + end + '\u{E007F}'.len_utf8();
    (short && tags[end..].starts_with('\u{E007F}')).then(|| &text[..whole])
}

#[cfg(test)]
mod tests;
