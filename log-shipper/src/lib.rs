//! `log-shipper`: every audit row copied off the machine, or accounted for.
//!
//! [`shipper`] takes one step at a time: rows after the cursor become [`event`]s, are planned into [`batch`]es and sent to a
//! [`sink`]; the cursor, a row of the database, moves past what was accepted. [`service`] is the loop around it; `verify` reads
//! the copy back, every stream of it, and compares it with the local chain ([`comparison`], [`lineage`]); [`journal`] ships the
//! programs' log lines, in a task of its own.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod about;
mod alarms;
pub mod batch;
pub mod bound;
pub mod commands;
pub mod comparison;
pub mod config;
pub mod event;
pub mod journal;
pub mod lineage;
mod log_throttle;
mod outage;
pub mod recorded;
pub mod report;
pub mod rows;
pub mod scope;
pub mod service;
pub mod shipper;
pub mod sink;
pub mod stream_rows;
