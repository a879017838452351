//! For tests only: temporary stores, programs run as children, a browser without a window, and waiting for things.
//!
//! What a test cannot get makes it fail: everything here panics, and says what was wanted and what was seen instead.
//! Nothing here sleeps for a fixed time or takes a fixed port, so that tests may run side by side on a slow machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod clock;
mod corpus;
mod http;
mod jar;
mod panics;
mod program;
mod temporary_store;
mod wait;

pub use clock::MovableClock;
pub use corpus::{Input, corpus};
pub use http::{EventStream, Http, Reply, Request};
pub use panics::assert_every_command_panics_in_one_line;
pub use program::{Finished, Launch, LogLine, Program};
pub use temporary_store::{Member, TemporaryStore, member};
pub use wait::{SOON, wait_until};
