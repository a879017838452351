//! Puts together what stands around every page, and how moments are written.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Timelike, Utc};
use http::Method;
use store::{Session, SessionLimits, Timestamp};

use crate::app::access::Member;
use crate::app::assets::Assets;
use crate::app::duty_overview::ForMember;
use crate::app::pages::{ClockTime, Frame, MemberFrame, Time};
use crate::app::request::Request;
use crate::app::site::Site;

impl Frame {
    /// Around a page for anybody.
    pub fn signed_out(assets: &Assets) -> Self {
        Self { assets: Arc::clone(assets.urls()), member: None, notice: None, emergency_until: None }
    }

    /// Around a member's page.
    pub fn of(member: &Member, request: &Request) -> Self {
        let mut frame = Self::of_session(member.session(), member.duties(), &request.site, request.at);
        if let Some(shown) = &mut frame.member
            && request.method == Method::GET
            && request.site.may_return_to(&request.path)
        {
            shown.back = request.path_and_query();
        }
        frame
    }

    /// The same around a list: with what waits for others too, and with what the list marks.
    pub fn with_all_urgent(mut self, member: &Member) -> Self {
        if let Some(shown) = &mut self.member {
            shown.bars = Arc::clone(&member.duties().bars_of_all);
            shown.marks = Some(Arc::clone(&member.duties().marks));
        }
        self
    }

    /// Around a page for who has this session, at the request's time.
    pub fn of_session(session: &Session, duties: &ForMember, site: &Site, at: Timestamp) -> Self {
        let limits = site.session_limits;
        let left = SessionLeft::of_session(session, limits, at);
        Self {
            assets: Arc::clone(site.assets.urls()),
            member: Some(MemberFrame {
                session: session.id.get(),
                person: session.person.get(),
                name: session.person_name.as_str().into(),
                email: session.person_email.as_str().into(),
                csrf: session.csrf_token.clone(),
                idle_seconds: limits.idle.as_secs(),
                ends_in_seconds: left.seconds,
                stays_until_absolute: left.absolute,
                for_me: duties.marks.open,
                urgent_all: Arc::clone(&duties.urgent_all),
                bars: Arc::clone(&duties.bars),
                marks: None,
                back: "/messages".to_owned(),
            }),
            notice: None,
            emergency_until: session.emergency_until.map(Time::from),
        }
    }

    /// The same with the banner of an emergency access that lasts until then.
    pub fn under_emergency(mut self, until: Option<Timestamp>) -> Self {
        self.emergency_until = until.map(Time::from);
        self
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
        Self::of_session(member.session(), request.site.session_limits, request.at)
    }

    fn of_session(session: &Session, limits: SessionLimits, at: Timestamp) -> Self {
        let idle_end = session.last_active_at.plus(limits.idle);
        let absolute_end = session.latest_end(limits);
        Self { seconds: idle_end.min(absolute_end).since(at).as_secs(), absolute: absolute_end <= idle_end }
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Time {
    /// To the second, for a record.
    pub fn to_the_second(at: Timestamp) -> Self {
        let Some(time) = DateTime::from_timestamp_millis(at.as_millis()) else { return at.into() };
        Self { text: format!("{}:{:02} UTC", date_and_minute(time), time.second()), iso: at.to_rfc3339() }
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        // Only a time some 260,000 years from now is outside the calendar; it shows as its number then.
        let text = DateTime::from_timestamp_millis(at.as_millis())
            .map_or_else(|| at.as_millis().to_string(), |time| format!("{} UTC", date_and_minute(time)));
        Self { text, iso: at.to_rfc3339() }
    }
}

impl From<Timestamp> for ClockTime {
    fn from(at: Timestamp) -> Self {
        let Time { iso, text: whole } = at.into();
        match DateTime::from_timestamp_millis(at.as_millis()) {
            Some(time) => Self {
                text: format!("{:02}:{:02} UTC", time.hour(), time.minute()),
                day: day_in_words(time),
                iso,
                whole,
            },
            None => Self { text: whole.clone(), day: String::new(), iso, whole },
        }
    }
}

/// `Sunday 22 November 2026`
fn day_in_words(time: DateTime<Utc>) -> String {
    const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let day = DAYS.get(time.weekday().num_days_from_monday() as usize).copied().unwrap_or_default();
    let month = MONTHS.get(time.month0() as usize).copied().unwrap_or_default();
    format!("{day} {} {month} {}", time.day(), time.year())
}

/// By hand, since a list writes a hundred of them: a format string would be parsed again for each.
fn date_and_minute(time: DateTime<Utc>) -> String {
    let month = MONTHS.get(time.month0() as usize).copied().unwrap_or_default();
    format!("{} {month} {}, {:02}:{:02}", time.day(), time.year(), time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_for_people_with_their_zone() {
        let at = Timestamp::from_millis(1_795_381_805_123);
        assert_eq!(at.to_rfc3339(), "2026-11-22T21:10:05.123Z");
        assert_eq!(Time::from(at).text, "22 Nov 2026, 21:10 UTC");
        assert_eq!(Time::to_the_second(at).text, "22 Nov 2026, 21:10:05 UTC");
        let clock = ClockTime::from(at);
        assert_eq!((clock.text.as_str(), clock.day.as_str()), ("21:10 UTC", "Sunday 22 November 2026"));
        assert_eq!(clock.whole, "22 Nov 2026, 21:10 UTC");
    }
}
