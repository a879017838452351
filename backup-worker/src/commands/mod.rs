//! What the program can be asked to do.

mod identity;
mod list;
mod now;
mod restore;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, Subcommand};
use process::console::print_err;
use process::{Exit, Shutdown, Started};
use store::{IfMissing, Store, Timestamp};

use crate::catalogue::Wanted;
use crate::config::{self, Config};
use crate::error::WorkerError;
use crate::priority;
use crate::service;
use crate::vouch::{Request, read_answer};

const EXAMPLES: &str = "\
Settings are read from the environment and from the file WARDPOST_ENV_FILE names (/run/wardpost/env).

Examples:
  backup-worker                     make and prove backups when they are due
  backup-worker now                 make one
  backup-worker list                what there is, and when each was proved to restore
  backup-worker verify latest       restore the newest one on trial
  backup-worker restore latest --to /var/lib/wardpost/wardpost.db --replace

Exit codes: 0 done, 1 failed, 64 usage, 69 the target is not available, 78 wrong settings.";

/// Makes a backup every night, proves that it restores, and restores it.
#[derive(Parser)]
#[command(name = "backup-worker", version = process::version(), after_help = EXAMPLES)]
pub struct Arguments {
    /// Print the settings in force, secrets masked, and where each comes from; exit 78 if any is wrong.
    #[arg(long)]
    check_config: bool,
    /// Print results as JSON, for scripts.
    #[arg(long, global = true)]
    json: bool,
    /// What to do; without it, backups are made and proved when they are due.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Make and prove backups when they are due (the default).
    Run,
    /// Make one backup.
    #[command(after_help = "Example:\n  backup-worker now --json")]
    Now,
    /// List the backups, and when each was proved to restore.
    #[command(after_help = "Example:\n  backup-worker list --json")]
    List,
    /// Restore a backup on trial, check all of it, and throw it away.
    #[command(
        after_help = "Examples:\n  backup-worker verify\n  backup-worker verify latest --identity /media/safe/key.txt --json"
    )]
    Verify {
        /// A name as `list` shows it, or `latest`.
        #[arg(default_value = "latest", value_parser = Wanted::parse)]
        backup: Wanted,
        /// A file with age identities that open it, beside the key derived from DB_ENCRYPTION_KEY.
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
        #[command(flatten)]
        origin: Origin,
    },
    /// Restore a backup for good. Stop web, log-shipper and backup-worker before you replace their database.
    #[command(
        after_help = "Examples:\n  backup-worker restore latest --to /var/lib/wardpost/wardpost.db --replace\n  backup-worker restore --at 2026-11-20T12:00:00Z --to /tmp/then.db"
    )]
    Restore {
        /// A name as `list` shows it, or `latest`.
        #[arg(value_parser = Wanted::parse, required_unless_present = "at", conflicts_with = "at")]
        backup: Option<Wanted>,
        /// The database file to make.
        #[arg(long, value_name = "PATH")]
        to: PathBuf,
        /// The newest backup that is no newer than this time (RFC 3339).
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        at: Option<Timestamp>,
        /// Replace a database that is at PATH; it is kept under another name.
        #[arg(long)]
        replace: bool,
        /// A file with age identities that open it, beside the key derived from DB_ENCRYPTION_KEY.
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
        #[command(flatten)]
        origin: Origin,
    },
    /// Print the age identity that opens the backups of this machine, for the safe.
    #[command(after_help = "Example:\n  backup-worker identity --print > /media/safe/wardpost-key.txt")]
    Identity {
        /// Print it also where standard output is no terminal.
        #[arg(long)]
        print: bool,
    },
}

/// Who vouches for a backup, beside its manifest's code and the audit log of this machine.
#[derive(Args)]
struct Origin {
    /// What `log-shipper backups --json` answered: which backups the shipped copy of the audit log knows. For a machine whose own
    /// log is lost.
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,
    /// Take a backup that nobody vouches for. Anyone who can write to the target can have made it; the audit log keeps that
    /// you said this.
    #[arg(long)]
    accept_unrecorded: bool,
}

impl Origin {
    fn of(self, wanted: Wanted) -> Result<Request, WorkerError> {
        let recorded = self.recorded.as_deref().map(read_answer).transpose()?;
        Ok(Request { wanted, recorded, accept_unrecorded: self.accept_unrecorded })
    }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| format!("`{text}` is not a time such as 2026-11-20T12:00:00Z"))
}

/// Runs what was asked for.
pub fn run(arguments: Arguments, started: Started) -> Exit {
    let json = arguments.json;
    if arguments.check_config {
        return started.check_config(config::read, json);
    }
    started.run(config::read, async |config| carry_out(arguments.command.unwrap_or(Command::Run), config, json).await)
}

async fn carry_out(command: Command, config: Config, json: bool) -> Exit {
    if matches!(command, Command::Run | Command::Now | Command::Verify { .. }) {
        priority::let_the_site_go_first();
    }
    let done = match command {
        Command::Run => return service::run(config).await,
        Command::Now => now::run(&config, json).await,
        Command::List => list::run(&config, json).await,
        Command::Verify { backup, identity, origin } => match origin.of(backup) {
            Ok(request) => verify::run(&config, &request, identity.as_deref(), json).await,
            Err(error) => Err(error),
        },
        Command::Restore { backup, to, at, replace, identity, origin } => {
            match origin.of(at.map(Wanted::NotAfter).or(backup).unwrap_or(Wanted::Latest)) {
                Ok(request) => restore::run(&config, &request, &to, replace, identity.as_deref(), json).await,
                Err(error) => Err(error),
            }
        }
        Command::Identity { print } => identity::run(&config, print).await,
    };
    match done {
        Ok(exit) => exit,
        Err(error) => {
            print_err(&format!("backup-worker: {error}"));
            error.exit()
        }
    }
}

/// The database of this machine, which must be there.
async fn open(config: &Config) -> Result<Store, WorkerError> {
    Ok(config.database.open(IfMissing::Refuse).await?)
}

/// The same where there may be none: another machine than the one that made the backups.
async fn open_if_there(config: &Config) -> Result<Option<Store>, WorkerError> {
    match config.database.path().try_exists() {
        Ok(false) => Ok(None),
        _ => open(config).await.map(Some),
    }
}

/// The database where there may be none that opens: on another machine, and on this one in the emergency that `list` and
/// `verify` are for. Why it does not open is said.
async fn open_if_possible(config: &Config) -> Option<Store> {
    match open_if_there(config).await {
        Ok(store) => store,
        Err(error) => {
            print_err(&format!("backup-worker: the database here cannot be asked, nor written into: {error}"));
            None
        }
    }
}

/// True once somebody asks the program to stop (Ctrl-C, or a supervisor). Where signals cannot be listened to, they end the
/// program as they always do.
fn stop_on_signal() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    if let Ok(shutdown) = Shutdown::listen() {
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            shutdown.requested().await;
            stop.store(true, Ordering::Relaxed);
        });
    }
    stop
}
