//! The `secrets-init` program: see the library beside it.

use process::aws;
use process::program::{self, Exit, Origin, Program, Runtime};

fn main() -> Exit {
    let secrets_init = Program {
        name: "secrets-init",
        // The env file is what this program makes.
        settings: Origin::Environment,
        runtime: Runtime::OneThread,
        log_filter: aws::quiet_filter,
    };
    program::run(secrets_init, secrets_init::run)
}
