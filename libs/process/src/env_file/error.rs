//! What can be wrong with an env file. No error holds a value: the file holds the keys of the clinic.

use std::io;
use std::path::PathBuf;

use super::MAX_BYTES;

/// An env file that cannot be used: which, and why.
#[derive(Debug, thiserror::Error)]
#[error("the env file {}: {error}", path.display())]
pub struct EnvFileReadError {
    pub(super) path: PathBuf,
    pub(super) error: EnvFileError,
}

impl EnvFileReadError {
    /// Whether there simply is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(&self.error, EnvFileError::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// What is wrong with an env file. Never holds a value.
#[derive(Debug, thiserror::Error)]
pub enum EnvFileError {
    /// The file could not be opened or read.
    #[error("cannot be read: {0}")]
    Io(io::Error),
    /// A directory, a socket, a device.
    #[error("is not a regular file")]
    NotAFile,
    /// Group or others may read or write it.
    #[error("has mode {mode:03o}, so that others could get at its secrets; run chmod 600 on it")]
    Exposed {
        /// The permission bits found.
        mode: u32,
    },
    /// Larger than any env file.
    #[error("is larger than {MAX_BYTES} bytes; is this the right file?")]
    TooLarge,
    /// Bytes that are no text.
    #[error("is not UTF-8 text")]
    NotUtf8,
    /// A character of [`is_unwritable`].
    #[error(
        "line {line} has a NUL, a carriage return or a Unicode noncharacter; write the file with plain line breaks"
    )]
    Control {
        /// Counted from 1.
        line: usize,
    },
    /// A line that does not begin with `KEY=`.
    #[error(
        "line {line} does not begin with KEY=, where KEY is of letters, digits and _; a value of several lines needs double quotes"
    )]
    NoKey {
        /// Counted from 1.
        line: usize,
    },
    /// A value that does not follow the grammar.
    #[error("line {line}{}: {error}", .key.as_ref().map(|key| format!(", {key}")).unwrap_or_default())]
    Value {
        /// Counted from 1.
        line: usize,
        /// The key, where it is surely one: see [`ValueError::at`].
        key: Option<String>,
        /// What is wrong.
        error: ValueError,
    },
    /// A value to be written that no dialect can hold.
    #[error("a value has a NUL, a carriage return or a Unicode noncharacter, which an env file cannot hold")]
    Unwritable,
    /// A key to be written that is none, or comes twice.
    #[error("a key is not of letters, digits and _, or comes twice")]
    UnwritableKey,
}

/// What is wrong with the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Characters that the dialects read differently when they stand bare.
    #[error("the value has characters that need double quotes around it")]
    NeedsQuotes,
    /// The file ends inside the quotes.
    #[error("the closing double quote is missing")]
    Unclosed,
    /// A backslash before something else.
    #[error("a backslash may stand only before a backslash, a double quote or a dollar sign")]
    BadEscape,
    /// A dollar sign that some readers would take for a variable.
    #[error("a dollar sign needs a backslash before it")]
    BareDollar,
    /// Something follows the closing quote.
    #[error("there is text after the closing double quote")]
    TextAfterQuote,
    /// The key was set before.
    #[error("this key was set before, in line {first}; remove one of them")]
    Twice {
        /// The line of the first one.
        first: usize,
    },
}

impl ValueError {
    /// The error with its place. The key is named only when it is in capitals, as all of ours are: the second line of a
    /// broken value, base64 with a `=` at its end, may look like a key too.
    pub(super) fn at(self, line: usize, key: &str) -> EnvFileError {
        let key = key.chars().all(|c| c == '_' || c.is_ascii_uppercase() || c.is_ascii_digit()).then(|| key.to_owned());
        EnvFileError::Value { line, key, error: self }
    }
}
