//! What the `web` program can be asked to do.

pub mod audit_verify;
pub mod emergency;
pub mod healthcheck;
mod operator;
pub mod rekey;
pub mod serve;
pub mod staff;

use clap::{Parser, Subcommand};
use database::DatabaseSettings;
pub(crate) use process::console::{print_err, print_out};
use process::{Exit, Started};
use store::{IfMissing, OpenError, Store, StoreError};

use crate::config;

/// The Wardpost site: secure messaging for the staff of a clinic.
#[derive(Parser)]
#[command(
    name = "web",
    version = process::version(),
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
pub fn run(arguments: Arguments, started: Started) -> Exit {
    let json = arguments.json;
    if arguments.check_config {
        return started.check_config(config::read, json);
    }
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => started.run(config::read, serve::run),
        Command::Audit(AuditCommand::Verify) => {
            started.run(config::read_database, async |database| audit_verify::run(&database, json).await)
        }
        Command::Staff(command) => {
            started.run(config::read_database, async |database| staff::run(&command, &database, json).await)
        }
        Command::EmergencyAccess(command) => started.run(config::read_emergency, async |(database, public_url)| {
            emergency::run(command, &database, public_url.as_ref(), json).await
        }),
        Command::Rekey(options) => {
            started.run(config::read_rekey, async |(database, new)| rekey::run(options, database, new, json).await)
        }
        Command::Healthcheck => started.run(config::read_listen, healthcheck::run),
    }
}

/// The existing database, for a command that an operator runs.
pub(crate) async fn open_database(database: &DatabaseSettings) -> Result<Store, Exit> {
    database.open(IfMissing::Refuse).await.map_err(|error| refuse_database(&error))
}

/// Does the work on the existing database, and closes it.
pub(crate) async fn with_database(
    database: &DatabaseSettings,
    work: impl AsyncFnOnce(&Store) -> Result<Exit, StoreError>,
) -> Exit {
    let store = match open_database(database).await {
        Ok(store) => store,
        Err(exit) => return exit,
    };
    let exit = work(&store).await.unwrap_or_else(|error| {
        print_err(&format!("web: {error}"));
        Exit::Failed
    });
    store.close().await;
    exit
}

/// Says why a database cannot be opened.
pub(crate) fn refuse_database(error: &OpenError) -> Exit {
    print_err(&format!("web: {error}"));
    database::exit_of(error)
}
