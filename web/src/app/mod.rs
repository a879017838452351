//! What every feature stands on.
//!
//! A request is answered by [`answer`], which finds its row of the table; [`row`] holds it against the limits, reads its form
//! ([`body`]), lets it in ([`access`]) and calls the handler. A refusal is a value until [`errors`] renders it.

pub mod access;
pub mod answer;
pub mod assets;
pub mod body;
pub mod body_memory;
pub mod duty_overview;
pub mod errors;
pub mod frame;
pub mod host;
pub mod limited;
pub mod pages;
pub mod request;
pub mod return_paths;
pub mod row;
pub mod session_end;
pub mod site;
