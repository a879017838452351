//! Which programs a demo consists of, and what each is told. A new program is one more row of [`all`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// Programs that the command line leaves out.
    pub(crate) without: &'a [Optional],
}

/// One program to start.
pub(crate) struct Program {
    /// The binary's name, also that of its log.
    pub(crate) name: &'static str,
    pub(crate) environment: Environment,
    pub(crate) kind: Kind,
}

/// A program that the site runs without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Optional {
    LogShipper,
    BackupWorker,
}

/// What a program is waited for.
pub(crate) enum Kind {
    /// It ends by itself, with success, before those after it are started.
    Prepares,
    /// It runs until it is told to stop. `GET /readyz` there says whether it is ready.
    Serves(SocketAddr),
    /// It runs until it is told to stop, and nobody waits for it.
    Works,
}

/// Every program of the demo, in the order in which they start.
pub(crate) fn all(world: &World<'_>) -> Vec<Program> {
    let mut programs = vec![secrets_init(world), web(world)];
    if !world.without.contains(&Optional::LogShipper) {
        programs.push(log_shipper(world));
    }
    if !world.without.contains(&Optional::BackupWorker) {
        programs.push(backup_worker(world));
    }
    programs
}

/// Writes the env file that the others read, as at the boot of a real machine.
fn secrets_init(world: &World<'_>) -> Program {
    let mut environment = shared(world);
    environment.push(pair("WARDPOST_SECRET", file_url(world.folder.secret())));
    // The user who runs the demo owns its files, whatever their environment says about a real machine.
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

/// Copies the audit log into a file: what CloudWatch Logs is to a real machine.
fn log_shipper(world: &World<'_>) -> Program {
    let mut environment = shared(world);
    environment.push(pair("WARDPOST_AUDIT_SINK", file_url(world.folder.audit_copy())));
    environment.push(pair("WARDPOST_APPLICATION_SINK", ""));
    Program { name: "log-shipper", environment, kind: Kind::Works }
}

/// Keeps backups in a folder: what S3 is to a real machine.
fn backup_worker(world: &World<'_>) -> Program {
    let mut environment = shared(world);
    environment.push(pair("WARDPOST_BACKUP_TARGET", file_url(world.folder.backups())));
    Program { name: "backup-worker", environment, kind: Kind::Works }
}

fn file_url(path: PathBuf) -> OsString {
    let mut url = OsString::from("file://");
    url.push(path);
    url
}

/// What every program is told: the settings the demo was started with, and where its data is.
fn shared(world: &World<'_>) -> Environment {
    let mut environment = inherited(&world.environment);
    environment.push(pair("WARDPOST_ENV_FILE", world.folder.env_file()));
    environment.push(pair("WARDPOST_DB", world.folder.database()));
    environment
}

/// The settings of all programs as lines for a shell, so that a command beside the demo is told what they are told.
pub(crate) fn shell_settings(programs: &[Program]) -> String {
    let is_setting = |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with("WARDPOST_"));
    let told = programs.iter().flat_map(|program| &program.environment).filter(|(name, _)| is_setting(name));
    // The last one counts, as in a program's own environment. What secrets-init alone is told is about the env file.
    let settings: BTreeMap<_, _> = told.map(|(name, value)| (name, value)).collect();
    settings.iter().map(|(name, value)| format!("export {}={}\n", name.display(), shell_word(value))).collect()
}

/// One word of a shell.
pub(crate) fn shell_word(text: &OsStr) -> String {
    let text = text.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
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
