//! What the `web` program can be asked to do.

pub mod audit_verify;
pub mod emergency;
pub mod healthcheck;
mod operator;
pub mod rekey;
pub mod serve;
pub mod staff;

use std::path::Path;

use clap::{Parser, Subcommand};
pub use process::console::complain;
pub(crate) use process::console::say;
use process::settings::{ConfigFaults, Effective, Settings};
use process::{Exit, print_effective};
use store::{DatabaseKey, IfMissing, OpenError, Store};

use crate::config;

/// The Wardpost site: secure messaging for the staff of a clinic.
#[derive(Parser)]
#[command(
    name = "web",
    version,
    after_help = "Settings are read from the environment and from the file WARDPOST_ENV_FILE names (/run/wardpost/env).\n\nExamples:\n  web                            serve the site\n  web --check-config             print the settings in force, secrets masked\n  web audit verify               check the whole audit chain\n  web staff disable a@clinic.example"
)]
pub struct Arguments {
    /// Print the settings in force, secrets masked, and where each comes from; exit 78 if any is wrong.
    #[arg(long)]
    pub check_config: bool,
    /// Print results as JSON, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do; without it, the site is served.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands beside serving.
#[derive(Subcommand)]
pub enum Command {
    /// Serve the site (the default).
    Serve,
    /// Look after the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look after the people who can sign in.
    #[command(subcommand)]
    Staff(StaffCommand),
    /// Let a member in while the identity provider is down, list what was granted, take it back.
    #[command(subcommand)]
    EmergencyAccess(emergency::EmergencyCommand),
    /// Give the database another key, DB_ENCRYPTION_KEY_NEW. Stop web, log-shipper and backup-worker first.
    #[command(after_help = rekey::HELP)]
    Rekey(rekey::Rekey),
    /// Ask the running site whether it is ready; exit 0 if so. For container health checks.
    #[command(after_help = "Example:\n  web healthcheck")]
    Healthcheck,
}

/// What can be done with the audit log.
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Check every row's hash against the row before it and against the messages; exit 1 and name the first bad row.
    #[command(after_help = "Example:\n  web audit verify --json")]
    Verify,
}

/// What can be done with people.
#[derive(Subcommand)]
pub enum StaffCommand {
    /// List everybody who has ever signed in.
    #[command(after_help = "Example:\n  web staff list --json")]
    List,
    /// Keep somebody out: ends all of their sessions at once.
    #[command(after_help = "Example:\n  web staff disable amina@clinic.example")]
    Disable {
        /// The e-mail address, as `web staff list` shows it.
        email: String,
    },
    /// Let somebody in again.
    #[command(after_help = "Example:\n  web staff enable amina@clinic.example")]
    Enable {
        /// The e-mail address, as `web staff list` shows it.
        email: String,
    },
}

/// Runs what was asked for.
pub async fn run(arguments: Arguments) -> Exit {
    let json = arguments.json;
    if arguments.check_config {
        return check_config(json);
    }
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run().await,
        Command::Audit(AuditCommand::Verify) => audit_verify::run(json).await,
        Command::Staff(StaffCommand::List) => staff::list(json).await,
        Command::Staff(StaffCommand::Disable { email }) => staff::set_enabled(&email, false, json).await,
        Command::Staff(StaffCommand::Enable { email }) => staff::set_enabled(&email, true, json).await,
        Command::EmergencyAccess(command) => emergency::run(command, json).await,
        Command::Rekey(options) => rekey::run(options, json).await,
        Command::Healthcheck => healthcheck::run().await,
    }
}

fn check_config(json: bool) -> Exit {
    match Settings::load().and_then(config::read) {
        Ok((_, effective)) => {
            say(&print_effective(&effective, json));
            Exit::Done
        }
        Err(faults) => refuse_settings(&faults),
    }
}

fn refuse_settings(faults: &ConfigFaults) -> Exit {
    complain(&format!("web: the settings are wrong:\n{faults}"));
    Exit::Configuration
}

/// The existing database, for a command that an operator runs.
pub(crate) async fn open_database() -> Result<Store, Exit> {
    let settings = Settings::load().and_then(config::read_database);
    let ((path, key), _): ((_, DatabaseKey), Vec<Effective>) = settings.map_err(|faults| refuse_settings(&faults))?;
    open(&path, &key, IfMissing::Refuse).await
}

pub(crate) async fn open(path: &Path, key: &DatabaseKey, if_missing: IfMissing) -> Result<Store, Exit> {
    Store::open(path, key, if_missing).await.map_err(|error| refuse_database(&error))
}

/// Says why a database cannot be opened.
fn refuse_database(error: &OpenError) -> Exit {
    complain(&format!("web: {error}"));
    match error {
        OpenError::Missing { .. } | OpenError::NotOurs { .. } | OpenError::NewerSchema { .. } => Exit::Configuration,
        _ => Exit::Failed,
    }
}
