//! The Wardpost site: staff sign in, read, write and delete messages, and read the audit log.
//!
//! [`routes::table`] lists every address. A request comes in through [`server`], is matched by [`route`], let in by
//! [`access`], and answered by a handler with a [`pages`] struct; [`reply`] turns that into bytes, and
//! [`page_error`] does the same for every way to say no.

pub mod access;
pub mod assets;
pub mod audit;
pub mod body;
pub mod client_address;
pub mod commands;
pub mod config;
pub mod cookies;
pub mod emergency;
pub mod form;
pub mod frame;
pub mod health;
pub mod help;
pub mod host;
pub mod limits;
pub mod messages;
pub mod metrics;
pub mod page_error;
pub mod pages;
pub mod repeated;
pub mod reply;
pub mod request;
mod request_id;
pub mod route;
pub mod routes;
mod security_headers;
pub mod server;
pub mod session_time;
pub mod sessions;
pub mod sign_in;
pub mod site;
pub mod wall_clock;
