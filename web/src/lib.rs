//! The Wardpost site: staff sign in, read, write and delete messages, and read the audit log.
//!
//! Each layer uses those below it and none above:
//!
//! 1. [`commands`]: the command line; `commands/serve.rs` is the story of a start and a stop. [`config`], [`exporter`], [`whole_site`].
//! 2. [`table`]: every address of the site, and who may use it.
//! 3. [`features`]: what staff do here, a folder each: handlers, pages, templates, and the state that is the feature's own.
//! 4. [`app`]: what every feature stands on: the site, a request, who may come in, how a page or a refusal is rendered.
//! 5. [`http`], [`limits`], [`metrics`], [`log_throttle`], [`wall_clock`]: values and mechanisms that know nothing of the site.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod app;
pub mod commands;
pub mod config;
pub mod exporter;
pub mod features;
pub mod http;
pub mod limits;
pub mod metrics;
#[cfg(test)]
mod page_samples;
pub mod table;
pub mod wall_clock;
pub mod whole_site;

pub use process::log_throttle;
