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
//!
//! Each of these uses only those below it: `acts`, `ledger`, `store`, `sqlite`, `types`. [`Store`] is the handle to which
//! `ledger` and `acts` give its methods; `open`, [`backup`], [`rekey`] and `statistics` stand above and put all together.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod acts;
pub mod backup;
mod ledger;
mod open;
pub mod rekey;
mod sqlite;
mod statistics;
mod store;
mod types;

#[cfg(test)]
mod testing;

pub use acts::audit_view::{AuditPage, ExportFormat};
pub use acts::backup_record::{BackupContent, BackupEvent, BackupRecord, RecordedBackup};
pub use acts::conversation::{Conversation, ConversationMessage, MessageContent, NewFrom, NewReply, Position};
pub use acts::conversation_list::{ConversationList, ConversationSummary, Done, ListQuery, Neighbours, Show};
pub use acts::data_export::{DATA_EXPORT_PERIOD, DATA_EXPORTS, DataExport};
pub use acts::done::DoneChange;
pub use acts::draft::version::{DraftVersion, Seen};
pub use acts::draft::{Draft, DraftSaved};
pub use acts::duty::{AddressError, DutyChange, DutyEnd, DutyView, OwnDuties, Reach, UrgentAnswer};
pub use acts::emergency::{
    EmergencyAlarm, EmergencyCode, EmergencyGrant, EmergencyRequest, EmergencyUse, GrantState, Granted,
    LONGEST_MINUTES, LONGEST_REASON,
};
pub use acts::inbox::{ListState, MessageChange, MessageEvent, MessageSummary, SummaryContent};
pub use acts::message::{Deletion, NewMessage, Sent};
pub use acts::opening::Reader;
pub use acts::own_data::messages::{Opening, OpeningKey, OwnMessage};
pub use acts::own_data::{OwnAccount, OwnDataCounts, OwnTeam, PastSession};
pub use acts::person::StaffChange;
pub use acts::restore_record::{GivenUp, RecordedHead, Restoration, RestoreDetails, RestoreRecord};
pub use acts::session_list::{ENDED_SESSION_KEPT, EndedOne, OwnSession};
pub use acts::sign_in::SignIn;
pub use acts::sign_in::refused::{RefusedSignIn, UnprovenSignIns};
pub use acts::team::{FormerMember, MAX_TEAMS, Team, TeamChange, TeamMember, TeamNamed};
pub use acts::template::draft::{TemplateDraft, TemplateDraftSaved, TemplateTexts};
pub use acts::template::{FilledRow, MAX_TEMPLATES, RowsSent, Template, TemplateChange};
pub use acts::unread::{KnownMarks, MarkedUnread, ReaderMark, ReaderMarks, UnreadCount};
pub use acts::urgent::{StepDone, UrgentMessage, UrgentState};
pub use ledger::audit_event::AuditEvent;
pub use ledger::chain::ChainVerdict;
pub use ledger::chain_hash::{HashedFields, chain_hash, genesis_hash};
pub use ledger::personal::Personal;
pub use ledger::query::{AuditFilter, AuditRow};
pub use ledger::shipping::{AuditCopy, Quarantined, ShippingState};
pub use ledger::who::People;
pub use sqlite::files::{Room, Sizes};
pub use sqlite::schema::IfMissing;
pub use sqlite::writer_meter::{Distribution, WriterNumbers};
pub use statistics::Statistics;
pub use store::Store;
pub use types::{
    Action, Actor, Addressed, AuditId, Author, Body, BodyError, ChainError, ChainPosition, Client, Clock, DatabaseKey,
    Duty, DutyAct, EmergencyGrantId, EndReason, Environment, HandedOn, Hash, IdempotencyKey, Identity, InvalidId,
    KeyError, Location, MessageId, NextStep, OpenError, Person, PersonError, PersonId, Random, Session, SessionId,
    SessionLimits, SessionState, SessionToken, Source, Step, StepKind, StoreError, Subject, SubjectError, SystemClock,
    SystemRandom, TeamId, TeamName, TeamNameError, TemplateId, TemplateName, TemplateNameError, TemplateRow,
    TemplateRows, TemplateRowsError, Timestamp, Urgent, UrgentPolicy, client_network, is_visible,
};
