//! What every Wardpost program needs to be a good service: its settings read and checked as a whole, a log a machine can
//! read, readiness told to systemd, a clean stop, and no core dump with patients' messages in it. [`program::run`] is the
//! life of a program, from its first instruction to its exit code.
//!
//! Nothing here knows a database, a page or a message, so that every program can use it, and the tests of each part
//! need nothing but this crate.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

#[cfg(feature = "aws")]
pub mod aws;
pub mod backoff;
pub mod console;
mod effective;
pub mod env_file;
mod error;
pub mod exit;
pub mod hardening;
pub mod log_throttle;
pub mod logs;
pub mod names;
pub mod open_files;
pub mod program;
pub mod ready;
pub mod sanitize;
pub mod settings;
pub mod shutdown;
mod version;

pub use env_file::EnvFile;
pub use exit::Exit;
pub use names::{KNOWN_NAMES, SECRET_NAMES};
pub use program::{Program, Started};
pub use settings::{ConfigErrors, Effective, Settings, Source, print_effective};
pub use shutdown::{Shutdown, Signal};
pub use version::version;
