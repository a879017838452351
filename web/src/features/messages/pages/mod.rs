//! The pages around messages.

mod conversation;
mod list;
mod writing;

pub use self::conversation::{
    ConversationMessageView, ConversationPage, DoneView, MessageContentView, NewLine, ReaderView, ReplyForm,
};
pub use self::list::{
    Choices, InboxList, InboxPage, LastReply, ListedRow, MarkedRow, MessageRow, RowContent, Tab, list_url,
};
pub use self::writing::{ComposePage, DeletePage};
