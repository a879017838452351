//! `GET /messages`: all conversations, the one with the newest message first, perhaps those that one person began.

use std::cmp::Reverse;
use std::sync::Arc;

use store::{Author, ConversationSummary, ListQuery, MessageId, PersonId, Show, Store};

use super::list_cache::Listed;
use super::marks::Marked;
use super::{Messages, row};
use crate::app::access::Member;
use crate::app::pages::{Choice, Frame, Rendered, Time};
use crate::app::request::Request;
use crate::features::messages::pages::{Choices, InboxList, InboxPage, Tab, list_url};
use crate::http::error::PageError;
use crate::http::reply::Reply;

/// Messages on a page.
const PAGE_SIZE: u32 = 50;

/// The list.
pub async fn show(state: Arc<Messages>, request: Request, member: Member) -> Result<Reply, PageError> {
    let before: Option<MessageId> = optional(&request, "before", "The page number in the address is not one of ours.")?;
    let author: Option<PersonId> =
        optional(&request, "author", "This link does not work. Choose a person in the list.")?;
    let tab = match request.query.value("show") {
        None | Some("") => Tab::All,
        Some("for-me") => Tab::ForMe,
        Some("unread") => Tab::Unread,
        Some("open") => Tab::Open,
        Some(_) => return Err(PageError::BadRequest("The list that the address asks for is not one of ours.")),
    };
    let show = match tab {
        Tab::All => Show::All,
        Tab::ForMe => Show::ForMe(member.actor().person),
        Tab::Unread => Show::Unread(member.actor().person),
        Tab::Open => Show::Open,
    };
    let query = ListQuery { before, author, show, limit: PAGE_SIZE };
    let (site, session) = (&request.site, member.session());
    let listed = match tab {
        Tab::All | Tab::Open => state.lists.list(&site.store, session.as_of, query).await?,
        // It is the reader's own, and changes with what is opened or done.
        Tab::ForMe | Tab::Unread => read(&site.store, query).await?,
    };
    let Listed { list, conversations, shows, newest } = listed;
    let Marked { marks, looked_at } = state.marks.of(&site.store, session, &conversations).await?;
    state.shown.record(&site.store, member.actor(), &shows, request.at).await?;
    let first_page = before.is_none() && author.is_none() && tab == Tab::All;
    Reply::page(&InboxPage {
        frame: Frame::of(&member, &request).with_all_urgent(&member).with_notice(notice(request.query.get("notice"))),
        reader: member.actor().person.get(),
        list,
        marks,
        duties: Arc::clone(&member.duties().marks),
        kept_draft: kept_draft(&request, &member).await?,
        tab,
        looked_at: looked_at.filter(|_| !matches!(tab, Tab::ForMe | Tab::Unread)),
        updates_url: first_page.then(|| format!("/messages/updates?after={newest}")),
    })
}

/// When the draft was saved that somebody is told of after signing in.
async fn kept_draft(request: &Request, member: &Member) -> Result<Option<Time>, PageError> {
    if request.query.get("notice") != Some("draft") {
        return Ok(None);
    }
    let draft = request.site.store.draft(member.actor().person, None).await?;
    Ok(draft.map(|draft| draft.saved_at.into()))
}

/// `GET /messages/go?number=7`: to the message of that number, which may be written `#7`.
pub async fn go(request: Request, _: Member) -> Result<Reply, PageError> {
    let typed = request.query.text("number").trim();
    let id: Option<MessageId> = typed.trim_start_matches('#').trim_start().parse().ok();
    let found = match id {
        Some(id) => request.site.store.message_summary(id).await?.map(|message| message.id),
        None => None,
    };
    Ok(Reply::see_other(
        &found.map_or_else(|| "/messages?notice=no-message".to_owned(), |id| format!("/messages/{id}")),
    ))
}

/// A list from the database.
pub(super) async fn read(store: &Store, query: ListQuery) -> Result<Listed, PageError> {
    let list = store.list_conversations(query).await?;
    // Read after the list: what is newer in it than `newest` is only shown the sooner.
    let authors = choices(store.authors().await?, query.author);
    let mut shows: Vec<MessageId> = list.conversations.iter().filter_map(ConversationSummary::shows_subject).collect();
    // They stand in the order of their newest messages.
    shows.sort_unstable_by_key(|message| Reverse(*message));
    let conversations = list.conversations.iter().map(|found| found.root).collect();
    let rows = list.conversations.into_iter().map(row);
    let shown = InboxList {
        rows: rows.collect::<Result<_, _>>().map_err(PageError::Template)?,
        authors: Rendered::of(&Choices(&authors)).map_err(PageError::Template)?,
        author: query.author.map(PersonId::get),
        older_url: list.next.map(|id| url(Some(id), query)),
        newest_url: query.before.map(|_| url(None, query)),
    };
    Ok(Listed { list: Arc::new(shown), conversations, shows: shows.into(), newest: list.newest_event })
}

fn optional<T: std::str::FromStr>(request: &Request, name: &str, wrong: &'static str) -> Result<Option<T>, PageError> {
    request.query.get(name).map(|text| text.parse().map_err(|_| PageError::BadRequest(wrong))).transpose()
}

fn url(before: Option<MessageId>, query: ListQuery) -> String {
    let tab = match query.show {
        Show::All => Tab::All,
        Show::ForMe(_) => Tab::ForMe,
        Show::Unread(_) => Tab::Unread,
        Show::Open => Tab::Open,
    };
    list_url(before, query.author.map(PersonId::get), tab)
}

fn choices(authors: Vec<Author>, selected: Option<PersonId>) -> Vec<Choice> {
    authors
        .into_iter()
        .map(|author| Choice {
            value: author.id.to_string(),
            selected: selected == Some(author.id),
            label: author.name.into(),
        })
        .collect()
}

fn notice(code: Option<&str>) -> Option<&'static str> {
    match code? {
        "sent" => Some("Message sent."),
        "rows-sent" => Some("All rows are sent."),
        "rows-sent-template-gone" => Some("All rows are sent. Somebody has deleted their template meanwhile."),
        "deleted" => Some("Message deleted. Backups keep copies until they expire."),
        "discarded" => Some("Draft discarded."),
        "done" => Some("The conversation is done."),
        "unread" => Some("Marked as unread."),
        "no-message" => Some("There is no message with that number."),
        _ => None,
    }
}
