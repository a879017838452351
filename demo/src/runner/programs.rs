//! Which programs a demo consists of, and what each is told. A new program is one more row of [`all`].

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;

use super::folder::Folder;

/// The environment of a program.
pub(crate) type Environment = Vec<(OsString, OsString)>;

/// What the programs must know about each other.
pub(crate) struct World<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) site: SocketAddr,
    pub(crate) issuer: &'a str,
    /// The demo's own environment.
    pub(crate) environment: Environment,
    /// What the command line adds for `web`.
    pub(crate) web_environment: &'a [(String, String)],
}

/// One program to start.
pub(crate) struct Program {
    /// The binary's name, also that of its log.
    pub(crate) name: &'static str,
    pub(crate) environment: Environment,
    pub(crate) kind: Kind,
}

/// What a program is waited for.
pub(crate) enum Kind {
    /// It ends by itself, with success, before those after it are started.
    Prepares,
    /// It runs until it is told to stop. `GET /readyz` there says whether it is ready.
    Serves(SocketAddr),
}

/// Every program of the demo, in the order in which they start.
pub(crate) fn all(world: &World<'_>) -> Vec<Program> {
    vec![secrets_init(world), web(world)]
}

/// Writes the env file that the others read, as at the boot of a real machine.
fn secrets_init(world: &World<'_>) -> Program {
    let mut environment = shared(world);
    let mut secret = OsString::from("file://");
    secret.push(world.folder.secret());
    environment.push(pair("WARDPOST_SECRET", secret));
    // Whoever runs the demo owns its files, whatever their environment says about a real machine.
    environment.push(pair("WARDPOST_ENV_OWNER", ""));
    Program { name: "secrets-init", environment, kind: Kind::Prepares }
}

fn web(world: &World<'_>) -> Program {
    let mut environment = vec![pair("WARDPOST_STAFF_DOMAINS", "clinic.example")];
    environment.extend(shared(world));
    environment.push(pair("WARDPOST_LISTEN", world.site.to_string()));
    environment.push(pair("WARDPOST_PUBLIC_URL", public_url(world.site)));
    environment.push(pair("WARDPOST_OIDC_ISSUER", world.issuer));
    environment.extend(world.web_environment.iter().map(|(name, value)| pair(name, value)));
    Program { name: "web", environment, kind: Kind::Serves(world.site) }
}

/// What every program is told: the settings the demo was started with, and where its data is.
fn shared(world: &World<'_>) -> Environment {
    let mut environment = inherited(&world.environment);
    environment.push(pair("WARDPOST_ENV_FILE", world.folder.env_file()));
    environment.push(pair("WARDPOST_DB", world.folder.database()));
    environment
}

/// The address of the site as a browser knows it.
pub(crate) fn public_url(site: SocketAddr) -> String {
    format!("http://{site}")
}

/// Where the provider sends the browser back to.
pub(crate) fn redirect_uri(site: SocketAddr) -> String {
    format!("{}/sign-in/callback", public_url(site))
}

/// What a program gets of the demo's own environment: settings of Wardpost, and what any program needs. No more, so
/// that neither somebody's real client secret nor their AWS account can end up in a demo.
fn inherited(environment: &Environment) -> Environment {
    const NEEDED: [&str; 7] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "RUST_BACKTRACE"];
    let wanted =
        |name: &OsStr| name.to_str().is_some_and(|name| NEEDED.contains(&name) || name.starts_with("WARDPOST_"));
    environment.iter().filter(|(name, _)| wanted(name)).cloned().collect()
}

fn pair(name: impl Into<OsString>, value: impl Into<OsString>) -> (OsString, OsString) {
    (name.into(), value.into())
}
