//! A grant: what is asked for, what comes of it, how far it has come.

use rusqlite::Row;

use super::code::EmergencyCode;
use crate::types::{AuditId, Author, EmergencyGrantId, PersonId, Session, SessionToken, Timestamp};

/// The longest session of a grant, in minutes.
pub const LONGEST_MINUTES: u8 = 60;
/// The longest reason, in characters.
pub const LONGEST_REASON: usize = 300;

/// What an operator asks for.
#[derive(Clone, Debug)]
pub struct EmergencyRequest {
    /// Who is to be let in.
    pub email: String,
    /// Why; at most [`LONGEST_REASON`] characters, without anything about a patient, since the audit log keeps it forever.
    pub reason: String,
    /// How long the session may last: 1 to [`LONGEST_MINUTES`].
    pub minutes: u8,
    /// Who gives it.
    pub operator: String,
}

/// What came of it.
#[derive(Debug)]
pub enum Granted {
    /// There is a code.
    Code {
        /// The grant.
        id: EmergencyGrantId,
        /// The code, shown once.
        code: EmergencyCode,
        /// Until when it can be used.
        until: Timestamp,
        /// Whom it lets in.
        person: Author,
    },
    /// Nobody with this address has ever signed in.
    Unknown,
    /// The person is locked out.
    Disabled,
}

/// What came of the use of a code.
#[derive(Debug)]
pub enum EmergencyUse {
    /// A session has started.
    SignedIn {
        /// The secret for the browser's cookie.
        token: SessionToken,
        /// The session.
        session: Session,
    },
    /// The code is none, was used, is too old, was revoked, or its person is locked out: a word for the log.
    Refused(&'static str),
}

/// An alarm about emergency access, out of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmergencyAlarm {
    /// The row SECURITY_ALERT.
    pub row: AuditId,
    /// `emergency_access_granted` or `emergency_access_used`.
    pub kind: String,
    /// Which grant.
    pub grant: EmergencyGrantId,
    /// Whom it lets in.
    pub person: PersonId,
}

/// How far a grant has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// Its code can be used.
    Open,
    /// Its session is on.
    InUse,
    /// It is over.
    Ended,
}

/// A grant, as the operator sees it.
#[derive(Clone, Debug)]
pub struct EmergencyGrant {
    /// Its number.
    pub id: EmergencyGrantId,
    /// Whom it lets in.
    pub person: Author,
    /// Who gave it.
    pub operator: String,
    /// Why.
    pub reason: String,
    /// How long its session may last.
    pub minutes: u8,
    /// When it was given.
    pub granted_at: Timestamp,
    /// Until when its code can be used.
    pub code_until: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// Until when its session may last.
    pub session_until: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended, in a word.
    pub end_reason: Option<String>,
}

impl EmergencyGrant {
    /// How far it has come at `at`, also where nobody has written its end down yet.
    pub fn state(&self, at: Timestamp) -> GrantState {
        match (self.ended_at, self.session_until) {
            (Some(_), _) => GrantState::Ended,
            (None, Some(until)) if at < until => GrantState::InUse,
            (None, None) if at < self.code_until => GrantState::Open,
            _ => GrantState::Ended,
        }
    }
}

pub(super) const GRANT: &str = "SELECT g.id, p.id, p.name, p.email, g.operator, g.reason, g.minutes, g.granted_at, g.code_until, \
     g.used_at, g.session_until, g.ended_at, g.end_reason, g.session_id, p.disabled_at IS NOT NULL \
     FROM emergency_grant g JOIN person p ON p.id = g.person_id";

/// Out of the first columns of [`GRANT`].
pub(super) fn grant(row: &Row<'_>) -> rusqlite::Result<EmergencyGrant> {
    Ok(EmergencyGrant {
        id: row.get(0)?,
        person: Author::from_row(row, 1)?,
        operator: row.get(4)?,
        reason: row.get(5)?,
        minutes: row.get(6)?,
        granted_at: row.get(7)?,
        code_until: row.get(8)?,
        used_at: row.get(9)?,
        session_until: row.get(10)?,
        ended_at: row.get(11)?,
        end_reason: row.get(12)?,
    })
}
