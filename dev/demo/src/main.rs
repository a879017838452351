//! `make demo`: the programs for real on one machine, with an OpenID provider beside them, and nothing else to set up.
//!
//! The story is in `runner/mod.rs`; which programs there are, and what each is told, is the table in `runner/programs.rs`.

mod runner;

use process::Exit;

fn main() -> Exit {
    let arguments = match runner::Arguments::read() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(runner::run(&arguments)),
        Err(error) => {
            runner::print_err(&format!("cannot start: {error}"));
            Exit::Failed
        }
    }
}
