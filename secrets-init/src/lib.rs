//! `secrets-init`: runs before every other program, fetches the one JSON secret and writes the env file they read.
//!
//! The story: settings, the secret (waited for under a deadline), its check, and then one of three ends: the file is
//! written whole, compared, or a command takes this process's place with the secrets in its environment.
//!
//! `credentials/` is a service of its own, which has nothing to do with the secret: it hands programs their AWS credentials.
//!
//! What held a secret is wiped when it is dropped, no core dump is written and no other process may read this one's memory.
//! The buffers of the TLS, HTTP and JSON libraries are not ours to wipe; but for `credentials/`, the process ends within moments of filling them.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod arguments;
mod check;
mod config;
mod credentials;
mod dialects;
mod error;
mod exec;
mod retry;
mod secret;
mod source;
mod system;
mod writer;

use process::console::print_out;
use process::{Exit, Started, ready};

pub use crate::arguments::Arguments;
use crate::arguments::{Command, Task};
use crate::config::Config;
use crate::secret::Secret;

/// Does what was asked for.
pub fn run(arguments: Arguments, started: Started) -> Exit {
    if let Some(Command::ServeCredentials { check_config, json }) = arguments.command {
        return credentials::run(started, check_config, json);
    }
    if arguments.check_config {
        return started.check_config(config::read, arguments.json);
    }
    started.run(config::read, async |config| work(&config, &arguments).await.unwrap_or_else(|exit| exit))
}

async fn work(config: &Config, arguments: &Arguments) -> Result<Exit, Exit> {
    let secret = obtain(config).await?;
    match arguments.task() {
        Task::Write => write(config, &secret, arguments.json),
        Task::Check => Ok(check::run(config, &secret, arguments.json)),
        // Gives control back only when the command could not be run.
        Task::Exec(command) => Err(exec::replace_process(command, &secret)),
    }
}

/// The secret, fetched and checked; what stood in the way is in the log.
async fn obtain(config: &Config) -> Result<Secret, Exit> {
    let fetched = source::fetch(&config.source, config.deadline).await.map_err(|error| {
        tracing::error!(source = %config.source, check = error.check, "{}", error.happened);
        if config.env_file.exists() {
            tracing::warn!(env_file = %config.env_file.display(), "the env file that is there stays as it is");
        }
        ready::notify_status(&error.happened);
        error.exit()
    })?;
    let secret = Secret::parse(&fetched.text, fetched.version);
    let secret = secret.and_then(|secret| match &config.keys {
        Some(keys) => secret.only(keys),
        None => Ok(secret),
    });
    secret.map_err(|errors| {
        tracing::error!(source = %config.source, errors = errors.len(), "the secret cannot be used; nothing was written");
        for error in errors {
            tracing::error!("{error}");
        }
        Exit::Configuration
    })
}

fn write(config: &Config, secret: &Secret, json: bool) -> Result<Exit, Exit> {
    let written = writer::write(&config.env_file, config.owner.as_ref(), secret).map_err(|error| {
        tracing::error!("{error}");
        error.exit()
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
        print_out(&serde_json::json!({ "written": written == writer::Written::New, "version": secret.version(), "env_file": config.env_file }).to_string());
    }
    ready::notify_ready();
    Ok(Exit::Done)
}
