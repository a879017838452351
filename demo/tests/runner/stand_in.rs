//! What the runner starts in place of `web`: this very test program, which turns into a server when it is told to.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

/// What its log says once it has told that it is ready.
pub(crate) const READY: &str = "told to be ready";

/// The test that is the stand-in. Run as an ordinary test it has nothing to do.
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
            // Whoever listens to a signal no longer dies of it, for the rest of the process's life.
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
