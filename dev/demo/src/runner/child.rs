//! One running program: started with its output in a log, asked whether it is ready, stopped with a grace period.

use std::fs::File;
use std::future::{Future as _, poll_fn};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::error::DemoError;
use super::folder::Folder;
use super::programs::Environment;

/// How much of a log is shown when a program ends by itself.
const TAIL_LINES: usize = 12;
const TAIL_BYTES: i64 = 8 * 1024;

/// How long one question about readiness may take, and the pause before the next.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);
const PROBE_PAUSE: Duration = Duration::from_millis(50);

/// A program that was started. Dropping it kills it.
pub(crate) struct Running {
    pub(crate) name: &'static str,
    pub(crate) binary: PathBuf,
    pub(crate) log: PathBuf,
    child: Child,
}

impl Running {
    /// Starts the program beside the demo's own executable.
    pub(crate) fn start(name: &'static str, environment: Environment, folder: &Folder) -> Result<Running, DemoError> {
        let own = std::env::current_exe().map_err(DemoError::file("find the folder of", "the demo's executable"))?;
        let binary = own.with_file_name(name);
        if !binary.is_file() {
            return Err(DemoError::NotBuilt { name, path: binary });
        }
        let (log, file) = folder.new_log(name)?;
        let errors = file.try_clone().map_err(DemoError::file("share", &log))?;
        let child = Command::new(&binary)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            // A Ctrl-C on the terminal reaches the demo alone, which then stops the programs in its own way.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(DemoError::file("start", &binary))?;
        Ok(Running { name, binary, log, child })
    }

    /// The process id, until the program has ended.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it has done what it is there for.
    pub(crate) async fn succeed(mut self) -> Result<(), DemoError> {
        match self.child.wait().await {
            Ok(status) if status.success() => Ok(()),
            status => Err(DemoError::Failed { name: self.name, status: status_text(status), tail: tail(&self.log) }),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended a moment ago, which is what was wanted.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    pub(crate) fn ended(&self, status: io::Result<ExitStatus>) -> DemoError {
        DemoError::Ended { name: self.name, status: status_text(status), tail: tail(&self.log) }
    }
}

fn status_text(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// Waits until one of the programs ends, and says which. Can be cancelled without loss.
pub(crate) async fn first_to_end(programs: &mut [Running]) -> (usize, io::Result<ExitStatus>) {
    let mut ends: Vec<_> = programs.iter_mut().map(|program| Box::pin(program.child.wait())).collect();
    poll_fn(|context| {
        for (index, end) in ends.iter_mut().enumerate() {
            if let Poll::Ready(status) = end.as_mut().poll(context) {
                return Poll::Ready((index, status));
            }
        }
        Poll::Pending
    })
    .await
}

/// Asks all programs to end, and waits until they have.
pub(crate) async fn terminate(programs: &mut [Running]) {
    for program in programs.iter() {
        program.signal(Signal::SIGTERM);
    }
    for program in programs {
        // An error here means that there is no such child any more.
        let _ = program.child.wait().await;
    }
}

/// Ends those that are left at once. Gives their names.
pub(crate) async fn kill_the_rest(programs: &mut [Running]) -> Vec<&'static str> {
    let mut killed = Vec::new();
    for program in programs {
        if matches!(program.child.try_wait(), Ok(None)) {
            let _ = program.child.kill().await;
            killed.push(program.name);
        }
    }
    killed
}

/// Waits until `GET /readyz` is 200. `seen` is told what every attempt before that came to.
pub(crate) async fn until_ready(address: SocketAddr, mut seen: impl FnMut(String)) {
    loop {
        match tokio::time::timeout(PROBE_DEADLINE, probe(address)).await {
            Ok(Ok(StatusCode::OK)) => return,
            Ok(Ok(status)) => seen(format!("/readyz answers {status}")),
            Ok(Err(error)) => seen(format!("/readyz cannot be asked: {error}")),
            Err(_) => seen("/readyz does not answer".to_owned()),
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

async fn probe(address: SocketAddr) -> io::Result<StatusCode> {
    let stream = TcpStream::connect(address).await?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    let request = Request::get("/readyz").header(HOST, address.to_string()).body(Empty::<Bytes>::new());
    let request = request.map_err(io::Error::other)?;
    let ask = async move {
        let response = sender.send_request(request).await;
        response.map(|response| response.status())
        // The sender goes here, and with it the connection.
    };
    let (status, _) = tokio::join!(ask, connection);
    status.map_err(io::Error::other)
}

/// The last lines of a log, introduced.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
        file.seek(SeekFrom::End(-length.min(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return format!("Its log, {}, is empty", log.display());
    }
    let last = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    format!("The end of its log, {}:\n  {}", log.display(), last.join("\n  "))
}
