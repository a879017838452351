//! What HTTP brings and takes, as values: nothing here knows the site.

pub mod cookies;
pub mod error;
pub mod form;
pub mod public_url;
pub mod reply;
pub(crate) mod request_id;
pub(crate) mod security_headers;
