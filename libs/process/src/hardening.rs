//! Keeping what is in memory out of files. A core dump of a program that is showing messages is a file of messages in
//! clear, and the environment of a process is readable by others of its user; both are switched off at start.

use std::io;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// Makes a crash leave no core file, not even through a dump handler of the system, and keeps other processes of the same
/// user from reading this one's memory. [`crate::program::run`] calls it before anything else.
pub fn no_core_dumps() -> io::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    // A limit of zero does not hold for a handler that core_pattern pipes to; this does.
    prctl::set_dumpable(false)?;
    Ok(())
}
