//! The audit log as a page: the state of the chain, the filter, the rows.

use askama::Template;
use store::MessageId;

use super::sentence::Part;
use crate::app::pages::{Choice, Frame, Shown, Time};

/// `/audit`: who did what, newest first.
#[derive(Template)]
#[template(path = "audit.html")]
pub struct AuditPage {
    /// What stands around the page.
    pub frame: Frame,
    /// How far the chain of hashes was found sound.
    pub chain: ChainBanner,
    /// The rows of this page, newest first.
    pub rows: Vec<AuditRowView>,
    /// Whose rows can be picked; "Everyone" is added by the template, with the empty value.
    pub people: Vec<Choice>,
    /// Which actions can be picked; "Every action" is added by the template, with the empty value.
    pub actions: Vec<Choice>,
    /// The earliest moment, as a `datetime-local` value in UTC; empty for none.
    pub from: String,
    /// The latest moment, as a `datetime-local` value in UTC; empty for none.
    pub to: String,
    /// Of which message, as it was typed; empty for any.
    pub message: String,
    /// Of which message, for the title; none for any.
    pub of_message: Option<MessageId>,
    /// The same filter for today, yesterday and the last seven days, in UTC.
    pub presets: [Preset; 3],
    /// The filter in words; empty where there is none.
    pub filter_words: Shown,
    /// When the page was made.
    pub made: Time,
    /// What is wrong with the filter that was asked for. Then no rows are shown.
    pub filter_error: Option<String>,
    /// The next page, where there is one.
    pub older_url: Option<String>,
    /// The first page, given on every other page.
    pub newest_url: Option<String>,
    /// Everything the filter lets through, as CSV.
    pub csv_url: String,
    /// Everything the filter lets through, as JSON lines.
    pub jsonl_url: String,
    /// A filter is in force.
    pub filtered: bool,
    /// Mere looks are among them.
    pub lists_shown: bool,
}

/// A span of whole days.
pub struct Preset {
    /// What it is called.
    pub name: &'static str,
    /// Where it leads.
    pub url: String,
    /// Whether it is what the page shows.
    pub in_force: bool,
    /// The first and the last day, counted back from today.
    pub days: (u64, u64),
}

/// What the last check of the chain found.
pub enum ChainBanner {
    /// Every row up to this one is as it was written.
    Sound {
        /// The last row checked.
        up_to: i64,
        /// When the newest of them were checked.
        checked: Time,
        /// When the last walk over all of them began.
        walked: Time,
    },
    /// A check is under way.
    Checking {
        /// The last row checked so far.
        up_to: i64,
        /// The newest row.
        head: i64,
    },
    /// The log was changed from outside.
    Broken {
        /// The first bad row.
        row: i64,
        /// What is wrong with it.
        what: String,
    },
}

/// One row of the log, in words.
pub struct AuditRowView {
    /// Its sequence number.
    pub id: i64,
    /// When it was written.
    pub at: Time,
    /// What happened, as one reads it aloud.
    pub sentence: Vec<Part>,
    /// The action as it is stored: `MESSAGE_VIEW`.
    pub action: Shown,
    /// The person's e-mail address; empty where there is none.
    pub email: Shown,
    /// What else was written down; may be empty.
    pub detail: Shown,
    /// Where the request came from; may be empty.
    pub ip: Shown,
    /// SHA-256 over this row and the one before it, in hex.
    pub hash: String,
}
