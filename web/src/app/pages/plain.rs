//! Pages that only say what went wrong.

use askama::Template;

use super::Frame;

/// Anything that went wrong: what happened, what to do next, and a number to tell.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    /// What stands around the page.
    pub frame: Frame,
    /// The HTTP status.
    pub status: u16,
    /// The heading: what happened.
    pub title: String,
    /// Why, as far as the reader can know, and what it means for them.
    pub explanation: String,
    /// Where to go next.
    pub action_url: String,
    /// What that is called.
    pub action_label: String,
    /// What to tell anyone who looks into it.
    pub request_id: String,
}

/// For who came by another name than the site's: where it is. It stands alone, and takes nothing from the request.
#[derive(Template)]
#[template(path = "misdirected.html")]
pub struct MisdirectedPage {
    /// The site's address.
    pub address: String,
}
