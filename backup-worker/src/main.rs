//! The `backup-worker` program: see the library beside it.

use backup_worker::commands;
use process::aws;
use process::program::{self, Exit, Origin, Program, Runtime};

fn main() -> Exit {
    let backup_worker = Program {
        name: "backup-worker",
        settings: Origin::EnvFile,
        // One thread waits for network and clock; pages and files have threads of their own. What was broken off may still
        // be at work on a file that is gone; nobody waits for it.
        runtime: Runtime::OneThreadLeavingWork,
        // The scheduler tells of its own insides; WARDPOST_LOG can still ask for it.
        log_filter: |filter| aws::quiet_filter(&format!("tokio_cron_scheduler=warn,{filter}")),
    };
    program::run(backup_worker, commands::run)
}
