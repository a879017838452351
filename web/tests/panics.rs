//! A panic of the real program.

use clap::CommandFactory;
use testkit::{Launch, assert_every_command_panics_in_one_line};
use wardpost_web::commands::Arguments;

#[tokio::test]
async fn a_panic_of_any_command_leaves_one_line_without_content_and_no_core() {
    let secret = "0123456789abcdef".repeat(4);
    let web = Launch::new(env!("CARGO_BIN_EXE_web"))
        .env("WARDPOST_PUBLIC_URL", "https://messages.clinic.example")
        .env("WARDPOST_STAFF_DOMAINS", "clinic.example")
        .env("WARDPOST_LISTEN", "127.0.0.1:0")
        .env("WARDPOST_DB", "/nonexistent/wardpost.db");
    let names = ["GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "APP_SECRET", "DB_ENCRYPTION_KEY"];
    let web = names.into_iter().fold(web, |web, name| web.secret(name, &secret));
    assert_every_command_panics_in_one_line(web, Arguments::command()).await;
}
