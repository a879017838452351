//! The Wardpost database: its schema, its encryption, its transactions and its audit chain. All SQL lives here.
//!
//! A [`Store`] is one encrypted SQLite file. One writer thread commits what waits together and acknowledges only what
//! is on the disk; a few read-only connections serve reads beside it; other processes may do the same with the same
//! file at the same time. The functions are async, take and give domain types, and name what they do. Nothing of SQLite
//! shows in them: another database can stand behind them later.
//!
//! Every change and every look at a message's text goes with its audit row in the same transaction ([`Action`] lists
//! them all), and every row carries a hash of itself and the row before it ([`chain_hash`]). [`Store::verify_chain`]
//! finds what was altered.

mod audit;
mod audit_query;
pub mod backup;
mod backup_record;
mod chain;
mod chain_hash;
mod checkpointer;
mod connection;
mod draft;
mod emergency;
mod error;
mod failed_sign_ins;
mod id;
mod inbox;
mod key;
mod list_shown;
mod log_keeper;
mod message;
mod opening;
mod person;
mod personal;
mod random;
mod readers;
pub mod rekey;
mod restore_record;
mod schema;
mod session;
mod session_list;
mod shipping;
mod sign_in;
mod store;
mod text;
mod time;
mod token;
mod vitals;
mod who;
mod writer;
mod writer_meter;

#[cfg(test)]
mod testing;

pub use audit::Action;
pub use audit_query::{AuditFilter, AuditPage, AuditRow, ExportFormat};
pub use backup_record::{BackupContent, BackupEvent, BackupRecord, RecordedBackup};
pub use chain::{ChainFault, ChainVerdict};
pub use chain_hash::{ChainPosition, Hash, HashedFields, chain_hash, genesis_hash};
pub use draft::{Draft, DraftSaved, DraftVersion, Seen};
pub use emergency::{
    EmergencyAlarm, EmergencyCode, EmergencyGrant, EmergencyRequest, EmergencyUse, GrantState, Granted,
    LONGEST_MINUTES, LONGEST_REASON,
};
pub use error::{OpenError, Source, StoreError};
pub use failed_sign_ins::client_network;
pub use id::{AuditId, EmergencyGrantId, InvalidId, MessageId, PersonId, SessionId};
pub use inbox::{ListQuery, ListState, MessageChange, MessageEvent, MessageList, MessageSummary, SummaryContent};
pub use key::{DatabaseKey, KeyError};
pub use message::{Deletion, Message, NewMessage, Opened, Sent};
pub use person::{Author, Identity, Person, StaffChange};
pub use personal::Personal;
pub use restore_record::{GivenUp, RecordedHead, Restoration, RestoreDetails, RestoreRecord};
pub use schema::IfMissing;
pub use session::{Actor, Client, EndReason, Session, SessionLimits, SessionState};
pub use session_list::{ENDED_SESSION_KEPT, EndedOne, OwnSession};
pub use shipping::{AuditCopy, AuditEvent, Quarantined, ShippingState};
pub use sign_in::{RefusedSignIn, SignIn, UnprovenSignIns};
pub use store::Store;
pub use text::{Body, BodyError, IdempotencyKey, Subject, SubjectError, is_visible};
pub use time::Timestamp;
pub use token::SessionToken;
pub use vitals::{FileSizes, Vitals};
pub use who::{People, PersonFault};
pub use writer_meter::{Distribution, WriterNumbers};
