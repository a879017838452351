//! What people and programs do, each act with its audit row in the same transaction, and what they look at. It uses
//! [`ledger`](crate::ledger), [`sqlite`](crate::sqlite) and [`types`](crate::types).

pub(crate) mod audit_view;
pub(crate) mod backup_record;
pub(crate) mod conversation;
pub(crate) mod conversation_list;
pub(crate) mod data_export;
pub(crate) mod done;
pub(crate) mod draft;
pub(crate) mod duty;
pub(crate) mod emergency;
pub(crate) mod failed_sign_ins;
pub(crate) mod inbox;
mod list_shown;
pub(crate) mod message;
pub(crate) mod opening;
pub(crate) mod own_data;
pub(crate) mod person;
pub(crate) mod restore_record;
mod session;
pub(crate) mod session_list;
pub(crate) mod sign_in;
pub(crate) mod team;
pub(crate) mod template;
pub(crate) mod unread;
pub(crate) mod urgent;
