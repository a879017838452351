//! The steps of urgent messages, through 30 kills at random instants. A thousand: `cargo run --bin urgent_kills -- --kills 1000`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::process::Command;

#[test]
fn no_kill_loses_or_doubles_a_step() {
    let done = Command::new(env!("CARGO_BIN_EXE_urgent_kills")).args(["--kills", "30"]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("30 kills: "), "{said}");
}
