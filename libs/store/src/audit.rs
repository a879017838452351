//! An audit event: what can be recorded, and how it is appended to the chain.
//!
//! Rows are written only here, by a job of the writer, in the same transaction as the change they record.
//!
//! What `details` may hold: ids, reasons, filters. Never the name or e-mail address of anybody, which stand beside the log
//! and can be erased ([`crate::personal`]); in rows from before schema 6 they stand in the details. Never a message's subject
//! or body: this log can never be changed and is shipped off the machine, while a deleted subject has to be gone, and
//! a subject can name a patient. A MESSAGE_CREATE row carries a salted fingerprint instead, which proves the text as
//! long as the message is there, and nothing once its salt is gone.

use std::net::IpAddr;

use serde_json::Value;

use crate::chain_hash::{ChainPosition, HashedFields, chain_hash};
use crate::error::StoreError;
use crate::id::{AuditId, MessageId, PersonId};
use crate::time::Timestamp;
use crate::writer::Write;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What an audit row records.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Action] = &[$(Action::$name),+];

            /// As it stands in the log.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Action::$name => $text,)+
                }
            }

            /// Reads what [`Action::as_str`] writes.
            pub fn parse(text: &str) -> Option<Action> {
                match text {
                    $($text => Some(Action::$name),)+
                    _ => None,
                }
            }
        }
    };
}

actions! {
    /// The database was made; always the first row.
    DatabaseCreated = "DATABASE_CREATED",
    /// A person signed in.
    Login = "LOGIN",
    /// A verified account was refused.
    LoginDenied = "LOGIN_DENIED",
    /// The provider's answer to a sign-in did not hold.
    LoginFailed = "LOGIN_FAILED",
    /// A person signed out.
    Logout = "LOGOUT",
    /// A session passed its idle or absolute limit.
    SessionExpired = "SESSION_EXPIRED",
    /// A session was ended from outside: the person was disabled, signed in anew in the same browser, or ended it from
    /// another device.
    SessionEnded = "SESSION_ENDED",
    /// Something happened that somebody should look at: too many failed sign-ins, an emergency access.
    SecurityAlert = "SECURITY_ALERT",
    /// The subjects of a list were shown.
    MessageList = "MESSAGE_LIST",
    /// A message was sent.
    MessageCreate = "MESSAGE_CREATE",
    /// A message's text was shown.
    MessageView = "MESSAGE_VIEW",
    /// A message was deleted by its author.
    MessageDelete = "MESSAGE_DELETE",
    /// A half-written message was kept.
    DraftSaved = "DRAFT_SAVED",
    /// A half-written message was thrown away.
    DraftDiscarded = "DRAFT_DISCARDED",
    /// The audit log was looked at.
    AuditView = "AUDIT_VIEW",
    /// The audit log was exported.
    AuditExport = "AUDIT_EXPORT",
    /// A staff member was locked out.
    StaffDisabled = "STAFF_DISABLED",
    /// A staff member was let in again.
    StaffEnabled = "STAFF_ENABLED",
    /// Who a person is, when the log began to vouch for it.
    PersonRecorded = "PERSON_RECORDED",
    /// An operator let a member in without the identity provider.
    EmergencyAccessGranted = "EMERGENCY_ACCESS_GRANTED",
    /// The member came in by it.
    EmergencyAccessUsed = "EMERGENCY_ACCESS_USED",
    /// Its code was used again, or too late, or after it was revoked.
    EmergencyAccessRefused = "EMERGENCY_ACCESS_REFUSED",
    /// It is over.
    EmergencyAccessEnded = "EMERGENCY_ACCESS_ENDED",
    /// A row could not be copied off the machine, and was given up on.
    AuditRowQuarantined = "AUDIT_ROW_QUARANTINED",
    /// A backup was made.
    BackupCreated = "BACKUP_CREATED",
    /// A backup was restored and checked, to prove it.
    BackupVerified = "BACKUP_VERIFIED",
    /// A backup could not be made or proved.
    BackupFailed = "BACKUP_FAILED",
    /// The key that opens the backups was shown to an operator.
    BackupIdentityShown = "BACKUP_IDENTITY_SHOWN",
    /// The database is one that was restored from a backup.
    DatabaseRestored = "DATABASE_RESTORED",
    /// The database was encrypted with another key.
    DatabaseRekeyed = "DATABASE_REKEYED",
}

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

/// At most `max` characters of what came from outside: a row has to fit the services it is shipped to.
pub(crate) fn clip(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_survives_its_name() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(*action));
        }
        assert_eq!(Action::ALL.len(), 30);
        assert_eq!(Action::parse("login"), None);
    }

    #[test]
    fn clipping_keeps_whole_characters() {
        assert_eq!(clip("äöü", 2), "äö");
        assert_eq!(clip("äöü", 3), "äöü");
        assert_eq!(clip("", 3), "");
    }
}
