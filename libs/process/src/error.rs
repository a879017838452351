//! What is wrong with the settings: all of it at once, one line for each error.

use std::fmt;

use crate::effective::Source;

/// Everything that is wrong with the settings, one line each when shown. Never holds the value of a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) source: Option<Source>,
}

impl ConfigErrors {
    pub(crate) fn new(errors: Vec<ConfigError>) -> Self {
        ConfigErrors(errors)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}: {}", error.name, one_line(&error.message))?;
            if let Some(source) = error.source {
                write!(f, " ({source})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// A line break or an escape sequence in a value must not forge a line of its own.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
