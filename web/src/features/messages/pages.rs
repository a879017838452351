//! The pages around messages: the list, one message, writing and deleting.
//!
//! A row of the list is a template of its own, since live updates send single rows to pages that are already open.

use std::sync::Arc;

use askama::Template;
use askama::filters::HtmlSafe;

use crate::app::pages::{Choice, Frame, Rendered, Shown, Time};

/// `/messages`: everybody's messages, newest first.
#[derive(Template)]
#[template(path = "inbox.html")]
pub struct InboxPage {
    /// What stands around the page.
    pub frame: Frame,
    /// The number of the person who reads: their own messages are marked.
    pub reader: i64,
    /// What everybody sees.
    pub list: Arc<InboxList>,
    /// The stream of live updates, given on the unfiltered first page only.
    pub updates_url: Option<String>,
}

/// The part of a list that is the same for all readers, rendered once for all of them.
pub struct InboxList {
    /// The messages of this page, newest first.
    pub rows: Vec<ListedRow>,
    /// Whose messages can be picked; "Everyone" is added by the template, with the empty value.
    pub authors: Rendered,
    /// The next page, where there is one.
    pub older_url: Option<String>,
    /// The first page, given on every other page.
    pub newest_url: Option<String>,
    /// Only one person's messages are shown.
    pub filtered: bool,
}

/// The lines of a drop-down list.
#[derive(Template)]
#[template(path = "choices.html")]
pub struct Choices<'a>(pub &'a [Choice]);

/// A line of the list in both of its forms.
pub struct ListedRow {
    author: i64,
    own: Rendered,
    others: Rendered,
}

impl ListedRow {
    /// The row of a message by `author`, a person's number. Fails where the template does.
    pub fn new(author: i64, row: MessageRow) -> askama::Result<Self> {
        let own = Rendered::of(&MessageRow { own: true, ..row.clone() })?;
        Ok(Self { author, own, others: Rendered::of(&MessageRow { own: false, ..row })? })
    }

    fn seen_by(&self, reader: i64) -> &Rendered {
        if self.author == reader { &self.own } else { &self.others }
    }
}

/// One line of the list: an `<li>` with the id `message-N`, which also travels alone as a live update.
#[derive(Clone, Template)]
#[template(path = "row.html")]
pub struct MessageRow {
    /// The message's number.
    pub id: i64,
    /// Who wrote it.
    pub author_name: Shown,
    /// The reader wrote it. False in live updates, which are the same for everybody.
    pub own: bool,
    /// When it was sent.
    pub sent: Time,
    /// The subject, or that it is gone.
    pub content: RowContent,
}

/// Its template escapes every field.
impl HtmlSafe for MessageRow {}

/// What a line of the list still has to say.
#[derive(Clone)]
pub enum RowContent {
    /// The message can be opened.
    Live {
        /// Its subject.
        subject: Shown,
    },
    /// Its author deleted it; subject and body are gone.
    Deleted {
        /// When that was.
        at: Time,
    },
}

/// `/messages/ID`: one message.
#[derive(Template)]
#[template(path = "message.html")]
pub struct MessagePage {
    /// What stands around the page.
    pub frame: Frame,
    /// The message's number.
    pub id: i64,
    /// Who wrote it.
    pub author_name: Shown,
    /// The author's e-mail address.
    pub author_email: Shown,
    /// When it was sent.
    pub sent: Time,
    /// Its subject.
    pub subject: Shown,
    /// Its text, with line breaks as typed.
    pub body: Shown,
    /// The reader wrote it and may delete it.
    pub own: bool,
}

/// `/messages/ID` of a deleted message: who and when, nothing else is left.
#[derive(Template)]
#[template(path = "tombstone.html")]
pub struct TombstonePage {
    /// What stands around the page.
    pub frame: Frame,
    /// Who wrote the message, and deleted it.
    pub author_name: Shown,
    /// When it was sent.
    pub sent: Time,
    /// When it was deleted.
    pub deleted: Time,
}

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
        self.subject_error.is_some() || self.body_error.is_some() || self.problem.is_some()
    }
}

/// A number as people read it: `20,000`.
fn grouped(number: usize) -> String {
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
