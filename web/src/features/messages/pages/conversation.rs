//! A conversation, and the form for a reply.

use askama::Template;
use store::{StepKind, UrgentState};

use super::duties::{DutiesView, DutyEnding};
use super::recipients::RecipientsForm;
use super::writing::grouped;
use crate::app::pages::{ClockTime, Frame, Shown, Time};

/// `/messages/ID`: a conversation, a page of it, and the form for a reply.
#[derive(Template)]
#[template(path = "conversation.html")]
pub struct ConversationPage {
    /// What stands around the page.
    pub frame: Frame,
    /// The number of the first message.
    pub id: i64,
    /// Its subject; None where it was deleted.
    pub subject: Option<Shown>,
    /// How many replies there are.
    pub replies: u64,
    /// The messages of this page, in the order in which they were sent.
    pub messages: Vec<ConversationMessageView>,
    /// The line between what the reader had opened and what is new.
    pub new: Option<NewLine>,
    /// The page before this one.
    pub earlier_url: Option<String>,
    /// The page after this one.
    pub later_url: Option<String>,
    /// The last page, given where it is neither this one nor the next.
    pub newest_url: Option<String>,
    /// Who said that it is done, and when.
    pub done: Option<DoneView>,
    /// The conversation that stands before this one in the list.
    pub newer: Option<i64>,
    /// The one that stands after it.
    pub older: Option<i64>,
    /// The stream of replies.
    pub updates_url: String,
    /// The form for a reply.
    pub reply: ReplyForm,
}

/// Where what is new begins.
pub struct NewLine {
    /// The number of the message below it.
    pub above: i64,
    /// When the reader last opened the one above it.
    pub since: Option<Time>,
}

/// Who said that a conversation is done.
pub struct DoneView {
    /// Who.
    pub by: Shown,
    /// When.
    pub at: Time,
}

/// Somebody who opened a message.
pub struct ReaderView {
    /// Who.
    pub name: Shown,
    /// When for the first time.
    pub at: Time,
}

/// A message in its conversation.
pub struct ConversationMessageView {
    /// Its number.
    pub id: i64,
    /// Who wrote it.
    pub author_name: Shown,
    /// The author's e-mail address.
    pub author_email: Shown,
    /// When it was sent.
    pub sent: ClockTime,
    /// Its text, with line breaks as typed; or when it was deleted.
    pub content: MessageContentView,
    /// The reader wrote it and may delete it.
    pub own: bool,
    /// Who else opened it: neither its author nor the reader.
    pub readers: Vec<ReaderView>,
    /// Whom it is for, and what came of it; None where it is for nobody in particular.
    pub duties: Option<DutiesView>,
}

impl ConversationMessageView {
    /// Those who are named at once; the others are one click away.
    fn first_readers(&self) -> &[ReaderView] {
        self.readers.get(..READERS_NAMED).unwrap_or(&self.readers)
    }

    fn more_readers(&self) -> &[ReaderView] {
        self.readers.get(READERS_NAMED..).unwrap_or_default()
    }
}

/// How many who opened a message are named under it at once.
const READERS_NAMED: usize = 4;

/// What is left of a message.
pub enum MessageContentView {
    /// Its text.
    Live {
        /// With line breaks as typed.
        body: Shown,
    },
    /// Its author deleted it.
    Deleted {
        /// When that was.
        at: Time,
    },
}

/// The form for a reply, as it was typed, and what is wrong with it.
pub struct ReplyForm {
    /// Makes sending idempotent: the same key never makes a second reply.
    pub key: String,
    /// The text as typed.
    pub body: String,
    /// Whom it is for.
    pub recipients: RecipientsForm,
    /// What is wrong with the text.
    pub body_error: Option<String>,
    /// What is wrong with the whole, for example that it could not be stored.
    pub problem: Option<String>,
    /// The version of the draft that the form was begun with; empty without one.
    pub draft_version: String,
    /// The form holds a draft that was saved at this moment.
    pub draft_saved: Option<Time>,
    /// The longest text, in Unicode characters.
    pub max_body: usize,
}

impl ConversationPage {
    /// The messages, each with its day where the one above is of another.
    fn by_day(&self) -> impl Iterator<Item = (Option<&str>, &ConversationMessageView)> {
        let mut day = "";
        self.messages.iter().map(move |message| {
            let heading = (message.sent.day != day).then_some(message.sent.day.as_str());
            day = &message.sent.day;
            (heading, message)
        })
    }

    /// The line above a message, where what is new begins with it.
    fn new_above(&self, message: &ConversationMessageView) -> Option<&NewLine> {
        self.new.as_ref().filter(|new| new.above == message.id)
    }

    /// Whether somebody else wrote here, so that something can be new again.
    fn can_be_unread(&self) -> bool {
        let of_another = |message: &ConversationMessageView| {
            !message.own && matches!(message.content, MessageContentView::Live { .. })
        };
        self.earlier_url.is_some() || self.later_url.is_some() || self.messages.iter().any(of_another)
    }

    /// Whether the reply came back with anything to put right.
    fn has_errors(&self) -> bool {
        self.reply.body_error.is_some() || self.reply.problem.is_some() || self.reply.recipients.error.is_some()
    }
}
