//! The page of somebody who cannot come in.

use askama::Template;

use crate::app::pages::{Frame, Shown};

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
    /// The provider does not work: the page says how emergency access does.
    pub emergency: bool,
    /// What trying again is called.
    pub again_label: &'static str,
    /// Where another account can be tried.
    pub start_url: String,
    /// What to tell anyone who looks into it.
    pub request_id: String,
}
