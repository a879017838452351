//! `log-shipper`: every audit row copied off the machine, or accounted for.
//!
//! [`shipper`] takes one step at a time: rows after the cursor become [`event`]s, are planned into [`batch`]es and sent to a
//! [`sink`]; the cursor, a row of the database, moves past what was accepted. [`run`] is the loop around it; [`verify`] reads
//! the copy back and compares it with the local chain; [`journal`] ships the programs' log lines, in a task of its own.

mod alarms;
pub mod batch;
pub mod commands;
pub mod config;
pub mod event;
pub mod journal;
pub mod run;
pub mod shipper;
pub mod sink;
mod trouble;
pub mod verify;
