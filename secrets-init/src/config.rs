//! The settings. They come from the environment alone: the env file is what this program makes.

use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, User};
use process::settings::{Read, Settings};

use crate::source::Address;

/// Everything this program needs to run.
pub(crate) struct Config {
    /// Where the secret is.
    pub(crate) source: Address,
    /// The file to write.
    pub(crate) env_file: PathBuf,
    /// Whose it shall be; without it, the user who runs this program.
    pub(crate) owner: Option<Owner>,
    /// The names that are taken from the secret; without them, all.
    pub(crate) keys: Option<Vec<String>>,
    /// How long to wait for the secret, all in all.
    pub(crate) deadline: Duration,
}

/// A user and a group that exist on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) user: Uid,
    pub(crate) group: Gid,
}

/// The settings and where each came from, or every error at once.
pub(crate) fn read(mut settings: Settings) -> Read<Config> {
    let source = settings.or_default("WARDPOST_SECRET", "aws-secretsmanager://wardpost/app-secrets", Address::parse);
    let env_file = settings.or_default("WARDPOST_ENV_FILE", "/run/wardpost/env", parse_path);
    let owner = settings.optional("WARDPOST_ENV_OWNER", parse_owner);
    let keys = settings.optional("WARDPOST_ENV_KEYS", parse_keys);
    let deadline = settings.or_default("WARDPOST_SECRET_DEADLINE_SECONDS", "120", parse_deadline);
    settings.finish(move || {
        Some(Config { source: source?, env_file: env_file?, owner: owner?, keys: keys?, deadline: deadline? })
    })
}

fn parse_path(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() && path.file_name().is_some() && !text.ends_with('/') {
        return Ok(path);
    }
    Err(format!("`{text}` is not the absolute path of a file, such as /run/wardpost/env"))
}

fn parse_keys(text: &str) -> Result<Vec<String>, String> {
    let keys: Vec<_> = text.split(',').map(|key| key.trim().to_owned()).collect();
    if keys.iter().any(String::is_empty) {
        return Err("has an empty entry between its commas".to_owned());
    }
    Ok(keys)
}

fn parse_deadline(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("`{text}` is not a whole number of seconds from 1 to 3600")),
    }
}

fn parse_owner(text: &str) -> Result<Owner, String> {
    let Some((user, group)) = text.split_once(':').filter(|(user, group)| !user.is_empty() && !group.is_empty()) else {
        return Err(format!("`{text}` is not user:group, such as wardpost:wardpost"));
    };
    let user = User::from_name(user)
        .map_err(|error| format!("the user {user} cannot be looked up: {error}"))?
        .ok_or_else(|| format!("this machine has no user {user}"))?;
    let group = Group::from_name(group)
        .map_err(|error| format!("the group {group} cannot be looked up: {error}"))?
        .ok_or_else(|| format!("this machine has no group {group}"))?;
    Ok(Owner { user: user.uid, group: group.gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_user_and_a_group_that_exist() {
        assert_eq!(parse_owner("root:root"), Ok(Owner { user: Uid::from_raw(0), group: Gid::from_raw(0) }));
        for (wrong, because) in [
            ("root", "is not user:group"),
            (":root", "is not user:group"),
            ("root:", "is not user:group"),
            ("no-such-user:root", "no user no-such-user"),
            ("root:no-such-group", "no group no-such-group"),
        ] {
            let error = parse_owner(wrong).unwrap_err();
            assert!(error.contains(because), "{wrong}: {error}");
        }
    }

    #[test]
    fn keys_stand_between_commas() {
        assert_eq!(parse_keys("A, B").unwrap(), ["A", "B"]);
        assert!(parse_keys("A,,B").is_err());
    }

    #[test]
    fn a_path_is_absolute_and_a_deadline_has_an_end() {
        assert!(parse_path("/run/wardpost/env").is_ok());
        for wrong in ["env", "/run/wardpost/", "/", "/run/.."] {
            assert!(parse_path(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_deadline("120"), Ok(Duration::from_secs(120)));
        for wrong in ["0", "3601", "2m", "-1", "1.5"] {
            assert!(parse_deadline(wrong).is_err(), "{wrong}");
        }
    }
}
