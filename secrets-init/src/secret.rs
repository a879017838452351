//! The secret itself: JSON text becomes checked settings, or a list of everything that is wrong with it, by key and never
//! by value. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use process::env_file::is_unwritable;
use process::names;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What every program together cannot do without.
const REQUIRED: [&str; 4] = ["APP_SECRET", "DB_ENCRYPTION_KEY", "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"];

/// The key of the database: 32 bytes, in hexadecimal.
const DATABASE_KEY_DIGITS: usize = 64;

/// What the site takes for APP_SECRET.
const APP_SECRET_BYTES: usize = 32;

/// A name longer than this is not shown: every secret of ours is longer, and somebody may have put one where its name
/// belongs.
const LONGEST_SHOWN: usize = 31;

/// A version id that is longer, or of other characters, is not one of Secrets Manager's.
const LONGEST_VERSION: usize = 64;

/// Settings that passed every check. Debug shows names alone; values are wiped on drop.
pub(crate) struct Secret {
    values: BTreeMap<String, SecretString>,
    version: Option<String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.values.keys().map(|name| (name, "***"))).finish()
    }
}

impl Secret {
    /// Reads and checks. Every error is a sentence that names the key and no value.
    pub(crate) fn parse(text: &str, version: Option<String>) -> Result<Secret, Vec<String>> {
        let members = match serde_json::from_str(text) {
            Ok(Json::Object(members)) => members,
            Ok(other) => {
                return Err(vec![format!("it is {}, and must be a JSON object of names and strings", other.kind())]);
            }
            // Its own words may quote the text.
            Err(error) => {
                return Err(vec![format!(
                    "it is not JSON: it breaks off or goes wrong at line {}, column {}",
                    error.line(),
                    error.column()
                )]);
            }
        };
        let mut errors = Vec::new();
        let mut values = BTreeMap::new();
        let mut seen = Vec::new();
        for (index, (name, value)) in members.into_iter().enumerate() {
            let shown = show_name(&name, index + 1);
            if seen.contains(&name) {
                errors.push(format!("{shown} is there twice"));
                continue;
            }
            seen.push(name.clone());
            errors.extend(check_name(&name).map(|error| format!("{shown} {error}")));
            match value {
                Json::Text(value) => {
                    errors.extend(check_value(&name, value.expose_secret()).map(|error| format!("{shown} {error}")));
                    if let Entry::Vacant(place) = values.entry(name) {
                        place.insert(value);
                    }
                }
                other => {
                    errors.push(format!("{shown} is {}, and must be a string: put it in double quotes", other.kind()))
                }
            }
        }
        errors.extend(
            REQUIRED
                .iter()
                .filter(|name| !seen.iter().any(|seen| seen == *name))
                .map(|name| format!("{name} is missing")),
        );
        let version = version.filter(|version| is_version(version));
        if errors.is_empty() { Ok(Secret { values, version }) } else { Err(errors) }
    }

    /// The same with these names alone: a reader is given no more than it needs. Every error names a key that is not there.
    pub(crate) fn only(mut self, keys: &[String]) -> Result<Secret, Vec<String>> {
        let missing: Vec<_> = keys.iter().filter(|key| !self.values.contains_key(*key)).collect();
        if !missing.is_empty() {
            let error =
                |key: &&String| format!("WARDPOST_ENV_KEYS asks for {}, which it does not have", key.escape_debug());
            return Err(missing.iter().map(error).collect());
        }
        self.values.retain(|name, _| keys.contains(name));
        Ok(self)
    }

    /// Names and values, in alphabetical order.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.expose_secret()))
    }

    /// What a reader is given: the settings, and before them the version, where there is one.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.version().map(|version| (names::SECRET_VERSION, version)).into_iter().chain(self.settings())
    }

    /// The names alone, in the same order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The id of this version, where the source has versions.
    pub(crate) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

/// Whether this can be the id of a version: it is logged, so that it may hold nothing else.
fn is_version(text: &str) -> bool {
    (1..=LONGEST_VERSION).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn check_name(name: &str) -> Option<String> {
    let legal = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
    if !legal {
        return Some("is no name for a variable: letters, digits and _ make one".to_owned());
    }
    if name == "WARDPOST_ENV_FILE" {
        return Some("cannot be set in the env file itself".to_owned());
    }
    if name == names::SECRET_VERSION {
        return Some("cannot be set in the secret: it is written beside it".to_owned());
    }
    // Every program would refuse to start with it.
    (name.starts_with("WARDPOST_") && !names::is_known(name)).then(|| {
        let hint = names::nearest(name).map(|known| format!("; did you mean {known}?")).unwrap_or_default();
        format!("is no setting of Wardpost{hint}")
    })
}

fn check_value(name: &str, value: &str) -> Option<String> {
    if value.contains(is_unwritable) {
        return Some(
            "holds a NUL, a carriage return or a Unicode noncharacter, which an env file cannot hold".to_owned(),
        );
    }
    match name {
        _ if REQUIRED.contains(&name) && value.trim().is_empty() => Some("is empty".to_owned()),
        // Secrets Manager cannot hold "nothing" but as an empty text; programs take it for not set.
        "DB_ENCRYPTION_KEY_NEW" | "WARDPOST_APP_SECRET_PREVIOUS" if value.is_empty() => None,
        "DB_ENCRYPTION_KEY" | "DB_ENCRYPTION_KEY_NEW"
            if value.len() != DATABASE_KEY_DIGITS || !value.bytes().all(|b| b.is_ascii_hexdigit()) =>
        {
            Some(format!("must be {DATABASE_KEY_DIGITS} hexadecimal characters (openssl rand -hex 32)"))
        }
        "APP_SECRET" | "WARDPOST_APP_SECRET_PREVIOUS" if value.len() < APP_SECRET_BYTES => {
            Some(format!("must be at least {APP_SECRET_BYTES} bytes long (openssl rand -hex 32)"))
        }
        _ => None,
    }
}

fn show_name(name: &str, number: usize) -> String {
    match name.chars().count() {
        0 => format!("the name of entry {number} is empty: it"),
        1..=LONGEST_SHOWN => name.escape_debug().to_string(),
        length => format!("the name of entry {number} ({length} characters long)"),
    }
}

/// A JSON value as far as it matters here: what is no string and no object is known by its kind alone.
enum Json {
    Text(SecretString),
    Object(Vec<(String, Json)>),
    Other(&'static str),
}

impl Json {
    fn kind(&self) -> &'static str {
        match self {
            Json::Text(_) => "a string",
            Json::Object(_) => "an object",
            Json::Other(kind) => kind,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(SecretString::from(text)))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other("a number"))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Json::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(member) = members.next_entry()? {
            all.push(member);
        }
        Ok(Json::Object(all))
    }
}

#[cfg(test)]
pub(crate) mod tests;
