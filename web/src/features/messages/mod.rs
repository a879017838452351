//! Messages: the list, one message, writing, deleting, drafts, and live updates.

pub mod compose;
pub mod delete;
pub mod draft;
pub mod feed;
pub mod list;
pub mod list_cache;
pub mod pages;
pub mod shown_lists;
pub mod updates;
pub mod view;

use store::{MessageSummary, SummaryContent};

use self::feed::Feed;
use self::list_cache::ListCache;
use self::pages::{MessageRow, RowContent};
use self::shown_lists::ShownLists;

/// What is kept between requests.
#[derive(Default)]
pub struct Messages {
    /// Live updates.
    pub feed: Feed,
    /// Lists that were asked for before.
    pub lists: ListCache,
    /// Which of them were shown to whom lately.
    pub shown: ShownLists,
}

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
