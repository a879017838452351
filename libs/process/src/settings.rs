//! A program's settings: found in the environment and the env file, read one by one, and refused all at once.
//!
//! The environment wins over the file, name by name. An empty value counts as "not set": that lets an operator switch off
//! in the environment what the file sets, and makes a required setting that is empty an error. A program reads everything
//! it knows before it looks at the outcome, so that an operator sees every error in one go:
//!
//! ```
//! # use std::net::SocketAddr;
//! # use wardpost_process::Settings;
//! # use wardpost_process::settings::Read;
//! # fn read(mut settings: Settings) -> Read<SocketAddr> {
//! let listen = settings.or_default("WARDPOST_LISTEN", "127.0.0.1:8080", |text| {
//!     text.parse().map_err(|_| format!("`{text}` is not an address and port, such as 127.0.0.1:8080"))
//! });
//! settings.finish(|| listen)
//! # }
//! # assert!(read(Settings::from_parts([], None)).is_ok());
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::effective::MASK;
pub use crate::effective::{Effective, Source, print_effective};
use crate::env_file::EnvFile;
use crate::error::ConfigError;
pub use crate::error::ConfigErrors;
use crate::names::{self, ENV_FILE, PREFIX, SECRET_NAMES};

/// Where the env file is when nobody says otherwise.
const DEFAULT_ENV_FILE: &str = "/run/wardpost/env";

/// A shorter secret may be part of an honest message by chance ("a", "64").
const SHORTEST_ECHO: usize = 4;

/// What a program's settings are read into: the settings and where each came from, or every error.
pub type Read<T> = Result<(T, Vec<Effective>), ConfigErrors>;

/// The settings of this process, not read yet, and the errors found so far.
pub struct Settings {
    values: BTreeMap<String, (SecretString, Source)>,
    effective: Vec<Effective>,
    errors: Vec<ConfigError>,
}

impl Settings {
    /// Reads this process's environment, and the env file that WARDPOST_ENV_FILE names. A default file that does not
    /// exist is fine, since everything may come from the environment; one that was named must exist. Secrets come into
    /// memory here, so that [`crate::program`] alone calls it, when everything stands that keeps them from getting out.
    pub(crate) fn load() -> Result<Settings, ConfigErrors> {
        Settings::load_from(std::env::vars_os().collect(), Path::new(DEFAULT_ENV_FILE))
    }

    fn load_from(environment: Vec<(OsString, OsString)>, default_file: &Path) -> Result<Settings, ConfigErrors> {
        let named = environment.iter().find(|(name, value)| name == ENV_FILE && !value.is_empty());
        let (path, source) = match named {
            Some((_, value)) => (Path::new(value).to_owned(), Source::Environment),
            None => (default_file.to_owned(), Source::Default),
        };
        let refuse = |message: String| {
            ConfigErrors::new(vec![ConfigError { name: ENV_FILE.to_owned(), message, source: Some(source) }])
        };
        let file = match EnvFile::read(&path) {
            Ok(file) => Some(file),
            Err(error) if error.is_missing() && source == Source::Default => None,
            Err(error) => return Err(refuse(error.to_string())),
        };
        if file.as_ref().is_some_and(|file| file.get(ENV_FILE).is_some()) {
            return Err(refuse("cannot be set in the env file itself; set it in the environment".to_owned()));
        }
        let shown =
            if file.is_some() { path.display().to_string() } else { format!("{} (none there)", path.display()) };
        let mut settings = Settings::from_parts(environment, file);
        settings.effective.push(Effective { name: ENV_FILE, value: shown, source });
        Ok(settings)
    }

    /// Settings of the given environment over the given file. Names that begin with `WARDPOST_` and are not known, and
    /// values that are not UTF-8, are errors; other names are none of our business.
    pub fn from_parts(environment: impl IntoIterator<Item = (OsString, OsString)>, file: Option<EnvFile>) -> Settings {
        let mut settings = Settings { values: BTreeMap::new(), effective: Vec::new(), errors: Vec::new() };
        if let Some(file) = &file {
            for name in file.keys() {
                if let Some(value) = file.get(name) {
                    settings.admit(name, Some(value), Source::File);
                }
            }
        }
        for (name, value) in environment {
            // A name that is not UTF-8 cannot be one of ours, but may be a misspelt one of ours.
            settings.admit(&name.to_string_lossy(), value.to_str(), Source::Environment);
        }
        settings
    }

    fn admit(&mut self, name: &str, value: Option<&str>, source: Source) {
        if !names::is_known(name) {
            if name.starts_with(PREFIX) {
                let hint = names::nearest(name).map(|known| format!("; did you mean {known}?")).unwrap_or_default();
                self.push_fault(name.escape_debug().to_string(), format!("no such setting{hint}"), Some(source));
            }
            return;
        }
        match value {
            Some(value) => drop(self.values.insert(name.to_owned(), (SecretString::from(value), source))),
            None => self.push_fault(name.to_owned(), "the value is not UTF-8 text".to_owned(), Some(source)),
        }
    }

    /// A setting that must be set. `parse` gives the value, or a sentence for the operator that may quote what was
    /// written; `None` means that an error was recorded.
    pub fn required<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.read(name, is_secret(name), parse).unwrap_or_else(|| self.missing(name))
    }

    /// A setting that need not be set: `Some(None)` when it is not; `None` means that an error was recorded.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.read(name, is_secret(name), parse) {
            Some(read) => read.map(Some),
            None => {
                self.show(name, String::new(), Source::Unset);
                Some(None)
            }
        }
    }

    /// A setting with a default, which is read by the same `parse`; `None` means that an error was recorded.
    pub fn or_default<T>(
        &mut self,
        name: &'static str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.value(name).is_none() {
            self.values.insert(name.to_owned(), (SecretString::from(default), Source::Default));
        }
        // An empty default would count as not set, and has no reading: it is a mistake of the program, found at its first start.
        self.read(name, is_secret(name), parse).unwrap_or_else(|| self.missing(name))
    }

    /// A required setting whose value is never shown. What `parse` says must not contain the value either; should it do
    /// so, its words are replaced.
    pub fn secret<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.read(name, true, parse).unwrap_or_else(|| self.missing(name))
    }

    /// Records an error that no single reading can find: a rule over several settings.
    pub fn add_error(&mut self, name: &'static str, message: impl Into<String>) {
        self.push_fault(name.to_owned(), message.into(), None);
    }

    /// Every error at once, or the value and what is in force. `build` is called only when there is no error; it may give
    /// `None` only where one was recorded, so that `?` can be used in it.
    pub fn finish<T>(mut self, build: impl FnOnce() -> Option<T>) -> Read<T> {
        if self.errors.is_empty() {
            if let Some(value) = build() {
                return Ok((value, self.effective));
            }
            self.push_fault(
                "settings".to_owned(),
                "could not be put together, though each is right by itself".to_owned(),
                None,
            );
        }
        Err(ConfigErrors::new(self.errors))
    }

    /// The value of a setting and its source; an empty one is not set.
    fn value(&self, name: &str) -> Option<(SecretString, Source)> {
        debug_assert!(names::is_known(name), "{name} is not in KNOWN_NAMES: nobody could set it");
        self.values.get(name).filter(|(value, _)| !value.expose_secret().is_empty()).cloned()
    }

    /// `None` when it is not set, `Some(None)` when it is wrong.
    fn read<T>(
        &mut self,
        name: &'static str,
        secret: bool,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let (value, source) = self.value(name)?;
        let text = value.expose_secret();
        self.show(name, if secret { MASK.to_owned() } else { text.to_owned() }, source);
        Some(match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(message) => {
                let echoes = secret && text.len() >= SHORTEST_ECHO && message.contains(text);
                let message = if echoes { "the value is not acceptable".to_owned() } else { message };
                self.push_fault(name.to_owned(), message, Some(source));
                None
            }
        })
    }

    fn missing<T>(&mut self, name: &'static str) -> Option<T> {
        // A value that could not even be read has its error already.
        if self.errors.iter().all(|error| error.name != name) {
            let (what, source) = match self.values.get(name) {
                Some((_, source)) => ("is empty", Some(*source)),
                None => ("is not set", None),
            };
            let message = format!("{what}; set it in the environment or in the env file");
            self.push_fault(name.to_owned(), message, source);
        }
        None
    }

    fn show(&mut self, name: &'static str, value: String, source: Source) {
        if self.effective.iter().all(|shown| shown.name != name) {
            self.effective.push(Effective { name, value, source });
        }
    }

    fn push_fault(&mut self, name: String, message: String, source: Option<Source>) {
        self.errors.push(ConfigError { name, message, source });
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_NAMES.contains(&name)
}

#[cfg(test)]
mod tests;
