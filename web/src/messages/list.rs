//! `GET /messages`: everybody's messages, newest first, perhaps of one author.

use store::{Author, ListQuery, MessageId, PersonId};

use super::row;
use crate::access::Member;
use crate::form;
use crate::page_error::PageError;
use crate::pages::{Choice, Frame, InboxPage};
use crate::reply::Reply;
use crate::request::Request;

/// Messages on a page.
const PAGE_SIZE: u32 = 50;

/// The list.
pub async fn show(request: Request, member: Member) -> Result<Reply, PageError> {
    let before: Option<MessageId> = optional(&request, "before", "The page number in the address is not one of ours.")?;
    let author: Option<PersonId> = optional(&request, "author", "The author in the address is not a number of ours.")?;
    let store = &request.site.store;
    let query = ListQuery { before, author, limit: PAGE_SIZE };
    let list = store.list_messages(query).await?;
    let authors = store.authors().await?;

    let oldest = list.messages.last().map(|message| message.id);
    let first_page = before.is_none() && author.is_none();
    let page = InboxPage {
        frame: Frame::of(&member, &request).with_notice(notice(request.query.get("notice"))),
        older_url: oldest.filter(|_| list.older).map(|id| url(Some(id), author)),
        newest_url: before.map(|_| url(None, author)),
        updates_url: first_page.then(|| format!("/messages/updates?after={}", list.newest_event)),
        filtered: author.is_some(),
        authors: choices(authors, author),
        rows: list.messages.into_iter().map(|message| row(message, Some(member.actor().person))).collect(),
    };
    Reply::page(&page)
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
