//! What is wrong with the settings: all of it at once, one line for each fault.

use std::fmt;

use crate::effective::Source;

/// Everything that is wrong with the settings, one line each when shown. Never holds the value of a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigFaults(Vec<Fault>);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) source: Option<Source>,
}

impl ConfigFaults {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        ConfigFaults(faults)
    }
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{}: {}", fault.name, one_line(&fault.message))?;
            if let Some(source) = fault.source {
                write!(f, " ({source})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigFaults {}

/// A line break or an escape sequence in a value must not forge a line of its own.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}
