//! The list of conversations. A row of it is a template of its own, since live updates send single rows to pages that are
//! already open.

use std::collections::BTreeSet;
use std::sync::Arc;

use askama::Template;
use askama::filters::HtmlSafe;
use store::{MessageId, ReaderMarks, Timestamp, UnreadCount};

use super::writing::grouped;
use crate::app::assets::unread_icon_url;
use crate::app::pages::{Choice, ClockTime, DutyMarks, Frame, Rendered, Shown, Time};
use crate::http::form;

/// `/messages`: everybody's conversations, the one with the newest message first.
#[derive(Template)]
#[template(path = "inbox.html")]
pub struct InboxPage {
    /// What stands around the page.
    pub frame: Frame,
    /// The number of the person who reads: their own conversations are marked.
    pub reader: i64,
    /// What everybody sees.
    pub list: Arc<InboxList>,
    /// What each line is to the reader.
    pub marks: Arc<ReaderMarks>,
    /// What is for the reader, and what is urgent.
    pub duties: Arc<DutyMarks>,
    /// When the draft was saved that the reader is told of.
    pub kept_draft: Option<Time>,
    /// Which conversations are shown.
    pub tab: Tab,
    /// When the reader last looked, where the list goes further back.
    pub looked_at: Option<Timestamp>,
    /// The stream of live updates, given on the unfiltered first page only.
    pub updates_url: Option<String>,
}

/// Which conversations the list shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// Every one.
    All,
    /// Those with something for the reader to do.
    ForMe,
    /// Those with something new to the reader.
    Unread,
    /// Those that are not done.
    Open,
}

impl Tab {
    /// As the address has it; nothing for all.
    pub fn query(self) -> Option<&'static str> {
        match self {
            Tab::All => None,
            Tab::ForMe => Some("for-me"),
            Tab::Unread => Some("unread"),
            Tab::Open => Some("open"),
        }
    }
}

impl InboxPage {
    /// How many messages are for the reader; empty for none.
    fn for_me(&self) -> String {
        count_text(UnreadCount { counted: self.duties.open, more: false })
    }

    /// How many conversations have something new, for people; empty where none has.
    fn unread(&self) -> String {
        count_text(self.marks.unread)
    }

    fn is_at(&self, tab: Tab) -> bool {
        self.tab == tab
    }

    fn everyone_url(&self) -> String {
        list_url(None, None, self.tab)
    }

    fn tab_url(&self, tab: Tab) -> String {
        list_url(None, self.list.author, tab)
    }

    /// The icon with the number of them; what is urgent comes first.
    fn icon(&self) -> String {
        match self.unread().as_str() {
            _ if self.frame.is_urgent() => self.frame.assets.urgent_icon.clone(),
            "" => self.frame.assets.icon.clone(),
            count => unread_icon_url(count),
        }
    }

    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut something_new = false;
        let mut day = "";
        self.list.rows.iter().enumerate().map(move |(at, row)| {
            let mark = self.marks.conversations.get(at).copied().unwrap_or_default();
            let root = MessageId::new(row.id);
            let is_in = |roots: &BTreeSet<MessageId>| root.is_some_and(|root| roots.contains(&root));
            let (for_reader, urgent) = (is_in(&self.duties.for_reader), is_in(&self.duties.urgent));
            let own = row.author == self.reader;
            let marked = MarkedRow { row, own, unread: mark.unread, draft: mark.draft, for_reader, urgent };
            // The line stands between what came since and what was there, and nowhere where nothing came: the reader's own is
            // not new.
            let is_older = self.looked_at.filter(|looked_at| row.last_at <= *looked_at);
            let since = is_older.filter(|_| std::mem::take(&mut something_new)).map(Time::from);
            something_new |= is_older.is_none() && mark.unread;
            let heading = (row.day != day).then_some(row.day.as_str());
            day = &row.day;
            Line { heading, since, marked }
        })
    }
}

/// Up to ninety-nine: "7", "99+"; empty for none.
fn count_text(count: UnreadCount) -> String {
    match count.counted {
        0 if !count.more => String::new(),
        counted @ 0..100 => format!("{counted}{}", if count.more { "+" } else { "" }),
        _ => "99+".to_owned(),
    }
}

struct Line<'p> {
    /// The day on which its newest message was sent, where the line above is of another.
    heading: Option<&'p str>,
    /// What stands above was sent after this moment.
    since: Option<Time>,
    marked: MarkedRow<'p>,
}

/// The part of a list that is the same for all readers, rendered once for all of them.
pub struct InboxList {
    /// The conversations of this page, the one with the newest message first.
    pub rows: Vec<ListedRow>,
    /// Whose conversations can be picked; "Everyone" is added by the template, with the empty value.
    pub authors: Rendered,
    /// The number of who is picked.
    pub author: Option<i64>,
    /// The next page, where there is one.
    pub older_url: Option<String>,
    /// The first page, given on every other page.
    pub newest_url: Option<String>,
}

/// The lines of a drop-down list.
#[derive(Template)]
#[template(path = "choices.html")]
pub struct Choices<'a>(pub &'a [Choice]);

/// A line of the list, as it is for everybody.
pub struct ListedRow {
    id: i64,
    author: i64,
    last_at: Timestamp,
    /// The day of that, for its heading.
    day: String,
    gone: bool,
    done: bool,
    text: Rendered,
}

impl ListedRow {
    /// The row of a conversation that `author`, a person's number, began, and that had its newest message at `last_at`. Fails
    /// where the template does.
    pub fn new(author: i64, last_at: Timestamp, row: &MessageRow) -> askama::Result<Self> {
        let gone = matches!(row.content, RowContent::Deleted { .. });
        let day = row.sent.day.clone();
        Ok(Self { id: row.id, author, last_at, day, gone, done: row.done, text: Rendered::of(row)? })
    }
}

/// A line of the list with what it is to a reader: an `<li>` with the id `message-N`. It travels alone as a live update, and
/// then without that: the page knows who reads it.
#[derive(Template)]
#[template(path = "marked_row.html")]
pub struct MarkedRow<'r> {
    /// The line.
    pub row: &'r ListedRow,
    /// The reader began the conversation.
    pub own: bool,
    /// Something in it is new to the reader.
    pub unread: bool,
    /// The reader has a half-written reply.
    pub draft: bool,
    /// Something in it is for the reader to do.
    pub for_reader: bool,
    /// Something in it is urgent, and nobody has answered.
    pub urgent: bool,
}

/// Its template escapes every field.
impl HtmlSafe for MarkedRow<'_> {}

/// The text of a line.
#[derive(Clone, Template)]
#[template(path = "row.html")]
pub struct MessageRow {
    /// The number of the first message.
    pub id: i64,
    /// Who wrote it.
    pub author_name: Shown,
    /// When the newest message of the conversation was sent.
    pub sent: ClockTime,
    /// The subject, or that it is gone.
    pub content: RowContent,
    /// The newest reply; None where nobody has replied.
    pub last_reply: Option<LastReply>,
    /// Nothing is left to do.
    pub done: bool,
}

/// What a line of the list says of replies.
#[derive(Clone)]
pub struct LastReply {
    /// Who wrote the newest one.
    pub author_name: Shown,
    /// How many there are.
    pub count: u64,
}

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

/// The address of a list.
pub fn list_url(before: Option<MessageId>, author: Option<i64>, tab: Tab) -> String {
    let (before, author) = (before.map(|id| id.to_string()), author.map(|id| id.to_string()));
    let pairs = [("show", tab.query()), ("author", author.as_deref()), ("before", before.as_deref())];
    let query = form::encode(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))));
    if query.is_empty() { "/messages".to_owned() } else { format!("/messages?{query}") }
}
