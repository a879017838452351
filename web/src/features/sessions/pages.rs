//! Where a member is signed in.

use askama::Template;

use crate::app::pages::{Frame, Shown, Time};

/// `/sessions`: a member's own live sessions.
#[derive(Template)]
#[template(path = "sessions.html")]
pub struct SessionsPage {
    /// What stands around the page.
    pub frame: Frame,
    /// This one first.
    pub sessions: Vec<SessionView>,
}

impl SessionsPage {
    fn has_others(&self) -> bool {
        self.sessions.iter().any(|session| !session.this)
    }
}

/// One session.
pub struct SessionView {
    /// Its number.
    pub id: i64,
    /// It is the one that looks.
    pub this: bool,
    /// Browser and system in words: "Firefox on Windows".
    pub device: String,
    /// The address it began from.
    pub ip: Shown,
    /// When it began.
    pub started: Time,
    /// When something was last done in it.
    pub last_active: Time,
    /// When it ends if nothing is done any more.
    pub ends: Time,
}
