//! `--check`: does the file hold what the secret holds? For a timer that looks for rotated secrets.

use std::collections::BTreeMap;
use std::path::Path;

use process::console::print_out;
use process::{EnvFile, Exit, names};
use serde_json::json;

use crate::config::Config;
use crate::secret::Secret;

/// How a name differs between file and secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Added,
    Changed,
    Removed,
}

impl Difference {
    fn as_str(self) -> &'static str {
        match self {
            Difference::Added => "added",
            Difference::Changed => "changed",
            Difference::Removed => "removed",
        }
    }
}

/// Exit 0 when they are the same, 1 when the file is missing, unusable or different.
pub(crate) fn run(config: &Config, secret: &Secret, as_json: bool) -> Exit {
    let file = match EnvFile::read(&config.env_file) {
        Ok(file) => file,
        Err(error) => {
            tracing::warn!(%error, "the env file has to be written again");
            if as_json {
                print_out(&json!({ "same": false, "version": secret.version(), "differences": null, "env_file": config.env_file }).to_string());
            }
            return Exit::Failed;
        }
    };
    let differences = differences(&file, secret);
    report(&config.env_file, secret, &differences, as_json);
    if differences.is_empty() { Exit::Done } else { Exit::Failed }
}

fn report(env_file: &Path, secret: &Secret, differences: &BTreeMap<&str, Difference>, as_json: bool) {
    if as_json {
        let differences: BTreeMap<_, _> =
            differences.iter().map(|(name, difference)| (name, difference.as_str())).collect();
        let same = differences.is_empty();
        print_out(
            &json!({ "same": same, "version": secret.version(), "differences": differences, "env_file": env_file })
                .to_string(),
        );
        return;
    }
    let version = secret.version().map(|version| format!(" (version {version})")).unwrap_or_default();
    if differences.is_empty() {
        print_out(&format!("{} holds the secret{version}.", env_file.display()));
        return;
    }
    let names: String =
        differences.iter().map(|(name, difference)| format!("\n  {name} is {}", difference.as_str())).collect();
    print_out(&format!("{} differs from the secret{version}:{names}", env_file.display()));
}

/// Names that differ, seen from the file: what a new one would add, change and remove.
pub(crate) fn differences<'a>(file: &'a EnvFile, secret: &'a Secret) -> BTreeMap<&'a str, Difference> {
    let new = secret.settings().filter_map(|(name, value)| match file.get(name) {
        None => Some((name, Difference::Added)),
        Some(old) => (old != value).then_some((name, Difference::Changed)),
    });
    // The version is no part of the secret: the same values under another one are the same.
    let known = |key: &str| key == names::SECRET_VERSION || secret.names().any(|name| name == key);
    let gone = file.keys().filter(|key| !known(key)).map(|key| (key, Difference::Removed));
    new.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::tests::whole;

    #[test]
    fn every_difference_is_named() {
        let secret = Secret::parse(&whole(&[("NEW", ""), ("SAME", "x"), ("OTHER", "1")]), None).unwrap();
        let mut text = process::env_file::render(secret.settings().filter(|(name, _)| *name != "NEW")).unwrap();
        let file = EnvFile::parse(&text).unwrap();
        assert_eq!(differences(&file, &secret), BTreeMap::from([("NEW", Difference::Added)]));
        *text = text.replace("OTHER=\"1\"", "OTHER=\"2\"\nOLD=\"x\"");
        let file = EnvFile::parse(&text).unwrap();
        let expected = [("NEW", Difference::Added), ("OTHER", Difference::Changed), ("OLD", Difference::Removed)];
        assert_eq!(differences(&file, &secret), BTreeMap::from(expected));
    }
}
