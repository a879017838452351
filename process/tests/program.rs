//! A whole program on this crate, run as a child: its log, its word to the supervisor, and its exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::IsTerminal;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use wardpost_process::{Exit, logs, ready};

/// Makes `the_program` act, where `--ignored` alone would not: it is no test by itself.
const ACT: &str = "PROCESS_TEST_ACT";

/// Runs `the_program` of this very test binary.
fn run(filter: &str, configure: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "the_program", "--nocapture"])
        .env_clear()
        .env(ACT, filter)
        .stdin(Stdio::null());
    configure(&mut command);
    command.output().unwrap()
}

#[test]
#[ignore = "the child process of the other tests here"]
fn the_program() {
    let Ok(filter) = std::env::var(ACT) else {
        return;
    };
    assert!(!std::io::stderr().is_terminal());
    if let Err(error) = logs::start("tester", &filter) {
        assert!(error.to_string().contains("neither a level"));
        std::process::exit(Exit::Configuration.code().into());
    }
    assert!(logs::start("tester", &filter).is_err(), "a second start is refused");
    ready::notify_ready();
    ready::notify_status("two\nlines");
    ready::notify_stopping();
    tracing::info!(answer = 42, "hello");
    let thread = std::thread::Builder::new().name("worker".into()).spawn(move || panic!("hush {filter}")).unwrap();
    assert!(thread.join().is_err());
    std::process::exit(Exit::Unavailable.code().into());
}

#[test]
fn its_log_is_json_its_supervisor_hears_it_and_its_exit_code_is_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let output = run("info", |command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{stderr}");

    let lines: Vec<serde_json::Value> =
        stderr.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect();
    let seen: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(seen, ["hello", "panic"]);
    assert_eq!((&lines[0]["program"], &lines[0]["answer"]), (&"tester".into(), &42.into()));
    assert_eq!(lines[1]["thread"], "worker");
    assert!(!stderr.contains("hush"), "{stderr}");

    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let heard = || {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!([heard(), heard(), heard()], ["READY=1", "STATUS=two lines", "STOPPING=1"]);
}

#[test]
fn a_supervisor_that_cannot_be_told_is_a_warning_and_no_supervisor_is_none() {
    for (socket, warnings) in [("/nonexistent/notify", 3), ("", 0)] {
        let output = run("warn", |command| {
            command.env("NOTIFY_SOCKET", socket);
        });
        let stderr = String::from_utf8(output.stderr).unwrap();
        let found = stderr.lines().filter(|line| line.contains("could not be told")).count();
        assert_eq!(found, warnings, "{socket:?}: {stderr}");
    }
}

#[test]
fn a_filter_with_a_slip_stops_it() {
    assert_eq!(run("inof", |_| ()).status.code(), Some(78));
}
