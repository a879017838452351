//! The page of what concerns its reader.

use askama::Template;

use crate::app::pages::{Frame, Shown, Time};

/// `/me`: a member's own live sessions, and the copy of what is hers.
#[derive(Template)]
#[template(path = "me.html")]
pub struct MePage {
    /// What stands around the page.
    pub frame: Frame,
    /// This one first.
    pub sessions: Vec<SessionView>,
    /// The copy.
    pub data: DataView,
}

/// The part of the page about the copy of what is the reader's.
pub struct DataView {
    /// When a copy is possible again; None for now.
    pub again_at: Option<Time>,
    /// One was asked for, and was refused.
    pub refused: bool,
    /// The one that was asked for last, as long as the program has run.
    pub download: Option<DownloadView>,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadView {
    /// Which one it is of all since the program started.
    pub number: u64,
    /// What is sent of it, in percent.
    pub percent: u64,
    /// Whether it goes on.
    pub state: DownloadState,
}

/// Whether a copy goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadState {
    /// It is being sent.
    UnderWay,
    /// All of it was sent.
    Complete,
    /// It ended before that.
    BrokenOff,
}

impl DownloadView {
    /// As a script knows it.
    pub fn state(&self) -> &'static str {
        match self.state {
            DownloadState::UnderWay => "under_way",
            DownloadState::Complete => "complete",
            DownloadState::BrokenOff => "broken_off",
        }
    }

    /// As a sentence.
    pub fn sentence(&self) -> String {
        match self.state {
            DownloadState::UnderWay => format!("Being made and sent: {} %.", self.percent),
            DownloadState::Complete => "All of it was sent.".to_owned(),
            DownloadState::BrokenOff => {
                "It broke off before its end. What your browser kept of it is not whole: delete that.".to_owned()
            }
        }
    }
}

impl MePage {
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
