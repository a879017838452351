//! A real program as a child process: an empty environment but for what the test gives it, its secrets in an env file, its
//! log read as it comes. It dies with the value that holds it, and its log is shown when the test fails.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::http::Http;
use crate::wait::{SOON, wait_until};

/// What a program is to be started with. A clone starts the same program again, as after a crash.
#[derive(Clone)]
pub struct Launch {
    binary: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    secrets: BTreeMap<String, String>,
}

impl Launch {
    /// A program by its file, such as `env!("CARGO_BIN_EXE_web")`, without arguments and with an empty environment.
    pub fn new(binary: impl Into<PathBuf>) -> Launch {
        Launch { binary: binary.into(), arguments: Vec::new(), environment: BTreeMap::new(), secrets: BTreeMap::new() }
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Launch {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// With an environment variable; an earlier one of the same name is replaced.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Launch {
        self.environment.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// With a setting in the env file, where secrets belong.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Launch {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Starts it. Must be called on a tokio runtime.
    pub fn start(&self) -> Program {
        // There is always an env file, if an empty one: the machine's own must not be read.
        let directory = tempfile::tempdir().expect("a temporary directory");
        let env_file = directory.path().join("env");
        let secrets = self.secrets.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let text = process::env_file::render(secrets).expect("secrets that an env file can hold");
        fs::write(&env_file, text.as_bytes()).expect("an env file");
        fs::set_permissions(&env_file, Permissions::from_mode(0o600)).expect("its mode");

        let mut command = Command::new(&self.binary);
        command
            .args(&self.arguments)
            .env_clear()
            .env("WARDPOST_ENV_FILE", &env_file)
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", self.binary.display()));
        let output = child.stdout.take().and_then(|pipe| pipe.into_owned_fd().ok()).map(collect).expect("its output");
        let log = child.stderr.take().and_then(|pipe| pipe.into_owned_fd().ok()).map(collect).expect("its log");
        let pid = Pid::from_raw(child.id().expect("a new child has an id").try_into().expect("an id fits"));
        Program { binary: self.binary.clone(), pid, child, output, log, _directory: directory }
    }

    /// Runs a command to its end, which must come within [`SOON`].
    pub async fn run(&self) -> Finished {
        let mut program = self.start();
        let status = program.wait(SOON).await;
        // What was written is complete only when both pipes are closed.
        let stdout = program.finished_text(&program.output).await;
        let stderr = program.finished_text(&program.log).await;
        Finished { status, stdout, stderr }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output; the last line always ends.
    pub stdout: String,
    /// All of its log, in the same way.
    pub stderr: String,
}

impl Finished {
    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

/// A program that was started. Dropping it kills it.
pub struct Program {
    binary: PathBuf,
    pid: Pid,
    child: Child,
    output: watch::Receiver<Written>,
    log: watch::Receiver<Written>,
    _directory: TempDir,
}

/// One line of a program's log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// As written.
    pub text: String,
    /// The same, if it is a JSON object; null otherwise.
    pub fields: Value,
}

impl LogLine {
    fn new(text: String) -> LogLine {
        let fields = serde_json::from_str(&text).ok().filter(Value::is_object).unwrap_or_default();
        LogLine { text, fields }
    }

    /// What happened; empty when the line is not JSON.
    pub fn message(&self) -> &str {
        self.field("message")
    }

    /// A field that is a text; empty when it is not there.
    pub fn field(&self, name: &str) -> &str {
        self.fields[name].as_str().unwrap_or("")
    }
}

/// What came through a pipe so far.
#[derive(Default)]
struct Written {
    lines: Vec<LogLine>,
    ended: bool,
}

impl Written {
    fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect()
    }
}

/// Reads a pipe on a thread of its own, so that a child never waits for a test that is busy.
fn collect(pipe: OwnedFd) -> watch::Receiver<Written> {
    let (sender, receiver) = watch::channel(Written::default());
    std::thread::spawn(move || {
        for line in BufReader::new(fs::File::from(pipe)).split(b'\n') {
            let Ok(line) = line else { break };
            let line = LogLine::new(String::from_utf8_lossy(&line).into_owned());
            sender.send_modify(|written| written.lines.push(line));
        }
        sender.send_modify(|written| written.ended = true);
    });
    receiver
}

impl Program {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// The log so far.
    pub fn log(&self) -> Vec<LogLine> {
        self.log.borrow().lines.clone()
    }

    /// Everything on standard output so far.
    pub fn output(&self) -> String {
        self.output.borrow().text()
    }

    /// The first line of the log that the predicate holds for, be it written already or yet to come.
    pub async fn wait_for_line(&self, what: &str, deadline: Duration, predicate: impl Fn(&LogLine) -> bool) -> LogLine {
        let mut log = self.log.clone();
        let find = |written: &Written| written.lines.iter().find(|line| predicate(line)).cloned();
        let looked = timeout(deadline, log.wait_for(|written| written.ended || find(written).is_some())).await;
        let found = looked.ok().and_then(|written| written.ok().and_then(|written| find(&written)));
        found.unwrap_or_else(|| {
            let ended = if self.log.borrow().ended { "its log has ended" } else { "still running" };
            panic!("{}: no line with {what} within {deadline:?}, {ended}", self.binary.display())
        })
    }

    /// Where it listens: the line with the message `listening` says so.
    pub async fn address(&self) -> SocketAddr {
        let line = self.wait_for_line("the message `listening`", SOON, |line| line.message() == "listening").await;
        line.field("address").parse().unwrap_or_else(|_| panic!("no address in: {}", line.text))
    }

    /// Waits until a page gives 200. A program that ends instead fails the test at once.
    pub async fn wait_until_ready(&mut self, url: &str) {
        let http = Http::new(url);
        wait_until(&format!("200 from {url}"), SOON, async || {
            if let Some(status) = self.exit_status() {
                panic!("{} ended with {status} before it was ready", self.binary.display());
            }
            match http.request(reqwest::Method::GET, url).try_send().await {
                Ok(reply) if reply.status == 200 => Ok(()),
                Ok(reply) => Err(format!("status {}", reply.status)),
                Err(error) => Err(error),
            }
        })
        .await;
    }

    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its state")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // An id that was waited for may belong to somebody else by now.
        if self.child.id().is_some() {
            kill(self.pid, signal).unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.pid));
        }
    }

    /// Kills it as a power cut would, and waits until it is gone.
    pub async fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.wait(SOON).await
    }

    /// Asks it to stop, and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(SOON).await
    }

    /// Waits until it ends by itself.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let ended = timeout(deadline, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{} did not end within {deadline:?}", self.binary.display()));
        ended.expect("its state")
    }

    async fn finished_text(&self, pipe: &watch::Receiver<Written>) -> String {
        let mut pipe = pipe.clone();
        let ended = timeout(SOON, pipe.wait_for(|written| written.ended)).await;
        match ended {
            Ok(Ok(written)) => written.text(),
            _ => panic!("a child of {} keeps its output open", self.binary.display()),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the log of {}:\n{}---", self.binary.display(), self.log.borrow().text());
        }
    }
}

#[cfg(test)]
mod tests;
