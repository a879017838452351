use proptest::prelude::*;
use store::{Author, Hash, PersonId, Timestamp, genesis_hash};

use super::*;

fn row(id: i64, name: &str, email: &str, details: &str) -> AuditRow {
    let hash: Hash = genesis_hash("x");
    AuditRow {
        id: AuditId::new(id).unwrap(),
        at: Timestamp::from_millis(1_790_000_000_000 + id),
        person: Some(Author { id: PersonId::new(1).unwrap(), name: name.into(), email: email.into() }),
        action: "LOGIN".into(),
        message: None,
        details: details.into(),
        ip: Some("192.0.2.7".into()),
        personal: Some(details.into()),
        previous_hash: hash,
        hash,
    }
}

fn stamp() -> Stamp {
    Stamp {
        filter: "message 7".into(),
        by: "Noor (noor@clinic.example)".into(),
        at: "now".into(),
        names: Names::default(),
    }
}

const DECEIVERS: [char; 2] = ['\u{202e}', '\u{1b}'];

fn hostile() -> impl Strategy<Value = String> {
    "([=+@;,\\t\\r\\n\"' -]|＝|\u{202e}|\u{2028}|\\x1b|x|\\PC){0,20}"
}

#[test]
fn details_that_somebody_broke_are_exported_as_the_text_they_are() {
    let bytes = json_chunk(&[row(1, "a", "b", "{\"cut off"), row(2, "a", "b", "{\"whole\":1}")]).unwrap();
    let lines: Vec<serde_json::Value> =
        std::str::from_utf8(&bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["details"], "{\"cut off");
    assert_eq!(lines[1]["details"]["whole"], 1);
    assert_eq!((&lines[0]["personal"], &lines[1]["personal"]), (&lines[0]["details"], &lines[1]["details"]));
}

proptest! {
    /// A reader of CSV finds as many rows and columns as were written, and in each cell the text, made inert.
    #[test]
    fn csv_is_read_back_as_it_was_meant(names in proptest::collection::vec((hostile(), hostile(), hostile()), 1..5)) {
        let rows: Vec<_> = (1..).zip(&names).map(|(id, (name, email, details))| row(id, name, email, details)).collect();
        let bytes = csv_chunk(&rows, &stamp(), true).unwrap();
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        prop_assert_eq!(reader.headers().unwrap(), CSV_HEADER.as_slice());
        let records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(records.len(), rows.len());
        for (record, (name, email, details)) in records.iter().zip(&names) {
            prop_assert_eq!(record.len(), CSV_HEADER.len());
            for (cell, text) in [(&record[3], name), (&record[4], email), (&record[6], details), (&record[10], details)] {
                prop_assert_eq!(cell, &spreadsheet::inert(&Shown::from(text.as_str()).to_string()));
                prop_assert!(!cell.contains(DECEIVERS));
            }
            prop_assert!(!record.iter().any(|cell| cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])));
        }
    }

    /// One object for each row and nothing between them, whatever the rows hold, with the texts as they are.
    #[test]
    fn json_lines_are_one_for_each_row(details in proptest::collection::vec(hostile(), 1..5)) {
        let wrapped = |text: &String| serde_json::json!({ "text": text }).to_string();
        let rows: Vec<_> = (1..).zip(&details).map(|(id, text)| row(id, "a", "b", &wrapped(text))).collect();
        let bytes = json_chunk(&rows).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(text.split('\n').count(), rows.len() + 1);
        prop_assert!(!text.contains(DECEIVERS));
        for (line, text) in text.lines().zip(&details) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(line["details"]["text"].as_str(), Some(text.as_str()));
        }
    }
}
