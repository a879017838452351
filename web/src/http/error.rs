//! Every way to say no, as a value: [`crate::app::errors`] renders it.

use store::{EndReason, StoreError};

use crate::limits::TooMany;

/// Why a handler does not give the page that was asked for.
#[derive(Debug)]
pub enum PageError {
    /// Nobody is signed in; perhaps somebody was until a limit.
    SignedOut {
        /// What ended the session that the cookie names.
        ended: Option<EndReason>,
        /// Whether what the form held was kept as a draft.
        kept_draft: bool,
    },
    /// A browser's own request without a live session.
    NoSession {
        /// What ended the session that the cookie names.
        ended: Option<EndReason>,
    },
    /// No such page, message or file.
    NotFound,
    /// The path exists, for other methods.
    WrongMethod,
    /// A value in the address or the form is not what it must be; says which and what is allowed.
    BadRequest(&'static str),
    /// The form came from another site.
    ForeignForm,
    /// The form's CSRF token is missing or not this session's.
    StaleForm,
    /// The form is larger than any of ours.
    LargeForm,
    /// The form took too long to arrive.
    SlowForm,
    /// The form stopped in the middle.
    BrokenForm,
    /// The body is not a form.
    UnsupportedForm,
    /// The message is somebody else's.
    NotYours,
    /// Somebody asks too often.
    TooMany(TooMany),
    /// There is no room for what comes in.
    Crowded,
    /// The database said no.
    Store(StoreError),
    /// A template did not render.
    Template(askama::Error),
    /// The handler panicked.
    Panicked,
}

impl PageError {
    /// Every word that [`PageError::reason`] knows.
    pub const REASONS: [&str; 18] = [
        "signed_out",
        "no_session",
        "not_found",
        "wrong_method",
        "bad_request",
        "foreign_form",
        "stale_form",
        "large_form",
        "slow_form",
        "broken_form",
        "unsupported_form",
        "crowded",
        "not_yours",
        "busy",
        "disk_full",
        "database",
        "template",
        "panicked",
    ];

    /// What it is, in a word. None for one too many, which the limits count themselves: not every one comes by here.
    pub fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::SignedOut { .. } => "signed_out",
            Self::NoSession { .. } => "no_session",
            Self::NotFound => "not_found",
            Self::WrongMethod => "wrong_method",
            Self::BadRequest(_) => "bad_request",
            Self::ForeignForm => "foreign_form",
            Self::StaleForm => "stale_form",
            Self::LargeForm => "large_form",
            Self::SlowForm => "slow_form",
            Self::BrokenForm => "broken_form",
            Self::UnsupportedForm => "unsupported_form",
            Self::Crowded => "crowded",
            Self::NotYours => "not_yours",
            Self::TooMany(_) => return None,
            Self::Store(StoreError::Busy) => "busy",
            Self::Store(StoreError::DiskFull) => "disk_full",
            Self::Store(_) => "database",
            Self::Template(_) => "template",
            Self::Panicked => "panicked",
        })
    }
}

impl PageError {
    /// What somebody is told who is over the limit, where a form was read for the sake of what it holds: that, whatever else
    /// is wrong with the form. Only that its text was kept is said first.
    pub fn unless_over(self, limit: Option<TooMany>) -> Self {
        match (self, limit) {
            (kept @ Self::SignedOut { kept_draft: true, .. }, _) => kept,
            (_, Some(too_many)) => Self::TooMany(too_many),
            (error, None) => error,
        }
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::SessionEnded => Self::SignedOut { ended: None, kept_draft: false },
            error => Self::Store(error),
        }
    }
}

impl From<TooMany> for PageError {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}
