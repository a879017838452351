//! What the program can be asked to do.

mod backups;
mod once;
mod status;
mod verify;

use clap::{Parser, Subcommand};
use process::console::print_err;
use process::{Exit, Started};
use store::{AuditCopy, IfMissing, Store};

use crate::bound::Bound;
use crate::config::{self, Config};
use crate::service;

const EXAMPLES: &str = "\
Settings are read from the environment and from the file WARDPOST_ENV_FILE names (/run/wardpost/env).

Examples:
  log-shipper                            ship, for as long as it runs
  log-shipper status                     shipped, quarantined, how far behind
  log-shipper verify --from 2026-11-01   compare the copy with the local chain
  WARDPOST_AUDIT_SINK=file:///var/log/wardpost/audit.jsonl log-shipper once

Exit codes: 0 done, 1 failed or different, 64 usage, 69 the sink is not available, 78 wrong settings.";

/// Copies every audit row off the machine, and compares the copy with the local chain.
#[derive(Parser)]
#[command(name = "log-shipper", version = process::version(), after_help = EXAMPLES)]
pub struct Arguments {
    /// Print the settings in force, secrets masked, and where each comes from; exit 78 if any is wrong.
    #[arg(long)]
    check_config: bool,
    /// Print results as JSON, for scripts.
    #[arg(long, global = true)]
    json: bool,
    /// What to do; without it, rows are shipped for as long as the program runs.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Ship every row as it is written (the default).
    Run,
    /// Ship what there is, and end; exit 69 at the first outage.
    #[command(after_help = "Example:\n  log-shipper once --json")]
    Once,
    /// Tell how far the copy has come: shipped + quarantined + waiting = all rows.
    #[command(after_help = "Example:\n  log-shipper status --json")]
    Status,
    /// Tell which backups the copy knows, for `backup-worker verify` and `restore` on a machine whose own log is lost.
    #[command(after_help = "Example:\n  log-shipper backups --json > /run/recorded.json")]
    Backups,
    /// Read the copy back and compare every hash with the local chain; exit 1 and name the rows if any differ.
    #[command(after_help = "Example:\n  log-shipper verify --from 2026-11-01 --to 2026-12-01 --json")]
    Verify {
        /// The first row: its number, or a time (2026-11-01, 2026-11-01T08:00:00Z).
        #[arg(long, value_parser = Bound::parse)]
        from: Option<Bound>,
        /// The last row: its number, or a time, up to which (but not including it) rows are compared.
        #[arg(long, value_parser = Bound::parse)]
        to: Option<Bound>,
    },
}

/// Runs what was asked for.
pub fn run(arguments: Arguments, started: Started) -> Exit {
    let json = arguments.json;
    if arguments.check_config {
        return started.check_config(config::read, json);
    }
    started.run(config::read, async |config| match arguments.command.unwrap_or(Command::Run) {
        Command::Run => service::run(config).await,
        Command::Once => once::run(&config, json).await,
        Command::Status => status::run(&config, json).await,
        Command::Backups => backups::run(&config, json).await,
        Command::Verify { from, to } => verify::run(&config, from, to, json).await,
    })
}

/// The database, which must be there, and the name of its copy.
async fn open(config: &Config) -> Result<(Store, AuditCopy), Exit> {
    let store = config.database.open(IfMissing::Refuse).await.map_err(|error| {
        print_err(&format!("log-shipper: {error}"));
        database::exit_of(&error)
    })?;
    match store.audit_stream().await {
        Ok(stream) => Ok((store, AuditCopy { sink: config.audit_sink.to_string(), stream })),
        Err(error) => {
            print_err(&format!("log-shipper: {error}"));
            store.close().await;
            Err(Exit::Failed)
        }
    }
}
