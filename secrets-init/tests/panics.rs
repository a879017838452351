//! A panic of the real program.

use clap::CommandFactory;
use secrets_init::Arguments;
use testkit::{Launch, assert_every_command_panics_in_one_line};

#[tokio::test]
async fn a_panic_of_any_command_leaves_one_line_without_content_and_no_core() {
    let secrets_init = Launch::new(env!("CARGO_BIN_EXE_secrets-init"))
        .env("WARDPOST_SECRET", "file:///nonexistent/secret.json")
        .env("WARDPOST_ROLE_SECRETS_INIT", "arn:aws:iam::123456789012:role/wardpost-secrets-init");
    assert_every_command_panics_in_one_line(secrets_init, Arguments::command()).await;
}
