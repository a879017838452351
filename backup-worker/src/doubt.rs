//! What can be missing in the origin of a backup: as a label for audit rows and scripts, and in a sentence for people.

use std::fmt;

/// What a backup lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Its manifest has no code.
    NoCode,
    /// Its manifest has the code of a key that is not here.
    OtherKey(String),
    /// No log could be asked.
    NoLog,
    /// The log that was asked does not know it.
    NotRecorded,
    /// It is of another database than the log.
    OtherDatabase,
    /// An older backup of the same log holds more of it.
    OlderHead(String),
    /// The log knows a newer one, which the target does not have.
    NotNewest(String),
}

impl Doubt {
    /// Its label, as audit rows and scripts have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Doubt::NoCode => "no_code",
            Doubt::OtherKey(_) => "other_key",
            Doubt::NoLog => "no_log",
            Doubt::NotRecorded => "not_recorded",
            Doubt::OtherDatabase => "other_database",
            Doubt::OlderHead(_) => "older_head",
            Doubt::NotNewest(_) => "not_newest",
        }
    }

    /// Whether an audit row that names this still proves that the clinic's data is safe.
    pub fn leaves_a_proof(label: &str) -> bool {
        label == "no_code" || label == "not_newest"
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::NoCode => out.write_str("its manifest has no code (format 1, of an older program or of a stranger)"),
            Doubt::OtherKey(key) => write!(
                out,
                "its manifest has the code of another key, which follows the identity of {key}: give that with --identity FILE"
            ),
            Doubt::NoLog => out.write_str("there is no audit log here that could know it"),
            Doubt::NotRecorded => out
                .write_str("the audit log does not know it: it was made before a restore, or not by this installation"),
            Doubt::OtherDatabase => out.write_str("it is of another database"),
            Doubt::OlderHead(name) => {
                write!(
                    out,
                    "it holds less of the audit log than {name}, which has the older name: an old one under a new name"
                )
            }
            Doubt::NotNewest(name) => {
                write!(
                    out,
                    "the audit log knows a newer one, {name}, and the target does not have it: see who removed it"
                )
            }
        }
    }
}
