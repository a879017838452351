//! Messages: the list, a conversation, writing, deleting, drafts, and live updates.

pub mod acts;
pub mod compose;
pub mod conversation;
pub mod delete;
pub mod draft;
mod duties;
pub mod feed;
pub mod list;
pub mod list_cache;
pub mod marks;
pub mod pages;
pub mod recipients;
pub mod shown_lists;
pub mod updates;

use store::ConversationSummary;

use self::feed::Feed;
use self::list_cache::ListCache;
use self::marks::Marks;
use self::pages::{LastReply, ListedRow, MessageRow, RowContent};
use self::recipients::EverybodyCache;
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
    /// What they are to each reader.
    pub marks: Marks,
    /// Whom a message can be for.
    pub everybody: EverybodyCache,
}

/// A line of the list as it is for everybody.
fn row(conversation: ConversationSummary) -> askama::Result<ListedRow> {
    let (author, last_at) = (conversation.author.id.get(), conversation.last_at());
    let row = MessageRow {
        id: conversation.root.get(),
        author_name: conversation.author.name.into(),
        sent: last_at.into(),
        content: match conversation.subject {
            Ok(subject) => RowContent::Live { subject: subject.0.into() },
            Err(at) => RowContent::Deleted { at: at.into() },
        },
        last_reply: conversation
            .last_reply
            .map(|(_, author, _)| LastReply { author_name: author.name.into(), count: conversation.replies }),
        done: conversation.done.is_some(),
    };
    ListedRow::new(author, last_at, &row)
}
