//! What a template is made of: a name and its rows, checked once where they are typed. The errors are sentences for the one
//! who typed, to stand beside the field.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Subject, SubjectError, is_visible};

/// A template's name: trimmed, 1 to 60 characters, something to see among them and no control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateName(String);

/// What is wrong with a template's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateNameError {
    /// Nothing that can be seen.
    #[error("Write the template's name.")]
    Blank,
    /// More characters than fit.
    #[error("A template's name may have {max} characters; this one has {found}.", max = TemplateName::MAX_CHARS)]
    TooLong {
        /// How many there are.
        found: usize,
    },
    /// A line break, tab or other control character.
    #[error("The name holds a line break or another character that cannot be shown. Remove it.")]
    ControlCharacter,
}

impl TemplateName {
    /// The most characters (Unicode scalar values).
    pub const MAX_CHARS: usize = 60;

    /// Checks what was typed.
    pub fn parse(text: &str) -> Result<Self, TemplateNameError> {
        line(text, Self::MAX_CHARS).map(Self).map_err(|error| match error {
            SubjectError::Blank => TemplateNameError::Blank,
            SubjectError::TooLong { found } => TemplateNameError::TooLong { found },
            SubjectError::ControlCharacter => TemplateNameError::ControlCharacter,
        })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A row of a template: a room or a bed, which becomes a message of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateRow {
    /// What its message's subject begins with: "Room 3".
    pub label: String,
    /// What is to be thought of in its text; empty where nothing is said.
    pub prompt: String,
}

/// The rows of a template: 1 to 40, no two of one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateRows(Vec<TemplateRow>);

/// What is wrong with the rows, and in which line, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateRowsError {
    /// There is none.
    #[error("Write a row, such as “Room 3”.")]
    None,
    /// More than a form takes.
    #[error("A template may have {max} rows; this one has {found}.", max = TemplateRows::MAX)]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// Nothing that can be seen before the bar.
    #[error("Line {line} has no room or bed before its bar “|”.")]
    NoLabel {
        /// Which.
        line: usize,
    },
    /// A label longer than a subject has room for.
    #[error("Before its bar, line {line} may have {max} characters; it has {found}.", max = TemplateRows::MAX_LABEL_CHARS)]
    LabelTooLong {
        /// Which.
        line: usize,
        /// How many there are.
        found: usize,
    },
    /// A prompt longer than fits beside its field.
    #[error("After its bar, line {line} may have {max} characters; it has {found}.", max = TemplateRows::MAX_PROMPT_CHARS)]
    PromptTooLong {
        /// Which.
        line: usize,
        /// How many there are.
        found: usize,
    },
    /// Two rows that nobody could tell apart.
    #[error("Line {line} has the same room or bed as a line above it.")]
    Twice {
        /// The second of them.
        line: usize,
    },
    /// A tab or another control character.
    #[error("Line {line} holds a character that cannot be shown, such as a tab. Remove it.")]
    ControlCharacter {
        /// Which.
        line: usize,
    },
}

impl TemplateRows {
    /// The most rows.
    pub const MAX: usize = 40;
    /// The most characters of a label.
    pub const MAX_LABEL_CHARS: usize = 40;
    /// The most characters of a prompt.
    pub const MAX_PROMPT_CHARS: usize = 200;

    /// Reads what was typed: a row a line, "Room 3" or "Room 3 | pain, drains, family". Empty lines are left out.
    pub fn parse(text: &str) -> Result<Self, TemplateRowsError> {
        let mut rows = Vec::new();
        let mut labels = HashSet::new();
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| is_visible(text)) {
            let row = row(line, text)?;
            if !labels.insert(row.label.to_lowercase()) {
                return Err(TemplateRowsError::Twice { line });
            }
            rows.push(row);
        }
        match rows.len() {
            0 => Err(TemplateRowsError::None),
            1..=Self::MAX => Ok(Self(rows)),
            found => Err(TemplateRowsError::TooMany { found }),
        }
    }

    /// What [`TemplateRows::parse`] reads.
    pub fn text(&self) -> String {
        let line = |row: &TemplateRow| match row.prompt.as_str() {
            "" => row.label.clone(),
            prompt => format!("{} | {prompt}", row.label),
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The rows.
    pub fn rows(&self) -> &[TemplateRow] {
        &self.0
    }

    /// As they are stored.
    pub(crate) fn to_json(&self) -> String {
        serde_json::json!(self.0).to_string()
    }

    /// None where somebody has changed what is stored.
    pub(crate) fn from_json(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok().map(Self)
    }
}

fn row(line: usize, text: &str) -> Result<TemplateRow, TemplateRowsError> {
    let (label, prompt) = text.split_once('|').unwrap_or((text, ""));
    let label = self::line(label, TemplateRows::MAX_LABEL_CHARS).map_err(|error| match error {
        SubjectError::Blank => TemplateRowsError::NoLabel { line },
        SubjectError::TooLong { found } => TemplateRowsError::LabelTooLong { line, found },
        SubjectError::ControlCharacter => TemplateRowsError::ControlCharacter { line },
    })?;
    let prompt = match self::line(prompt, TemplateRows::MAX_PROMPT_CHARS) {
        Ok(prompt) => prompt,
        Err(SubjectError::Blank) => String::new(),
        Err(SubjectError::TooLong { found }) => return Err(TemplateRowsError::PromptTooLong { line, found }),
        Err(SubjectError::ControlCharacter) => return Err(TemplateRowsError::ControlCharacter { line }),
    };
    Ok(TemplateRow { label, prompt })
}

/// The rules of a subject with another length, which is no longer than a subject's.
fn line(text: &str, max: usize) -> Result<String, SubjectError> {
    let line = Subject::parse(text)?;
    match line.as_str().chars().count() {
        found if found > max => Err(SubjectError::TooLong { found }),
        _ => Ok(line.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_are_lines_with_a_label_and_after_a_bar_a_prompt() {
        let rows = TemplateRows::parse("Room 3 | pain, drains\r\n\n  Room 4\nBed 12 |\nBed 13 | a | b").unwrap();
        let found: Vec<_> = rows.rows().iter().map(|row| (row.label.as_str(), row.prompt.as_str())).collect();
        assert_eq!(found, [("Room 3", "pain, drains"), ("Room 4", ""), ("Bed 12", ""), ("Bed 13", "a | b")]);
        assert_eq!(TemplateRows::from_json(&rows.to_json()), Some(rows));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        use TemplateRowsError::*;
        let many: String = (0..41).map(|row| format!("Room {row}\n")).collect();
        for (text, error) in [
            (" \n\u{200b}\n", None),
            (many.as_str(), TooMany { found: 41 }),
            ("Room 1\n| pain", NoLabel { line: 2 }),
            ("\n\nRoom 1\nroom 1 | x", Twice { line: 4 }),
            (&"x".repeat(41), LabelTooLong { line: 1, found: 41 }),
            (&format!("x|{}", "y".repeat(201)), PromptTooLong { line: 1, found: 201 }),
            ("Room\t1", ControlCharacter { line: 1 }),
            ("Room 1|a\tb", ControlCharacter { line: 1 }),
        ] {
            assert_eq!(TemplateRows::parse(text), Err(error), "{text}");
        }
        assert_eq!(
            TemplateRowsError::Twice { line: 4 }.to_string(),
            "Line 4 has the same room or bed as a line above it."
        );
        assert_eq!(TemplateName::parse(&"x".repeat(61)), Err(TemplateNameError::TooLong { found: 61 }));
        assert_eq!(TemplateName::parse(&"x".repeat(300)), Err(TemplateNameError::TooLong { found: 300 }));
        assert_eq!(TemplateName::parse(" "), Err(TemplateNameError::Blank));
    }

    proptest! {
        /// What is accepted is within its bounds, and is accepted again as the same.
        #[test]
        fn rows_that_are_accepted_are_read_again_as_they_are(text in "(\\PC{0,6}[|\n \t]?){0,60}") {
            let Ok(rows) = TemplateRows::parse(&text) else { return Ok(()) };
            prop_assert!((1..=TemplateRows::MAX).contains(&rows.rows().len()));
            for TemplateRow { label, prompt } in rows.rows() {
                prop_assert!((1..=40).contains(&label.chars().count()) && is_visible(label) && !label.contains('|'));
                prop_assert!(prompt.chars().count() <= 200 && !prompt.contains('\n'));
            }
            prop_assert_eq!(TemplateRows::parse(&rows.text()), Ok(rows));
        }
    }
}
