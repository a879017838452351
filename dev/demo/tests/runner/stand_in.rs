//! What the runner starts in place of the programs: this very test program, which turns into one when it is told to.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;

/// What its log says once it has told that it is ready.
pub(crate) const READY: &str = "told to be ready";

/// The setting that makes the stand-in for `secrets-init` fail. It begins like one of ours, so that the runner hands it on.
pub(crate) const BROKEN_SECRET: &str = "WARDPOST_TEST_BROKEN_SECRET";

/// The test that is `secrets-init`: JSON in, env file out.
#[test]
fn stand_in_for_secrets_init() {
    let Ok(secret) = std::env::var("WARDPOST_SECRET") else {
        return;
    };
    if std::env::var(BROKEN_SECRET).is_ok() {
        fail();
    }
    let text = fs::read_to_string(secret.strip_prefix("file://").unwrap()).unwrap();
    let values: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    let settings = values.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let text = process::env_file::render(settings).unwrap();
    let path = std::env::var("WARDPOST_ENV_FILE").unwrap();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The test that is `web`. Run as an ordinary test it has nothing to do.
#[test]
fn stand_in_for_web() {
    let Ok(listen) = std::env::var("WARDPOST_LISTEN") else {
        return;
    };
    let behaviour = std::env::var("BEHAVIOUR").unwrap_or_default();
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let mut out = std::io::stdout();
    writeln!(out, "\n{}", serde_json::to_string(&environment).unwrap()).unwrap();
    if behaviour == "fail" {
        fail();
    }
    if behaviour == "stubborn" {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            // A process that listens to a signal no longer dies of it, for the rest of the process's life.
            let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        });
    }
    let mut early_refusals = if behaviour == "late" { 3 } else { 0 };
    let mut was_ready = false;
    for stream in TcpListener::bind(listen).unwrap().incoming() {
        let mut stream = stream.unwrap();
        if was_ready && behaviour == "fail_once_asked" {
            fail();
        }
        let mut first_line = String::new();
        BufReader::new(&stream).read_line(&mut first_line).unwrap();
        let asked = first_line.starts_with("GET /readyz HTTP/1.1");
        let status = match early_refusals {
            0 if asked => "200 OK",
            _ => "503 Service Unavailable",
        };
        if asked && early_refusals == 0 {
            was_ready = true;
            writeln!(out, "{READY}").unwrap();
        }
        early_refusals = i32::max(0, early_refusals - 1);
        let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
}

fn fail() -> ! {
    let _ = writeln!(std::io::stderr(), "the disk is on fire");
    std::process::exit(78)
}
