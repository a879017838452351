//! The command line.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Settings are read from the environment: WARDPOST_SECRET, WARDPOST_ENV_FILE, WARDPOST_ENV_KEYS,
WARDPOST_ENV_OWNER, WARDPOST_SECRET_DEADLINE_SECONDS, WARDPOST_LOG, and those of the AWS SDK.

Examples:
  secrets-init                      write the env file, unless the secret is unchanged
  secrets-init --check              exit 1 if the file differs from the secret, naming the keys
  secrets-init --exec web serve     run a command with the secrets in its environment, and write nothing
  WARDPOST_SECRET=file:///etc/wardpost/secret.json secrets-init
  secrets-init serve-credentials    hand each program credentials of its role (WARDPOST_ROLE_LOG_SHIPPER and the like)

Exit codes: 0 done, 1 failed or different, 64 usage, 69 not available (the file that is there stays), 78 wrong settings,
no permission, or a secret that cannot be used.";

/// Fetches the secret of Wardpost, checks it, and writes the env file that every other program reads.
#[derive(Debug, Parser)]
#[command(name = "secrets-init", version = process::version(), after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Run a command with the secrets in its environment instead of writing the file; everything after it is the command
    #[arg(long, num_args = 1.., value_name = "COMMAND", allow_hyphen_values = true, conflicts_with_all = ["check", "check_config", "json"])]
    exec: Vec<OsString>,

    /// Compare the file with the secret and write nothing; exit 1 if they differ
    #[arg(long, conflicts_with = "check_config")]
    check: bool,

    /// Print the settings in force, and where each comes from; exit 78 if any is wrong
    #[arg(long)]
    pub(crate) check_config: bool,

    /// Print the result as JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is no affair of the secret.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Command {
    /// Hand each program temporary AWS credentials of its own role, on loopback, until stopped
    ServeCredentials {
        /// Print the settings in force, and where each comes from; exit 78 if any is wrong
        #[arg(long)]
        check_config: bool,

        /// With --check-config: print the settings as JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

/// What is to be done with the secret.
pub(crate) enum Task<'a> {
    Write,
    Check,
    Exec(&'a [OsString]),
}

impl Arguments {
    pub(crate) fn task(&self) -> Task<'_> {
        match (self.exec.as_slice(), self.check) {
            ([], false) => Task::Write,
            ([], true) => Task::Check,
            (command, _) => Task::Exec(command),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_after_exec_is_the_command() {
        let arguments = Arguments::try_parse_from(["secrets-init", "--exec", "web", "--json", "-x", "--", "--exec"]);
        let Ok(arguments) = arguments else { panic!("{arguments:?}") };
        let Task::Exec(command) = arguments.task() else { panic!("{arguments:?}") };
        assert_eq!(command, ["web", "--json", "-x", "--", "--exec"]);
        assert!(!arguments.json);
    }

    #[test]
    fn a_command_to_run_may_be_called_as_one_of_ours() {
        let arguments = Arguments::try_parse_from(["secrets-init", "--exec", "web", "serve-credentials"]).unwrap();
        assert!(arguments.command.is_none());
        let arguments = Arguments::try_parse_from(["secrets-init", "serve-credentials", "--check-config"]).unwrap();
        assert!(matches!(arguments.command, Some(Command::ServeCredentials { check_config: true, json: false })));
    }

    #[test]
    fn tasks_that_exclude_each_other_are_refused() {
        for wrong in [
            &["--exec"][..],
            &["--check", "--exec", "web"],
            &["--check", "--check-config"],
            &["file"],
            &["--check", "serve-credentials"],
        ] {
            let arguments = ["secrets-init"].iter().chain(wrong);
            assert!(Arguments::try_parse_from(arguments).is_err(), "{wrong:?}");
        }
    }
}
