//! `secrets-init`: runs before every other program, fetches the one JSON secret and writes the env file they read.
//!
//! The story: settings, log, the secret (waited for under a deadline), its check, and then one of three ends: the file is
//! written whole, compared, or a command takes this process's place with the secrets in its environment.
//!
//! What held a secret is wiped when it is dropped, no core dump is written and no other process may read this one's memory.
//! The buffers of the TLS, HTTP and JSON libraries are not ours to wipe; the process ends within moments of filling them.

mod advice;
mod arguments;
mod check;
mod config;
mod dialects;
mod exec;
mod retry;
mod secret;
mod source;
mod writer;

use std::process::ExitCode;

use process::console::{complain, say};
use process::settings::Settings;
use process::{Exit, aws, hardening, logs, print_effective, ready};

use crate::arguments::{Arguments, Task};
use crate::config::Config;
use crate::secret::Secret;

fn main() -> ExitCode {
    // Before anything secret can be in memory.
    let hardened = hardening::no_core_dumps();
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    let (config, effective) = match config::read(Settings::from_parts(std::env::vars_os(), None)) {
        Ok(config) => config,
        Err(faults) => {
            complain(&format!("secrets-init: the settings are wrong:\n{faults}"));
            return Exit::Configuration.into();
        }
    };
    if arguments.check_config {
        say(&print_effective(&effective, arguments.json));
        return Exit::Done.into();
    }
    if let Err(error) = logs::start("secrets-init", &aws::quiet_filter(&config.log)) {
        complain(&format!("secrets-init: {error}"));
        return Exit::Configuration.into();
    }
    if let Err(error) = hardened {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
    run(&config, &arguments).unwrap_or_else(|exit| exit).into()
}

fn run(config: &Config, arguments: &Arguments) -> Result<Exit, Exit> {
    let secret = obtain(config)?;
    match arguments.task() {
        Task::Write => write(config, &secret, arguments.json),
        Task::Check => Ok(check::run(config, &secret, arguments.json)),
        // Gives control back only when the command could not be run.
        Task::Exec(command) => Err(exec::replace_process(command, &secret)),
    }
}

/// The secret, fetched and checked; what stood in the way is in the log.
fn obtain(config: &Config) -> Result<Secret, Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        tracing::error!(%error, "the runtime cannot start");
        Exit::Failed
    })?;
    let fetched = runtime.block_on(source::fetch(&config.source, config.deadline)).map_err(|trouble| {
        tracing::error!(source = %config.source, check = trouble.check, "{}", trouble.happened);
        if config.env_file.exists() {
            tracing::warn!(env_file = %config.env_file.display(), "the env file that is there stays as it is");
        }
        ready::notify_status(&trouble.happened);
        trouble.exit()
    })?;
    let secret = Secret::parse(&fetched.text, fetched.version);
    let secret = secret.and_then(|secret| match &config.keys {
        Some(keys) => secret.only(keys),
        None => Ok(secret),
    });
    secret.map_err(|faults| {
        tracing::error!(source = %config.source, faults = faults.len(), "the secret cannot be used; nothing was written");
        for fault in faults {
            tracing::error!("{fault}");
        }
        Exit::Configuration
    })
}

fn write(config: &Config, secret: &Secret, json: bool) -> Result<Exit, Exit> {
    let written = writer::write(&config.env_file, config.owner.as_ref(), secret).map_err(|fault| {
        tracing::error!("{fault}");
        fault.exit()
    })?;
    let (env_file, version) = (config.env_file.display(), secret.version().unwrap_or("none"));
    let keys = secret.names().count();
    match written {
        writer::Written::New => tracing::info!(%env_file, version, keys, "the env file is written"),
        writer::Written::Unchanged => {
            tracing::info!(%env_file, version, keys, "the secret is unchanged, and so is the env file")
        }
    }
    if json {
        say(&serde_json::json!({ "written": written == writer::Written::New, "version": secret.version(), "env_file": config.env_file }).to_string());
    }
    ready::notify_ready();
    Ok(Exit::Done)
}
