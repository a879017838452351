//! `GET /messages`: everybody's messages, newest first, perhaps of one author.

use std::cmp::Reverse;
use std::sync::Arc;

use store::{Author, ListQuery, MessageId, MessageSummary, PersonId, Store};

use super::list_cache::Listed;
use super::{Messages, row};
use crate::app::access::Member;
use crate::app::pages::{Choice, Frame, Rendered};
use crate::app::request::Request;
use crate::features::messages::pages::{Choices, InboxList, InboxPage, ListedRow};
use crate::http::error::PageError;
use crate::http::form;
use crate::http::reply::Reply;

/// Messages on a page.
const PAGE_SIZE: u32 = 50;

/// The list.
pub async fn show(state: Arc<Messages>, request: Request, member: Member) -> Result<Reply, PageError> {
    let before: Option<MessageId> = optional(&request, "before", "The page number in the address is not one of ours.")?;
    let author: Option<PersonId> = optional(&request, "author", "The author in the address is not a number of ours.")?;
    let query = ListQuery { before, author, limit: PAGE_SIZE };
    let site = &request.site;
    let Listed { list, messages, newest } = state.lists.list(&site.store, member.session().as_of, query).await?;
    state.shown.record(&site.store, member.actor(), &messages, request.at).await?;
    let first_page = before.is_none() && author.is_none();
    Reply::page(&InboxPage {
        frame: Frame::of(&member, &request).with_notice(notice(request.query.get("notice"))),
        reader: member.actor().person.get(),
        list,
        updates_url: first_page.then(|| format!("/messages/updates?after={newest}")),
    })
}

/// A list from the database, for all readers.
pub(super) async fn read(store: &Store, query: ListQuery) -> Result<Listed, PageError> {
    let list = store.list_messages(query).await?;
    // Read after the list: what is newer in it than `newest` is only shown the sooner.
    let authors = choices(store.authors().await?, query.author);
    let oldest = list.messages.last().map(|message| message.id);
    let mut messages: Vec<MessageId> = list.messages.iter().filter_map(MessageSummary::shows_subject).collect();
    // One author's are in the order of their times.
    messages.sort_unstable_by_key(|message| Reverse(*message));
    let rows = list.messages.into_iter().map(|message| ListedRow::new(message.author.id.get(), row(message)));
    let shown = InboxList {
        rows: rows.collect::<Result<_, _>>().map_err(PageError::Template)?,
        authors: Rendered::of(&Choices(&authors)).map_err(PageError::Template)?,
        older_url: oldest.filter(|_| list.older).map(|id| url(Some(id), query.author)),
        newest_url: query.before.map(|_| url(None, query.author)),
        filtered: query.author.is_some(),
    };
    Ok(Listed { list: Arc::new(shown), messages: messages.into(), newest: list.newest_event })
}

fn optional<T: std::str::FromStr>(request: &Request, name: &str, wrong: &'static str) -> Result<Option<T>, PageError> {
    request.query.get(name).map(|text| text.parse().map_err(|_| PageError::BadRequest(wrong))).transpose()
}

fn url(before: Option<MessageId>, author: Option<PersonId>) -> String {
    let pairs = [("before", before.map(|id| id.to_string())), ("author", author.map(|id| id.to_string()))];
    let set = pairs.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let query = form::encode(set);
    if query.is_empty() { "/messages".to_owned() } else { format!("/messages?{query}") }
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
        "deleted" => Some("Message deleted."),
        "discarded" => Some("Draft discarded."),
        "draft" => Some("You have an unfinished message. Write a message to go on with it."),
        _ => None,
    }
}
