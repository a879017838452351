//! The env file: its grammar, a strict reader, and the writing of values that every reader understands alike.
//!
//! The same file is read by us, by systemd (`EnvironmentFile=`) and by compose (`env_file:`), and each has its own idea of
//! quotes, `$` and backslashes. Accepted here is only what all three read alike: `KEY="value"` with `\\`, `\"` and `\$` as
//! the only escapes and line breaks as they are, `KEY=value` of plain characters, `#` comment lines, and blank lines.
//! Everything else is refused rather than guessed. An error names the line and the key, never a value: the file holds the
//! keys of the clinic.

mod error;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

pub use error::{EnvFileError, EnvFileReadError, ValueError};

/// No env file comes near this; something that does is the wrong file.
const MAX_BYTES: u64 = 1 << 20;

/// Characters that need no quotes in any dialect, besides letters and digits.
const PLAIN: &str = "_-./:@%+,=[]";

/// The settings of one env file. Values are wiped from memory on drop, and Debug shows names only.
#[derive(Default)]
pub struct EnvFile {
    values: BTreeMap<String, SecretString>,
}

impl fmt::Debug for EnvFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl EnvFile {
    /// Reads text in the grammar above.
    pub fn parse(text: &str) -> Result<EnvFile, EnvFileError> {
        if let Some(at) = text.find(is_unwritable) {
            let line = 1 + text[..at].matches('\n').count();
            return Err(EnvFileError::Control { line });
        }
        let mut values = BTreeMap::new();
        let mut lines_of: BTreeMap<&str, usize> = BTreeMap::new();
        let mut rest = text;
        let mut line = 1;
        while !rest.is_empty() {
            let end = rest.find('\n').unwrap_or(rest.len());
            let first_line = &rest[..end];
            if first_line.trim_matches([' ', '\t']).is_empty() || first_line.starts_with('#') {
                rest = after_line(rest, end);
                line += 1;
                continue;
            }
            let Some((key, _)) = first_line.split_once('=').filter(|(key, _)| is_key(key)) else {
                return Err(EnvFileError::NoKey { line });
            };
            let value_text = &rest[key.len() + 1..];
            let (value, used) = if let Some(quoted) = value_text.strip_prefix('"') {
                let (value, used) = read_quoted(quoted).map_err(|error| error.at(line, key))?;
                (value, used + 1)
            } else {
                let value = &first_line[key.len() + 1..];
                if !value.chars().all(|c| c.is_ascii_alphanumeric() || PLAIN.contains(c)) {
                    return Err(ValueError::NeedsQuotes.at(line, key));
                }
                (SecretString::from(value), value.len())
            };
            let tail = &value_text[used..];
            let tail_end = tail.find('\n').unwrap_or(tail.len());
            if !tail[..tail_end].trim_matches([' ', '\t']).is_empty() {
                return Err(ValueError::TextAfterQuote.at(line + value_text[..used].matches('\n').count(), key));
            }
            if let Some(first) = lines_of.insert(key, line) {
                return Err(ValueError::Twice { first }.at(line, key));
            }
            values.insert(key.to_owned(), value);
            line += value_text[..used].matches('\n').count() + 1;
            rest = after_line(tail, tail_end);
        }
        Ok(EnvFile { values })
    }

    /// Reads a file that only its owner may read.
    pub fn read(path: &Path) -> Result<EnvFile, EnvFileReadError> {
        let in_file = |error| EnvFileReadError { path: path.to_owned(), error };
        let text = read_private_text(path).map_err(in_file)?;
        EnvFile::parse(&text).map_err(in_file)
    }

    /// The value of a key; `None` when the file does not have it.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(ExposeSecret::expose_secret)
    }

    /// The keys of the file, in alphabetical order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

/// Whether an env file cannot hold this character: a NUL ends a value, compose drops a carriage return, and systemd takes a
/// whole file for invalid over one of Unicode's noncharacters.
pub const fn is_unwritable(c: char) -> bool {
    matches!(c, '\0' | '\r' | '\u{FDD0}'..='\u{FDEF}') || c as u32 & 0xFFFE == 0xFFFE
}

/// A value in quotes, as the text behind `KEY=`, or why no dialect can hold it.
pub fn quote(value: &str) -> Result<Zeroizing<String>, EnvFileError> {
    if value.contains(is_unwritable) {
        return Err(EnvFileError::Unwritable);
    }
    // Every character could need a backslash: a string that never grows leaves no copy behind.
    let mut quoted = Zeroizing::new(String::with_capacity(2 * value.len() + 2));
    quoted.push('"');
    for c in value.chars() {
        if matches!(c, '\\' | '"' | '$') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    Ok(quoted)
}

/// The text of an env file with these settings, in the order given. [`EnvFile::parse`] reads the same back.
pub fn render<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Zeroizing<String>, EnvFileError> {
    let mut lines = Vec::new();
    let mut keys = std::collections::BTreeSet::new();
    for (key, value) in settings {
        if !is_key(key) || !keys.insert(key) {
            return Err(EnvFileError::UnwritableKey);
        }
        lines.push((key, quote(value)?));
    }
    let length = lines.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for (key, value) in &lines {
        text.push_str(key);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    }
    Ok(text)
}

/// What comes after a line that ends at `end`.
fn after_line(text: &str, end: usize) -> &str {
    text.get(end + 1..).unwrap_or("")
}

fn is_key(key: &str) -> bool {
    key.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && key.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
}

/// Reads up to the closing quote; gives the value and how many bytes it took, the quote included.
fn read_quoted(text: &str) -> Result<(SecretString, usize), ValueError> {
    let end = closing_quote(text).ok_or(ValueError::Unclosed)?;
    // Room for all of it at once: a string that grows leaves copies of a secret behind.
    let mut value = Zeroizing::new(String::with_capacity(end));
    let mut characters = text[..end].chars();
    while let Some(c) = characters.next() {
        match c {
            '$' => return Err(ValueError::BareDollar),
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | '"' | '$')) => value.push(escaped),
                _ => return Err(ValueError::BadEscape),
            },
            plain => value.push(plain),
        }
    }
    Ok((SecretString::from(value.as_str()), end + 1))
}

/// Where the first double quote stands that no backslash escapes.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// The text of a file that only its owner may read, for everything that holds secrets. Checked and read through one
/// handle, so that the file checked is the file read.
pub fn read_private_text(path: &Path) -> Result<Zeroizing<String>, EnvFileError> {
    // Without O_NONBLOCK, opening a named pipe would wait forever for its writer.
    let mut file =
        OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path).map_err(EnvFileError::Io)?;
    let metadata = file.metadata().map_err(EnvFileError::Io)?;
    if !metadata.is_file() {
        return Err(EnvFileError::NotAFile);
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(EnvFileError::Exposed { mode });
    }
    if metadata.len() > MAX_BYTES {
        return Err(EnvFileError::TooLarge);
    }
    // Room for all of it at once: a buffer that grows leaves copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len() as usize + 1));
    file.by_ref().take(MAX_BYTES).read_to_end(&mut bytes).map_err(EnvFileError::Io)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| EnvFileError::NotUtf8)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests;
