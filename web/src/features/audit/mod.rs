//! The audit log for every member: the page, its export, and how far its chain verifies.

pub mod chain_watch;
mod code_label;
pub mod export;
pub mod filter;
pub mod label;
pub mod page;
pub mod pages;
pub mod sentence;
mod spreadsheet;
