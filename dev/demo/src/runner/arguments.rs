//! The command line of the demo.

use std::path::PathBuf;

use clap::Parser;
use clap::error::ErrorKind;
use process::Exit;

use super::programs::Optional;

const EXAMPLES: &str = "\
Examples:
  demo                            the site at http://127.0.0.1:8080, Ctrl-C stops it
  demo --port 9090 --reset        another port, and nothing kept from earlier runs
  demo --reset --empty            a site without a message
  demo --for-tests --port 0 --provider-port 0 --data /tmp/d --web-env WARDPOST_SESSION_IDLE_MINUTES=2
                                  any free ports, addresses as one line of JSON";

/// Runs Wardpost on this machine, with an OpenID provider that stands in for Google.
#[derive(Debug, Parser)]
#[command(name = "demo", after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Port of the site on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,

    /// Port of the OpenID provider on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8081)]
    pub(crate) provider_port: u16,

    /// Folder for the database, its key and the logs; kept from run to run
    #[arg(long, value_name = "FOLDER", default_value = ".demo")]
    pub(crate) data: PathBuf,

    /// Remove what earlier runs left in the folder, then start
    #[arg(long)]
    pub(crate) reset: bool,

    /// Do not ask before removing
    #[arg(long, requires = "reset")]
    pub(crate) yes: bool,

    /// Start with no messages, instead of what the staff of a clinic wrote in the last days. A database that is there stays as
    /// it is either way
    #[arg(long)]
    pub(crate) empty: bool,

    /// For tests: no messages, sign-in by login_hint, one line of JSON with the addresses on standard output, and an end when the
    /// starting process ends
    #[arg(long)]
    pub(crate) for_tests: bool,

    /// Start the provider and no program, for a site that others start at --port. The folder's secret.json holds what that
    /// site must know
    #[arg(long)]
    pub(crate) provider_only: bool,

    /// One more environment variable for web and no other program; may be repeated
    #[arg(long = "web-env", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(crate) web_environment: Vec<(String, String)>,

    /// Leave a program out; may be repeated
    #[arg(long, value_enum, value_name = "PROGRAM")]
    pub(crate) without: Vec<Optional>,
}

impl Arguments {
    /// Whether a new database begins with what a ward wrote.
    pub(crate) fn opens_on_a_ward(&self) -> bool {
        !(self.empty || self.for_tests || self.provider_only)
    }

    /// Reads the command line. When there is nothing to run, says why (or shows the help) and gives the exit code.
    pub(crate) fn read() -> Result<Arguments, Exit> {
        let arguments = Arguments::try_parse().map_err(|error| {
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Standard output or error may be closed; there is nowhere else to say it.
            let _ = error.print();
            if asked_for { Exit::Done } else { Exit::Usage }
        })?;
        if arguments.port == arguments.provider_port && arguments.port != 0 {
            super::print_err("--port and --provider-port must differ: the site and the provider are two servers");
            return Err(Exit::Usage);
        }
        Ok(arguments)
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, such as WARDPOST_LOG=debug".to_owned()),
    }
}
