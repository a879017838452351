//! The page of somebody who is not signed in: at `/`, and where a form came too late.

use askama::Template;

use super::Frame;

/// `/` signed out: one button, and why one was signed out.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    /// What stands around the page.
    pub frame: Frame,
    /// Where signing in begins: `/sign-in/start?next=...`.
    pub start_url: String,
    /// Why the last session ended, as a sentence.
    pub ended: Option<String>,
    /// The same for the browser's other tabs, which clear what they show.
    pub other_tabs: String,
    /// Something was being written when the session ended, and was kept.
    pub kept_draft: bool,
}
