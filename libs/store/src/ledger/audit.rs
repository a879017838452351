//! An audit event: what can be recorded, and how it is appended to the chain.
//!
//! Rows are written only here, by a job of the writer, in the same transaction as the change they record.
//!
//! What `details` may hold: ids, reasons, filters. Never the name or e-mail address of anybody, which stand beside the
//! log and can be erased ([`personal`](crate::ledger::personal)); in rows from before schema 6 they stand in the
//! details. Never a message's subject or body: this log can never be changed and is shipped off the machine, while a
//! deleted subject has to be gone, and a subject can name a patient. A MESSAGE_CREATE row carries a salted fingerprint
//! instead, which proves the text as long as the message is there, and nothing once its salt is gone.

use std::net::IpAddr;

use rusqlite::Connection;
use serde_json::Value;

use crate::ledger::chain_hash::{HashedFields, chain_hash, genesis_hash};
use crate::sqlite::write::Write;
use crate::types::{
    Action, AuditId, ChainPosition, Environment, MessageId, PersonId, StoreError, Timestamp, random_bytes,
};

/// A row that is about to be appended.
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) person: Option<PersonId>,
    pub(crate) action: Action,
    pub(crate) message: Option<MessageId>,
    /// A JSON object; the message's id is put into it here, since only details are shipped.
    pub(crate) details: Value,
    pub(crate) ip: Option<IpAddr>,
}

impl Write<'_> {
    /// Appends a row to the log. It counts once the job's transaction is committed.
    pub(crate) fn append(&mut self, entry: Entry) -> Result<AuditId, StoreError> {
        if entry.message.is_some() != entry.action.concerns_message() {
            return Err(StoreError::internal("an audit row names a message that its action does not concern, or none"));
        }
        let mut details = entry.details;
        if let (Some(message), Value::Object(fields)) = (entry.message, &mut details) {
            fields.insert("message_id".into(), message.get().into());
        }
        let (details, at) = (details.to_string(), entry.at.to_rfc3339());
        let ip = entry.ip.map(|ip| ip.to_canonical().to_string());
        let id = self.head.id.next();
        let fields = HashedFields {
            id,
            at: &at,
            person: entry.person,
            action: entry.action.as_str(),
            details: &details,
            ip: ip.as_deref(),
        };
        let hash = chain_hash(&self.head.hash, &fields);
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO audit_log (id, at, person_id, action, message_id, details, ip, previous_hash, hash) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        insert.execute((
            id,
            entry.at,
            entry.person,
            entry.action.as_str(),
            entry.message,
            &details,
            &ip,
            self.head.hash,
            hash,
        ))?;
        self.head = ChainPosition { id, hash };
        Ok(id)
    }
}

/// Names the database and writes the first row of its chain.
pub(crate) fn begin_chain(connection: &Connection, schema: i64, environment: &Environment) -> Result<(), StoreError> {
    let database_id = hex::encode(random_bytes::<16>(&*environment.random));
    connection.execute("INSERT INTO meta (name, value) VALUES ('database_id', ?1)", [&database_id])?;
    let genesis = ChainPosition { id: AuditId::ZERO, hash: genesis_hash(&database_id) };
    connection.execute("INSERT INTO audit_head (only_one, id, hash) VALUES (1, 0, ?1)", [genesis.hash])?;
    let mut write = Write::new(connection, genesis, environment);
    write.append(Entry {
        at: environment.clock.now(),
        person: None,
        action: Action::DatabaseCreated,
        message: None,
        details: serde_json::json!({ "database": database_id, "schema": schema }),
        ip: None,
    })?;
    write.store_head()
}
