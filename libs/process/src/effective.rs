//! The settings in force, fit to be shown: what `--check-config` prints.

use std::fmt;

use crate::error::one_line;

/// What stands in the place of a secret.
pub(crate) const MASK: &str = "***";

/// Where a value in force came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The process's environment.
    Environment,
    /// The env file.
    File,
    /// Nobody set it: the program's own default.
    Default,
    /// Nobody set it, and it has no default.
    Unset,
}

/// A setting in force, fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The setting's name.
    pub name: &'static str,
    /// Its value as written; `***` for a secret, empty when it is not set.
    pub value: String,
    /// Who set it.
    pub source: Source,
}

impl Source {
    /// The word for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Environment => "environment",
            Source::File => "file",
            Source::Default => "default",
            Source::Unset => "unset",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Environment => "set in the environment",
            Source::File => "set in the env file",
            Source::Default => "the default",
            Source::Unset => "not set",
        })
    }
}

/// What `--check-config` prints: a table, or one JSON object with a member for each setting. Ends with a line break.
pub fn print_effective(settings: &[Effective], json: bool) -> String {
    if json {
        let members: serde_json::Map<_, _> = settings
            .iter()
            .map(|Effective { name, value, source }| {
                let value = if *source == Source::Unset { serde_json::Value::Null } else { value.as_str().into() };
                ((*name).to_owned(), serde_json::json!({ "value": value, "source": source.as_str() }))
            })
            .collect();
        return format!("{:#}\n", serde_json::Value::Object(members));
    }
    let widest = settings.iter().map(|setting| setting.name.len()).max().unwrap_or(0);
    settings
        .iter()
        .map(|Effective { name, value, source }| match source {
            Source::Unset => format!("{name:widest$}  (not set)\n"),
            _ => format!("{name:widest$}  {}  ({source})\n", one_line(value)),
        })
        .collect()
}
