//! Messages: the list, one message, writing, deleting, drafts, and live updates.

pub mod compose;
pub mod delete;
pub mod draft;
pub mod feed;
pub mod list;
pub mod list_cache;
pub mod shown;
pub mod updates;
pub mod view;

use store::{MessageSummary, SummaryContent};

use crate::pages::{MessageRow, RowContent};

/// A line of the list as everybody but its author sees it.
fn row(message: MessageSummary) -> MessageRow {
    MessageRow {
        id: message.id.get(),
        own: false,
        author_name: message.author.name.into(),
        sent: message.sent_at.into(),
        content: match message.content {
            SummaryContent::Live { subject } => RowContent::Live { subject: subject.into() },
            SummaryContent::Deleted { at } => RowContent::Deleted { at: at.into() },
        },
    }
}
