//! Sessions: who is signed in, for how long at most, and why it ends.

use std::net::IpAddr;
use std::time::Duration;

use super::{AuditId, PersonId, SessionId, Timestamp};

/// By how much a clock may be corrected backwards without ending sessions.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// The browser an act comes from.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its address.
    pub ip: IpAddr,
    /// What it calls itself.
    pub user_agent: String,
}

/// A signed-in person acting. Every write checks in its own transaction that the session is live and the person
/// enabled, else it is [`StoreError::SessionEnded`].
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// Who.
    pub person: PersonId,
    /// In which session.
    pub session: SessionId,
    /// From which address.
    pub ip: IpAddr,
}

/// How long a session lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Without activity.
    pub idle: Duration,
    /// At all.
    pub absolute: Duration,
}

/// A live session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// Whose it is.
    pub person: PersonId,
    /// The person's name.
    pub person_name: String,
    /// The person's e-mail address.
    pub person_email: String,
    /// 64 hex characters that every form of this session carries.
    pub csrf_token: String,
    /// When the person signed in.
    pub started_at: Timestamp,
    /// When the person last did something.
    pub last_active_at: Timestamp,
    /// Until when it may last, where an operator let the person in without the identity provider.
    pub emergency_until: Option<Timestamp>,
    /// The newest audit row at the moment when this was read; later ones are not known to who keeps this.
    pub as_of: AuditId,
}

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// The person signed out.
    SignedOut,
    /// Nothing was done for too long.
    Idle,
    /// It lasted as long as a session may.
    Absolute,
    /// The person was disabled.
    Disabled,
    /// Someone signed in again in the same browser.
    Replaced,
    /// The person ended it from another of her sessions.
    Elsewhere,
    /// It was an emergency access, and lasted as long as it was granted for.
    EmergencyOver,
    /// It was an emergency access, and the operator took it back.
    EmergencyRevoked,
    /// The database was restored from a backup, in which the session was live.
    Restored,
}

impl EndReason {
    const ALL: [EndReason; 9] = [
        EndReason::SignedOut,
        EndReason::Idle,
        EndReason::Absolute,
        EndReason::Disabled,
        EndReason::Replaced,
        EndReason::Elsewhere,
        EndReason::EmergencyOver,
        EndReason::EmergencyRevoked,
        EndReason::Restored,
    ];

    /// Whether time ran out on somebody who may have been writing: what was typed is kept then.
    pub fn is_time_limit(self) -> bool {
        matches!(self, EndReason::Idle | EndReason::Absolute | EndReason::EmergencyOver)
    }

    /// Reads what [`EndReason::as_str`] writes.
    pub(crate) fn parse(text: &str) -> Option<EndReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// As it is stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            EndReason::SignedOut => "signed_out",
            EndReason::Idle => "idle",
            EndReason::Absolute => "absolute",
            EndReason::Disabled => "disabled",
            EndReason::Replaced => "replaced",
            EndReason::Elsewhere => "elsewhere",
            EndReason::EmergencyOver => "emergency_over",
            EndReason::EmergencyRevoked => "emergency_revoked",
            EndReason::Restored => "restored",
        }
    }
}

/// What a token stands for.
#[derive(Clone, Debug)]
pub enum SessionState {
    /// A session that lasts.
    Live(Session),
    /// One that has ended.
    Ended(EndReason),
    /// None.
    Unknown,
}

impl Session {
    /// When it ends however much is done in it.
    pub fn latest_end(&self, limits: SessionLimits) -> Timestamp {
        let absolute = self.started_at.plus(limits.absolute);
        self.emergency_until.map_or(absolute, |until| until.min(absolute))
    }
}

impl SessionLimits {
    /// The limit that a session has passed at `at`, and when it did.
    pub(crate) fn passed(
        self,
        started_at: Timestamp,
        last_active_at: Timestamp,
        emergency_until: Option<Timestamp>,
        at: Timestamp,
    ) -> Option<(EndReason, Timestamp)> {
        let (idle, absolute) = (last_active_at.plus(self.idle), started_at.plus(self.absolute));
        let latest = match emergency_until {
            Some(until) if until < absolute => (EndReason::EmergencyOver, until),
            _ => (EndReason::Absolute, absolute),
        };
        let first = if latest.1 < idle { latest } else { (EndReason::Idle, idle) };
        if at >= first.1 {
            Some(first)
        } else if last_active_at.since(at) > CLOCK_TOLERANCE {
            Some((EndReason::Idle, at))
        } else {
            None
        }
    }
}
