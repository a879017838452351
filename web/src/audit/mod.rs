//! The audit log for every member: the page, its export, and how far its chain verifies.

pub mod chain_watch;
pub mod export;
pub mod filter;
pub mod page;
mod spreadsheet;
pub mod words;
