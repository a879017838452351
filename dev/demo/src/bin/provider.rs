//! `provider`: the demo's OpenID provider by itself, for tests of a site that runs elsewhere, in a container, say. People
//! sign in by login_hint, without a page.

use std::path::PathBuf;

use clap::Parser;
use demo::{Provider, ProviderOptions};
use process::console::{print_err, print_out};
use process::env_file::read_private_text;
use process::{Exit, Shutdown};

const EXAMPLE: &str = "\
Example:
  provider --issuer https://accounts.example --redirect-uri https://messages.example/sign-in/callback --secret secret.json";

/// Runs the demo's OpenID provider alone, and says its address in one line of JSON
#[derive(Debug, Parser)]
#[command(name = "provider", after_help = EXAMPLE)]
struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// What it calls itself, where something before it gives it another address
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,

    /// Where people may be sent back to
    #[arg(long, value_name = "URL")]
    redirect_uri: String,

    /// The site's secret, as secrets-init reads it: the client's id and its password
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
}

#[tokio::main]
async fn main() -> Exit {
    match run(Arguments::parse()).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            print_err(&format!("provider: {error}"));
            Exit::Failed
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let shutdown = Shutdown::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let text = read_private_text(&arguments.secret).map_err(|error| format!("the secret {error}"))?;
    // The error of a parser could quote what it read.
    let secret: serde_json::Value = serde_json::from_str(&text).map_err(|_| "the secret is not JSON")?;
    let named = |name: &str| secret[name].as_str().map(str::to_owned).ok_or(format!("the secret has no {name}"));
    let mut options = ProviderOptions::new(named("GOOGLE_CLIENT_ID")?, named("GOOGLE_CLIENT_SECRET")?);
    options.listen.set_port(arguments.port);
    options.issuer = arguments.issuer;
    options.redirect_uris.push(arguments.redirect_uri);
    options.auto_login = true;
    let provider = Provider::start(options).await.map_err(|error| error.to_string())?;
    print_out(&serde_json::json!({ "provider": format!("http://{}", provider.address()) }).to_string());
    shutdown.requested().await;
    provider.stop().await;
    Ok(())
}
