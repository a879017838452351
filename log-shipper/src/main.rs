//! The `log-shipper` program: see the library beside it.

use log_shipper::commands;
use process::aws;
use process::program::{self, Exit, Origin, Program, Runtime};

fn main() -> Exit {
    let log_shipper = Program {
        name: "log-shipper",
        settings: Origin::EnvFile,
        // One thread moves the rows; the database and the files have threads of their own.
        runtime: Runtime::OneThread,
        log_filter: aws::quiet_filter,
    };
    program::run(log_shipper, commands::run)
}
