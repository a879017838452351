//! Clients that keep the site waiting, each kind by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod clients;
mod connections;
mod form_memory;
mod slow_readers;
#[path = "../support/mod.rs"]
mod support;
