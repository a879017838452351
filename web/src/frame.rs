//! Puts together what stands around every page, and how moments are written.

use chrono::DateTime;
use store::Timestamp;

use crate::access::Member;
use crate::assets::Assets;
use crate::pages::{Frame, MemberFrame, Time};
use crate::request::Request;

impl Frame {
    /// Around a page for whoever comes.
    pub fn signed_out(assets: &Assets) -> Self {
        Self { assets: assets.urls().clone(), member: None, notice: None }
    }

    /// Around a member's page.
    pub fn of(member: &Member, request: &Request) -> Self {
        let session = member.session();
        let limits = request.site.config.session_limits;
        let left = SessionLeft::of(member, request);
        Self {
            assets: request.site.assets.urls().clone(),
            member: Some(MemberFrame {
                name: session.person_name.clone(),
                email: session.person_email.clone(),
                csrf: session.csrf_token.clone(),
                idle_seconds: limits.idle.as_secs(),
                ends_in_seconds: left.seconds,
                stays_until_absolute: left.absolute,
            }),
            notice: None,
        }
    }

    /// The same with a notice at the top.
    pub fn with_notice(mut self, notice: Option<&'static str>) -> Self {
        self.notice = notice;
        self
    }
}

/// How long a session lasts if nothing happens any more.
pub struct SessionLeft {
    /// Seconds, rounded down.
    pub seconds: u64,
    /// The absolute limit comes first: activity cannot put it off.
    pub absolute: bool,
}

impl SessionLeft {
    /// Counted from the request's time.
    pub fn of(member: &Member, request: &Request) -> Self {
        let limits = request.site.config.session_limits;
        let session = member.session();
        let idle_end = session.last_active_at.plus(limits.idle);
        let absolute_end = session.started_at.plus(limits.absolute);
        Self { seconds: idle_end.min(absolute_end).since(request.at).as_secs(), absolute: absolute_end <= idle_end }
    }
}

impl Time {
    /// To the second, for a record.
    pub fn to_the_second(at: Timestamp) -> Self {
        Self::written(at, "%-d %b %Y, %H:%M:%S UTC")
    }

    fn written(at: Timestamp, format: &str) -> Self {
        let text = DateTime::from_timestamp_millis(at.as_millis())
            .map(|time| time.format(format).to_string())
            .unwrap_or_default();
        Self { iso: at.to_rfc3339(), text }
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self::written(at, "%-d %b %Y, %H:%M UTC")
    }
}
