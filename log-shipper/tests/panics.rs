//! A panic of the real program.

use clap::CommandFactory;
use log_shipper::commands::Arguments;
use testkit::{Launch, assert_every_command_panics_in_one_line};

#[tokio::test]
async fn a_panic_of_any_command_leaves_one_line_without_content_and_no_core() {
    let log_shipper = Launch::new(env!("CARGO_BIN_EXE_log-shipper"))
        .secret("DB_ENCRYPTION_KEY", &"0123456789abcdef".repeat(4))
        .env("WARDPOST_DB", "/nonexistent/wardpost.db")
        .env("WARDPOST_AUDIT_SINK", "file:///nonexistent/audit.jsonl");
    assert_every_command_panics_in_one_line(log_shipper, Arguments::command()).await;
}
