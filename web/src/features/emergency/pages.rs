//! The way in for the day the identity provider is down.

use askama::Template;

use crate::app::pages::Frame;

/// `/emergency-access`: a code, and a button.
#[derive(Template)]
#[template(path = "emergency.html")]
pub struct EmergencyPage {
    /// What stands around the page.
    pub frame: Frame,
    /// The browser's token, for the form.
    pub token: String,
    /// Why the code that was given does not let in.
    pub refused: Option<&'static str>,
}
