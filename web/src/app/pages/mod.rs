//! The pages as data: one struct for each page, turned into HTML by the template of the same name in the folder
//! `templates` beside it. Here is what stands around every page, and the pages that no feature owns.
//!
//! Handlers fill these structs and do no string building; templates are compiled, and escape whatever they are given. What
//! somebody else wrote is a [`Shown`]; the other fields are plain text, numbers and switches, so that a page can be rendered
//! and looked at without a database. No struct here has `Debug`: most of them carry message text or a CSRF token, and
//! neither may reach a log.

mod plain;
mod shown;
mod sign_in;
mod urgent;

use std::sync::Arc;

use askama::filters::HtmlSafe;
use askama::{FastWritable, Template, Values};

pub use self::plain::{ErrorPage, MisdirectedPage};
pub use self::shown::Shown;
pub use self::sign_in::SignInPage;
pub use self::urgent::{Asked, BarKind, DutyMarks, NextView, UrgentBar, UrgentBars};

/// What stands around every page.
#[derive(Clone)]
pub struct Frame {
    /// Where the static files are.
    pub assets: Arc<AssetUrls>,
    /// Who is signed in; without it the page has no navigation.
    pub member: Option<MemberFrame>,
    /// What was just done, for example "Message sent."
    pub notice: Option<&'static str>,
    /// Until when the emergency access lasts that the reader came in by.
    pub emergency_until: Option<Time>,
}

/// The addresses of the static files, each with the hash of its content: `/static/site.0a1b2c3d.css`.
pub struct AssetUrls {
    /// The stylesheet.
    pub css: String,
    /// The script, an ES module.
    pub js: String,
    /// The icon, an SVG.
    pub icon: String,
    /// The icon while something urgent waits for the reader.
    pub urgent_icon: String,
}

/// The signed-in member, and how long the session still lasts.
#[derive(Clone)]
pub struct MemberFrame {
    /// The number of the session: a page knows by it that the browser is in another one.
    pub session: i64,
    /// The member's number.
    pub person: i64,
    /// The name the provider gave.
    pub name: Shown,
    /// The e-mail address the provider gave.
    pub email: Shown,
    /// The session's CSRF token, for every form of the page.
    pub csrf: String,
    /// The idle limit, in seconds.
    pub idle_seconds: u64,
    /// Seconds from now until the session ends if nothing happens.
    pub ends_in_seconds: u64,
    /// The absolute limit comes before the idle one: staying longer is not possible.
    pub stays_until_absolute: bool,
    /// How many messages are for the member, and neither done nor answered.
    pub for_me: usize,
    /// Where every urgent message stands that is not over, those of others too; empty where there is none.
    pub urgent_all: Arc<str>,
    /// What is urgent for the member, the oldest first; on the list, what waits for others as well.
    pub bars: Arc<[UrgentBar]>,
    /// On a list: what it marks. What waits for others stands in its bars, too.
    pub marks: Option<Arc<DutyMarks>>,
    /// Where an answer from here leads back to: a path of the site.
    pub back: String,
}

impl MemberFrame {
    /// Where the page asks whether the bars are still right.
    pub fn poll_url(&self) -> &'static str {
        if self.marks.is_some() { "/urgent/bar?of=all" } else { "/urgent/bar" }
    }

    /// Differs where the bars do.
    pub fn urgent_state(&self) -> String {
        self.bars.iter().map(UrgentBar::state).collect::<Vec<_>>().join(" ")
    }
}

impl Frame {
    /// Something urgent waits for the reader.
    pub fn is_urgent(&self) -> bool {
        self.member.as_ref().is_some_and(|member| member.bars.iter().any(UrgentBar::is_loud))
    }

    /// The bars of what is urgent; None around a page for anybody.
    pub fn urgent_bars(&self) -> Option<UrgentBars<'_>> {
        self.member.as_ref().map(|member| UrgentBars { frame: self, member })
    }

    /// The icon, where no number of unread conversations stands in it.
    pub fn icon(&self) -> &str {
        if self.is_urgent() { &self.assets.urgent_icon } else { &self.assets.icon }
    }
}

/// A moment. In a template `{{ time }}` gives a whole `<time>` element, which the script turns to the reader's zone.
#[derive(Clone, Template)]
#[template(path = "time.html")]
pub struct Time {
    /// RFC 3339 in UTC: `2026-11-22T21:10:05Z`.
    pub iso: String,
    /// For people: `22 Nov 2026, 21:10 UTC`.
    pub text: String,
}

/// Its template escapes both fields.
impl HtmlSafe for Time {}

/// A moment under a heading that says its day: `{{ time }}` gives the time of day alone, "08:37 UTC", with the whole beside it.
#[derive(Clone, Template)]
#[template(path = "clock_time.html")]
pub struct ClockTime {
    /// RFC 3339 in UTC.
    pub iso: String,
    /// The time of day: `21:10 UTC`.
    pub text: String,
    /// The whole: `22 Nov 2026, 21:10 UTC`.
    pub whole: String,
    /// The day, as its heading has it where no script turns it to the reader's zone: `Sunday 22 November 2026`.
    pub day: String,
}

/// Its template escapes all fields.
impl HtmlSafe for ClockTime {}

/// A part of a page that a template has made, and that stands in others as it is. Only a template makes one.
pub struct Rendered(String);

impl Rendered {
    /// What the template makes.
    pub fn of(template: &impl Template) -> askama::Result<Self> {
        template.render().map(Self)
    }
}

impl std::fmt::Display for Rendered {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// Without the format machinery: a list has some fifty of these.
impl FastWritable for Rendered {
    fn write_into(&self, out: &mut dyn std::fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(out.write_str(&self.0)?)
    }
}

/// The template that made it escapes what it is given.
impl HtmlSafe for Rendered {}

/// One line of a drop-down list. The line for "no filter" stands in the templates and has the empty value.
#[derive(Clone)]
pub struct Choice {
    /// What the form sends.
    pub value: String,
    /// What people read.
    pub label: Shown,
    /// Whether the list shows it now.
    pub selected: bool,
}
