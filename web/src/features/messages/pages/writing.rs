//! Writing a message, and deleting one.

use askama::Template;

use super::recipients::RecipientsForm;
use crate::app::pages::{Frame, Shown, Time};

/// `/messages/ID/delete`: asks before a message goes for good.
#[derive(Template)]
#[template(path = "delete.html")]
pub struct DeletePage {
    /// What stands around the page.
    pub frame: Frame,
    /// The message's number.
    pub id: i64,
    /// Its subject.
    pub subject: Shown,
    /// When it was sent.
    pub sent: Time,
}

/// `/messages/new`, and the same form again with what was typed and what is wrong with it.
#[derive(Template)]
#[template(path = "compose.html")]
pub struct ComposePage {
    /// What stands around the page.
    pub frame: Frame,
    /// Makes sending idempotent: the same key never makes a second message.
    pub key: String,
    /// The subject as typed.
    pub subject: String,
    /// The body as typed.
    pub body: String,
    /// Whom it is for.
    pub recipients: RecipientsForm,
    /// What is wrong with the subject.
    pub subject_error: Option<String>,
    /// What is wrong with the body.
    pub body_error: Option<String>,
    /// What is wrong with the whole, for example that the message could not be stored.
    pub problem: Option<String>,
    /// The version of the draft that the form was begun with; empty without one.
    pub draft_version: String,
    /// The form holds a draft that was saved at this moment.
    pub draft_saved: Option<Time>,
    /// The longest subject, in Unicode characters.
    pub max_subject: usize,
    /// The longest body, in Unicode characters.
    pub max_body: usize,
}

impl ComposePage {
    /// Whether the form came back with anything to put right.
    fn has_errors(&self) -> bool {
        let text = self.subject_error.is_some() || self.body_error.is_some();
        text || self.problem.is_some() || self.recipients.error.is_some()
    }
}

/// A number as people read it: `20,000`.
pub(super) fn grouped(number: impl std::fmt::Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
