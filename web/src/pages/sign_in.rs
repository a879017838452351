//! The pages of somebody who is not signed in: the door, and the door that stays shut.

use askama::Template;

use super::{Frame, Shown};

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

/// The provider knows this person, but Wardpost does not let them in.
#[derive(Template)]
#[template(path = "refused.html")]
pub struct RefusedPage {
    /// What stands around the page.
    pub frame: Frame,
    /// The account that was refused, where the provider named one.
    pub email: Option<Shown>,
    /// The heading: what happened.
    pub title: String,
    /// Why, and what to do next.
    pub explanation: String,
    /// Where another account can be tried.
    pub start_url: String,
    /// What to tell whoever looks into it.
    pub request_id: String,
}
