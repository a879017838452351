//! A panic of the real program.

use backup_worker::commands::Arguments;
use clap::CommandFactory;
use testkit::{Launch, assert_every_command_panics_in_one_line};

#[tokio::test]
async fn a_panic_of_any_command_leaves_one_line_without_content_and_no_core() {
    let backup_worker = Launch::new(env!("CARGO_BIN_EXE_backup-worker"))
        .secret("DB_ENCRYPTION_KEY", &"0123456789abcdef".repeat(4))
        .env("WARDPOST_DB", "/nonexistent/wardpost.db")
        .env("WARDPOST_BACKUP_TARGET", "file:///nonexistent/");
    assert_every_command_panics_in_one_line(backup_worker, Arguments::command()).await;
}
