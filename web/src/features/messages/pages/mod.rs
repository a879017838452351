//! The pages around messages.

mod conversation;
mod duties;
mod list;
mod recipients;
mod writing;

pub use self::conversation::{
    ConversationMessageView, ConversationPage, DoneView, MessageContentView, NewLine, ReaderView, ReplyForm,
};
pub use self::duties::{AnswerView, DutiesView, DutyButtons, DutyEndView, DutyEnding, StepsView, UrgentView};
pub use self::list::{
    Choices, InboxList, InboxPage, LastReply, ListedRow, MarkedRow, MessageRow, RowContent, Tab, list_url,
};
pub use self::recipients::{PersonChoice, RecipientsError, RecipientsForm, TeamChoice, policy_words};
pub use self::writing::{ComposePage, DeletePage};
