//! The `backup-worker` program: see the library beside it.

use std::process::ExitCode;

use backup_worker::commands::{self, Arguments};
use clap::Parser;
use clap::error::ErrorKind;
use process::Exit;
use process::console::complain;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Standard output or error may be closed; there is nowhere else to say it.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done.into(),
                _ => Exit::Usage.into(),
            };
        }
    };
    // One thread waits for network and clock; pages and files have threads of their own.
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(commands::run(arguments));
            // What was broken off may still be at work on a file that is gone; nobody waits for it.
            runtime.shutdown_background();
            exit.into()
        }
        Err(error) => {
            complain(&format!("backup-worker: the runtime cannot start: {error}"));
            Exit::Failed.into()
        }
    }
}
