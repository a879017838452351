//! The engine: one encrypted SQLite file, its connections, its one writer, its write-ahead log, its schema, its copies.
//! It uses [`types`](crate::types) alone; what the ledger has to say of a file is handed in by the caller.

pub(crate) mod backup;
mod checkpointer;
mod columns;
pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod files;
mod jobs;
pub(crate) mod opening;
pub(crate) mod readers;
pub(crate) mod rekey;
pub(crate) mod schema;
mod wal_manager;
pub(crate) mod write;
pub(crate) mod writer;
pub(crate) mod writer_meter;
