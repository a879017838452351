//! Clients that keep the site waiting, each kind by itself.

mod clients;
mod connections;
mod form_memory;
mod slow_readers;
