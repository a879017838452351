//! The `web` program: the site, and the commands an operator uses beside it.

use process::program::{self, Exit, Origin, Program, Runtime};
use wardpost_web::commands;

fn main() -> Exit {
    let web =
        Program { name: "web", settings: Origin::EnvFile, runtime: Runtime::ManyThreads, log_filter: str::to_owned };
    program::run(web, commands::run)
}
