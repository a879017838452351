//! What a job of the writer writes with, in the transaction around it.

use std::cell::Cell;

use rusqlite::Connection;

use crate::types::{AuditId, ChainPosition, Environment, Random, StoreError};

/// What of a job's doing must leave the write-ahead log, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Erased {
    /// Nothing.
    Nothing,
    /// Text that was given up or replaced: when the database is at rest.
    AtRest,
    /// Text that somebody deleted: as soon as nobody reads it.
    Now,
}

/// What a job writes with: the connection inside its transaction, and the end of the audit chain.
pub(crate) struct Write<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) head: ChainPosition,
    /// What has been erased so far; see [`Write::erased`].
    pub(crate) erased: Erased,
    /// Whether the last write failed for want of room.
    pub(crate) was_full: bool,
    /// Whether the job has changed duties or urgent messages.
    pub(crate) duties_changed: Cell<bool>,
    environment: &'c Environment,
}

impl<'c> Write<'c> {
    pub(crate) fn new(connection: &'c Connection, head: ChainPosition, environment: &'c Environment) -> Self {
        Write {
            connection,
            head,
            erased: Erased::Nothing,
            was_full: false,
            duties_changed: Cell::new(false),
            environment,
        }
    }

    /// For tokens and salts.
    pub(crate) fn random(&self) -> &'c dyn Random {
        &*self.environment.random
    }

    /// To be called by a job that has erased text.
    pub(crate) fn erased(&mut self, erased: Erased) {
        self.erased = self.erased.max(erased);
    }

    /// Writes down where the chain ends.
    pub(crate) fn store_head(&self) -> Result<(), StoreError> {
        let mut update = self.connection.prepare_cached("UPDATE audit_head SET id = ?1, hash = ?2")?;
        update.execute((self.head.id, self.head.hash))?;
        Ok(())
    }
}

/// Where the audit log ends, as last written down.
pub(crate) fn read_head(connection: &Connection) -> Result<ChainPosition, StoreError> {
    let mut select = connection.prepare_cached("SELECT id, hash FROM audit_head")?;
    Ok(select.query_row((), |row| {
        let id = row.get::<_, i64>(0)?;
        let hash = row.get(1)?;
        Ok(ChainPosition { id: AuditId::new(id).unwrap_or(AuditId::ZERO), hash })
    })?)
}
