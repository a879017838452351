//! One life for every command of every program. [`run`] goes through it, in this order:
//!
//! 1. Core dumps are switched off, and panics quote nothing: before anything secret is in memory.
//! 2. The command line.
//! 3. The log, by the WARDPOST_LOG of the environment.
//! 4. The settings, and with them the secrets. Where the env file alone sets WARDPOST_LOG, the log follows it from here on.
//! 5. The runtime, and on it the program's own work.
//! 6. The exit code; 1 after a panic.
//!
//! What was asked for gets a [`Started`], which nothing else makes: it proves the first three steps, and no other way leads
//! to the settings and the runtime. So a new command cannot leave a step out.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::Parser;
use clap::error::ErrorKind;

use crate::console::{print_err, print_out};
pub use crate::exit::Exit;
use crate::hardening;
use crate::logs::{self, Log};
use crate::names;
use crate::settings::{ConfigErrors, Effective, Read, Settings, print_effective};

/// What is logged where nothing else is said.
const DEFAULT_FILTER: &str = "info";

/// What sets one program's life apart from another's.
#[derive(Clone, Copy)]
pub struct Program {
    /// Its name, which begins its error messages and stands in its log.
    pub name: &'static str,
    /// Where its settings come from.
    pub settings: Origin,
    /// What its work runs on.
    pub runtime: Runtime,
    /// What it makes of WARDPOST_LOG: a library that tells too much of its insides can be kept quiet. Must give what
    /// [`logs::check_filter`] accepts.
    pub log_filter: fn(&str) -> String,
}

/// Where settings come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The environment, over the env file that WARDPOST_ENV_FILE names.
    EnvFile,
    /// The environment alone: for the program that makes the env file.
    Environment,
}

/// What asynchronous work runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// A thread for each processor. The end waits for blocking work that goes on.
    ManyThreads,
    /// The main thread: for a program that mostly waits. The end waits for blocking work that goes on.
    OneThread,
    /// The main thread. Blocking work that goes on at the end is left to end with the process.
    OneThreadLeavingWork,
}

/// A program whose log and panic hook stand, and that writes no core dump.
pub struct Started {
    program: Program,
    log: Log,
}

/// The life of a program, from the beginning of `main` to the exit code that `main` gives back. `command` does what the
/// command line asks for. Call it once in a process.
pub fn run<A: Parser>(program: Program, command: impl FnOnce(A, Started) -> Exit) -> Exit {
    let hardened = hardening::no_core_dumps();
    logs::panics_quote_nothing(program.name);
    // What was at work when it panicked is not used again: the process ends.
    catch_unwind(AssertUnwindSafe(|| start(program, hardened, command))).unwrap_or(Exit::Failed)
}

fn start<A: Parser>(program: Program, hardened: io::Result<()>, command: impl FnOnce(A, Started) -> Exit) -> Exit {
    let arguments = match A::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Standard output or error may be closed; there is nowhere else to say it.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
                _ => Exit::Usage,
            };
        }
    };
    let log = match logs::start(program.name, &(program.log_filter)(&filter_of_environment())) {
        Ok(log) => log,
        Err(error) => {
            print_err(&format!("{}: {error}", program.name));
            return Exit::Failed;
        }
    };
    if let Err(error) = hardened {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
    command(arguments, Started { program, log })
}

/// WARDPOST_LOG as the environment sets it; the default where it is not set, or wrong: the settings tell that error with all
/// others.
fn filter_of_environment() -> String {
    let set = std::env::var(names::LOG).ok();
    set.and_then(|text| logs::check_filter(&text).ok()).unwrap_or_else(|| DEFAULT_FILTER.to_owned())
}

impl Started {
    /// Reads the settings that a command needs, and does its work. Wrong settings are told on stderr, all errors at once,
    /// and no work is done.
    pub fn run<T>(self, read: impl FnOnce(Settings) -> Read<T>, work: impl AsyncFnOnce(T) -> Exit) -> Exit {
        self.run_with(read, async |(settings, _)| work(settings).await)
    }

    /// `--check-config`: prints the settings in force, secrets masked, and where each came from.
    pub fn check_config<T>(self, read: impl FnOnce(Settings) -> Read<T>, as_json: bool) -> Exit {
        self.run_with(read, async |(_, effective)| {
            print_out(&print_effective(&effective, as_json));
            Exit::Done
        })
    }

    fn run_with<T>(
        self,
        read: impl FnOnce(Settings) -> Read<T>,
        work: impl AsyncFnOnce((T, Vec<Effective>)) -> Exit,
    ) -> Exit {
        let name = self.program.name;
        let settings = match self.settings().and_then(read) {
            Ok(settings) => settings,
            Err(errors) => {
                print_err(&format!("{name}: the settings are wrong:\n{errors}"));
                return Exit::Configuration;
            }
        };
        let runtime = match self.program.runtime.build() {
            Ok(runtime) => runtime,
            Err(error) => {
                print_err(&format!("{name}: the runtime cannot start: {error}"));
                return Exit::Failed;
            }
        };
        let exit = runtime.block_on(work(settings));
        if self.program.runtime == Runtime::OneThreadLeavingWork {
            runtime.shutdown_background();
        }
        exit
    }

    /// The settings, not read but for what is logged.
    fn settings(&self) -> Result<Settings, ConfigErrors> {
        let mut settings = match self.program.settings {
            Origin::EnvFile => Settings::load()?,
            Origin::Environment => Settings::from_parts(std::env::vars_os(), None),
        };
        if let Some(filter) = settings.or_default(names::LOG, DEFAULT_FILTER, logs::check_filter)
            && let Err(error) = self.log.follow(&(self.program.log_filter)(&filter))
        {
            settings.add_error(names::LOG, error.to_string());
        }
        Ok(settings)
    }
}

impl Runtime {
    fn build(self) -> io::Result<tokio::runtime::Runtime> {
        let mut builder = match self {
            Runtime::ManyThreads => tokio::runtime::Builder::new_multi_thread(),
            Runtime::OneThread | Runtime::OneThreadLeavingWork => tokio::runtime::Builder::new_current_thread(),
        };
        builder.enable_all().build()
    }
}
