//! One line of `journalctl --output=json`, read. Pure.

use serde::Deserialize;
use serde_json::Value;
use store::Timestamp;

use crate::batch::OutgoingEvent;
use crate::event::LONGEST_TEXT;

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The journal's own name for its position.
    pub position: String,
    /// When it was logged.
    pub at: Timestamp,
    /// What was logged. A program's JSON as it is, anything else as the text it is.
    pub text: String,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    microseconds: String,
    #[serde(rename = "MESSAGE", default)]
    message: Value,
}

/// Reads a line of journalctl; none where it is not one.
pub fn parse(line: &[u8]) -> Option<Entry> {
    let fields: Fields = serde_json::from_slice(line).ok()?;
    let microseconds: i64 = fields.microseconds.parse().ok()?;
    let text = match fields.message {
        Value::String(text) => text,
        // What is no UTF-8 comes as numbers.
        Value::Array(bytes) => {
            let bytes: Vec<u8> = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        }
        // A field that was logged twice, or is not there: nothing a program of ours does.
        _ => String::new(),
    };
    Some(Entry { position: fields.cursor, at: Timestamp::from_millis(microseconds / 1000), text })
}

impl Entry {
    /// The events of the line: one, more where it is too long for one, none where it is empty.
    pub fn events(&self) -> Vec<OutgoingEvent> {
        let mut events = Vec::new();
        let mut rest = self.text.trim_end();
        while !rest.is_empty() {
            let mut end = rest.len().min(LONGEST_TEXT);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (text, after) = rest.split_at(end);
            events.push(OutgoingEvent { stamp: self.at, text: text.to_owned() });
            rest = after;
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn line(message: Value) -> Vec<u8> {
        let line = json!({ "__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1790000000123456", "MESSAGE": message });
        line.to_string().into_bytes()
    }

    #[test]
    fn a_message_is_passed_on_as_it_is() {
        for text in [r#"{"level":"INFO","message":"listening"}"#, "not JSON at all", "ünï\"code"] {
            let entry = parse(&line(text.into())).unwrap();
            assert_eq!(entry.position, "s=1;i=2");
            assert_eq!(entry.at.as_millis(), 1_790_000_000_123);
            assert_eq!(entry.events(), [OutgoingEvent { stamp: entry.at, text: text.to_owned() }]);
        }
    }

    #[test]
    fn what_is_no_utf_8_is_passed_on_as_far_as_it_can_be_read() {
        let entry = parse(&line(json!([104, 105, 255, 33]))).unwrap();
        assert_eq!(entry.text, "hi\u{fffd}!");
    }

    #[test]
    fn an_empty_line_has_no_event_and_still_a_position() {
        for message in [json!(""), json!("\n"), Value::Null] {
            let entry = parse(&line(message)).unwrap();
            assert_eq!((entry.position.as_str(), entry.events().len()), ("s=1;i=2", 0));
        }
    }

    #[test]
    fn what_journalctl_never_writes_is_refused() {
        for wrong in
            ["", "{}", "null", r#"{"__CURSOR":"a","__REALTIME_TIMESTAMP":"x","MESSAGE":"m"}"#, "-- No entries --"]
        {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn a_long_line_is_cut_between_characters_and_nothing_of_it_is_lost(unit in "[a-zé€😀]{1,7}", length in 0..700_000_usize) {
            let text: String = unit.chars().cycle().take(length / unit.len()).collect();
            let entry = Entry { position: String::new(), at: Timestamp::from_millis(0), text: text.clone() };
            let events = entry.events();
            prop_assert!(events.iter().all(|event| (1..=LONGEST_TEXT).contains(&event.text.len())));
            prop_assert_eq!(events.iter().map(|event| event.text.as_str()).collect::<String>(), text);
        }

        #[test]
        fn no_line_makes_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line);
        }
    }
}
