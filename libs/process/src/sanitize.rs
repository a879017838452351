//! Text of somebody else's, for a log or a terminal: characters that would move the cursor, begin a line, turn the order of
//! letters round or hide are written out as JSON does, `\u001b`. Inside a JSON string that is the same text, so that a line
//! of JSON may be sanitized as a whole.

use std::borrow::Cow;
use std::fmt::Write;

/// For one line: line ends and tabs are written out, too.
pub fn one_line(text: &str) -> Cow<'_, str> {
    written_out(text, |_| false)
}

/// For what may have several lines, and tabs in them.
pub fn lines(text: &str) -> Cow<'_, str> {
    written_out(text, |c| matches!(c, '\n' | '\t'))
}

fn written_out(text: &str, may_stay: impl Fn(char) -> bool) -> Cow<'_, str> {
    let harms = |c: char| !may_stay(c) && is_harmful(c);
    if !text.contains(harms) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harms(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // A String takes whatever is written.
                let _ = write!(clean, "\\u{unit:04x}");
            }
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// Joiners are left alone: letters need them, and they move nothing.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Line ends of Unicode; marks, embeddings, overrides and isolates of direction.
            '\u{2028}' | '\u{2029}' | '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
            // What cannot be seen.
            | '\u{AD}' | '\u{180E}' | '\u{200B}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}'
            | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_moves_turns_or_hides_is_written_out_and_letters_are_not() {
        assert_eq!(
            one_line("a\u{1b}[2J\r\nb\u{9b}\u{202E}\u{E0041}"),
            r"a\u001b[2J\u000d\u000ab\u009b\u202e\udb40\udc41"
        );
        assert_eq!(lines("one\n\ttwo\r\u{7}"), "one\n\ttwo\\u000d\\u0007");
        for text in ["", "plain", "Đặng, می\u{200C}خواهم, 👩\u{200D}⚕\u{FE0F}"] {
            assert!(matches!(one_line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_line_stays_one_line_of_the_same_text(text in any::<String>()) {
            let line = one_line(&text);
            let unfit = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
            prop_assert!(!line.contains(unfit));
            // In a JSON string, nothing has changed.
            let json = serde_json::Value::from(text).to_string();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&one_line(&json)).ok(), serde_json::from_str(&json).ok());
        }
    }
}
