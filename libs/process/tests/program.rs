//! A whole program on this crate, run as a child: its log, its word to the supervisor, and its exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use clap::Parser;
use wardpost_process::program::{self, Origin, Runtime};
use wardpost_process::{Exit, Program, ready};

/// Makes `the_program` act, where `--ignored` alone would not: it is no test by itself.
const ACT: &str = "PROCESS_TEST_ACT";

/// What the test harness is told, which is the command line of the program too.
#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    ignored: bool,
    #[arg(long)]
    exact: bool,
    #[arg(long)]
    nocapture: bool,
    test: String,
}

/// Runs `the_program` of this very test binary.
fn run(act: &str, filter: &str, configure: impl FnOnce(&mut Command)) -> Output {
    run_with_env_file(act, Some(filter), "", configure)
}

/// `filter` is what the environment says of WARDPOST_LOG, `text` what stands in the env file.
fn run_with_env_file(act: &str, filter: Option<&str>, text: &str, configure: impl FnOnce(&mut Command)) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let env_file = folder.path().join("env");
    fs::write(&env_file, text).unwrap();
    fs::set_permissions(&env_file, Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "the_program", "--nocapture"])
        .env_clear()
        .env(ACT, act)
        .envs(filter.map(|filter| ("WARDPOST_LOG", filter)))
        .env("WARDPOST_ENV_FILE", env_file)
        .stdin(Stdio::null());
    configure(&mut command);
    command.output().unwrap()
}

#[test]
#[ignore = "the child process of the other tests here"]
fn the_program() {
    let Ok(act) = std::env::var(ACT) else {
        return;
    };
    let tester = Program {
        name: "tester",
        settings: Origin::EnvFile,
        runtime: Runtime::OneThread,
        log_filter: |filter| format!("{filter},quiet=off"),
    };
    let exit = program::run(tester, |arguments: Arguments, started| {
        assert!(arguments.ignored && arguments.exact && arguments.nocapture && arguments.test == "the_program");
        tracing::debug!("before the settings");
        started.run(
            |settings| settings.finish(|| Some(())),
            async |()| match act.as_str() {
                "speak" => speak(),
                words => panic!("hush {words}"),
            },
        )
    });
    std::process::exit(exit.code().into());
}

fn speak() -> Exit {
    ready::notify_ready();
    ready::notify_status("two\nlines");
    ready::notify_stopping();
    tracing::info!(answer = 42, "hello");
    tracing::debug!("details");
    tracing::error!(target: "quiet::inside", "not for us");
    let words = "hush".to_owned();
    let thread = std::thread::Builder::new().name("worker".into()).spawn(move || panic!("{words}")).unwrap();
    assert!(thread.join().is_err());
    Exit::Unavailable
}

/// What was logged.
fn messages(output: &Output) -> Vec<String> {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    let line = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    stderr.lines().map(line).map(|line: serde_json::Value| line["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn its_log_is_json_its_supervisor_hears_it_and_its_exit_code_is_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let output = run("speak", "info", |command| {
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
        let output = run("speak", "warn", |command| {
            command.env("NOTIFY_SOCKET", socket);
        });
        let stderr = String::from_utf8(output.stderr).unwrap();
        let found = stderr.lines().filter(|line| line.contains("could not be told")).count();
        assert_eq!(found, warnings, "{socket:?}: {stderr}");
    }
}

#[test]
fn a_filter_with_a_slip_stops_it_together_with_all_other_faults() {
    let output = run("speak", "inof", |command| {
        command.env("WARDPOST_LITSEN", "x");
    });
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    assert!(
        stderr.contains("WARDPOST_LOG: `inof` is neither a level") && stderr.contains("WARDPOST_LITSEN"),
        "{stderr}"
    );
}

#[test]
fn a_filter_of_the_environment_holds_from_the_start_and_one_of_the_env_file_once_it_is_read() {
    let output = run("speak", "debug", |_| ());
    assert_eq!(messages(&output), ["before the settings", "hello", "details", "panic"]);
    let of_the_file = "WARDPOST_LOG=\"debug\"\n";
    let output = run_with_env_file("speak", None, of_the_file, |_| ());
    assert_eq!(messages(&output), ["hello", "details", "panic"]);
    let output = run_with_env_file("speak", Some("info"), of_the_file, |_| ());
    assert_eq!(messages(&output), ["hello", "panic"]);
}

#[test]
fn a_panic_ends_it_with_one_line_that_quotes_nothing_whatever_is_logged() {
    let output = run("words", "info", |_| ());
    assert_eq!((output.status.code(), messages(&output)), (Some(1), vec!["panic".to_owned()]));
    let silent = run("words", "off", |_| ());
    let stderr = String::from_utf8(silent.stderr).unwrap();
    assert_eq!((silent.status.code(), stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.starts_with("tester: panic at libs/process/tests/program.rs:"), "{stderr}");
    assert!(!stderr.contains("hush") && !String::from_utf8_lossy(&output.stderr).contains("hush"), "{stderr}");
}

#[test]
fn a_command_line_that_is_not_understood_ends_it_before_its_settings_are_read() {
    let output = Command::new(std::env::current_exe().unwrap())
        // The harness takes an argument of the form that it knows, and the program does not.
        .args(["--ignored", "--exact", "the_program", "--nocapture", "--test-threads=1"])
        .env_clear()
        .env(ACT, "speak")
        .env("WARDPOST_ENV_FILE", "/nonexistent/env")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{stderr}");
    assert!(!stderr.contains("WARDPOST_ENV_FILE"), "{stderr}");
}
