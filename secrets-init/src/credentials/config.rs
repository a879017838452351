//! Who has which role, and where programs ask.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use process::settings::{Read, Settings};

/// Everything this service needs to run.
pub(super) struct Config {
    /// The role of each program that has one; at least one program does, and no two share one.
    pub(super) roles: BTreeMap<Program, RoleArn>,
    /// A loopback address.
    pub(super) listen: SocketAddr,
    /// The folder of the tokens.
    pub(super) tokens: PathBuf,
}

/// A program that may have a role. `web` needs nothing of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Program {
    SecretsInit,
    LogShipper,
    BackupWorker,
}

impl Program {
    pub(super) const ALL: [Program; 3] = [Program::SecretsInit, Program::LogShipper, Program::BackupWorker];

    /// What it is called: the path that it asks for, and the name of its token's file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Program::SecretsInit => "secrets-init",
            Program::LogShipper => "log-shipper",
            Program::BackupWorker => "backup-worker",
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Program::SecretsInit => "WARDPOST_ROLE_SECRETS_INIT",
            Program::LogShipper => "WARDPOST_ROLE_LOG_SHIPPER",
            Program::BackupWorker => "WARDPOST_ROLE_BACKUP_WORKER",
        }
    }

    /// The program that asks for this path.
    pub(super) fn of_path(path: &str) -> Option<Program> {
        let name = path.strip_prefix('/')?;
        Program::ALL.into_iter().find(|program| program.name() == name)
    }

    /// What CloudTrail calls its sessions: 2 to 64 characters of a set that these names keep to.
    pub(super) fn session_name(self) -> String {
        format!("wardpost-{}", self.name())
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `arn:PARTITION:iam::ACCOUNT:role/NAME`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoleArn(String);

impl RoleArn {
    fn parse(text: &str) -> Result<RoleArn, String> {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let name_is_legal = |name: &str| {
            !name.is_empty()
                && !name.ends_with('/')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "/_+=,.@-".contains(c))
        };
        match parts[..] {
            ["arn", partition, "iam", "", account, role]
                if partition.starts_with("aws")
                    && account.len() == 12
                    && account.bytes().all(|b| b.is_ascii_digit())
                    && role.strip_prefix("role/").is_some_and(name_is_legal) =>
            {
                Ok(RoleArn(text.to_owned()))
            }
            _ => Err(format!(
                "`{text}` is not the ARN of a role, such as arn:aws:iam::123456789012:role/wardpost-log-shipper"
            )),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The settings and where each came from, or every error at once.
pub(super) fn read(mut settings: Settings) -> Read<Config> {
    let listen = settings.or_default("WARDPOST_CREDENTIALS_LISTEN", "127.0.0.254:254", parse_listen);
    let tokens = settings.or_default("WARDPOST_CREDENTIALS_TOKENS", "/run/wardpost-credentials", parse_folder);
    let mut roles: BTreeMap<Program, RoleArn> = BTreeMap::new();
    let mut unset = 0;
    for program in Program::ALL {
        match settings.optional(program.setting(), RoleArn::parse) {
            Some(Some(role)) => {
                if let Some(other) = roles.iter().find(|(_, known)| **known == role).map(|(other, _)| *other) {
                    let message = format!("is the role of {other} as well: each program needs one of its own");
                    settings.add_error(program.setting(), message);
                }
                roles.insert(program, role);
            }
            Some(None) => unset += 1,
            None => {}
        }
    }
    if unset == Program::ALL.len() {
        settings.add_error(Program::SecretsInit.setting(), "is not set, and no other program has a role either");
    }
    settings.finish(move || Some(Config { roles, listen: listen?, tokens: tokens? }))
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        _ => Err(format!("`{text}` is not a loopback address and port, such as 127.0.0.254:254")),
    }
}

fn parse_folder(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(format!("`{text}` is not the absolute path of a folder, such as /run/wardpost-credentials"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/wardpost-log-shipper";

    fn read_these(values: &[(&str, &str)]) -> Result<Config, String> {
        let environment = values.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        read(Settings::from_parts(environment, None)).map(|(config, _)| config).map_err(|errors| errors.to_string())
    }

    #[test]
    fn a_role_is_an_arn_of_iam_with_an_account_and_a_name() {
        for right in [ROLE, "arn:aws-cn:iam::000000000001:role/clinic/wardpost@x"] {
            assert_eq!(RoleArn::parse(right).unwrap().as_str(), right);
        }
        for wrong in [
            "",
            "wardpost",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:iam::12345678901x:role/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/x/",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam:eu-central-1:123456789012:role/x",
            "arn:aws:sts::123456789012:assumed-role/x/y",
            "arn:aws:iam::123456789012:role/x y",
            "arn:aws:iam::123456789012:role/x:y",
        ] {
            assert!(RoleArn::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_program_without_a_role_has_none_and_one_role_at_least_is_needed() {
        let config = read_these(&[("WARDPOST_ROLE_LOG_SHIPPER", ROLE)]).unwrap();
        assert_eq!(config.roles.keys().collect::<Vec<_>>(), [&Program::LogShipper]);
        assert_eq!(config.listen.to_string(), "127.0.0.254:254");
        let error = read_these(&[]).err().unwrap();
        assert!(error.contains("no other program has a role"), "{error}");
    }

    #[test]
    fn two_programs_with_one_role_are_refused() {
        let both = [("WARDPOST_ROLE_LOG_SHIPPER", ROLE), ("WARDPOST_ROLE_BACKUP_WORKER", ROLE)];
        let error = read_these(&both).err().unwrap();
        assert!(error.contains("WARDPOST_ROLE_BACKUP_WORKER") && error.contains("role of log-shipper"), "{error}");
    }

    #[test]
    fn nobody_off_the_machine_may_ask() {
        for wrong in ["0.0.0.0:254", "192.0.2.1:80", "[::]:80", "127.0.0.1", "localhost:1"] {
            assert!(parse_listen(wrong).is_err(), "{wrong}");
        }
        assert!(parse_listen("[::1]:80").is_ok());
    }

    #[test]
    fn a_path_names_one_program_and_exactly() {
        assert_eq!(Program::of_path("/log-shipper"), Some(Program::LogShipper));
        for other in ["/", "log-shipper", "/log-shipper/", "//log-shipper", "/web", "/Log-Shipper", "/log-shipperx"] {
            assert_eq!(Program::of_path(other), None, "{other}");
        }
    }
}
