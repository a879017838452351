//! The `web` program: the site, and the commands an operator uses beside it.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use process::Exit;
use wardpost_web::commands::{self, Arguments};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
                _ => Exit::Usage.into(),
            };
        }
    };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(commands::run(arguments)).into(),
        Err(error) => {
            commands::complain(&format!("web: the runtime cannot start: {error}"));
            Exit::Failed.into()
        }
    }
}
