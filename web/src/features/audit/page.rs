//! `GET /audit`: who did what, newest first, filtered and paged by its address. Looking is itself a row.

use std::sync::Arc;

use store::{Action, AuditId, AuditRow, Person};

use super::chain_watch::ChainWatch;
use super::filter::{self, ParsedFilter};
use super::label;
use crate::app::access::Member;
use crate::app::pages::{Choice, Frame, Shown, Time};
use crate::app::request::Request;
use crate::features::audit::pages::{AuditPage, AuditRowView, ChainBanner};
use crate::http::error::PageError;
use crate::http::reply::Reply;

/// Rows on a page.
const PAGE_SIZE: u32 = 100;

/// The page.
pub async fn show(chain: Arc<ChainWatch>, request: Request, member: Member) -> Result<Reply, PageError> {
    let before: Option<AuditId> = request
        .query
        .get("before")
        .map(|text| {
            text.parse().map_err(|_| PageError::BadRequest("The page number in the address is not one of ours."))
        })
        .transpose()?;
    let parsed = filter::parse(&request.query);
    let store = &request.site.store;
    let found = store.view_audit(member.actor(), parsed.filter.clone(), before, PAGE_SIZE, request.at).await?;
    let people = store.people().await?;
    let chain: ChainBanner = chain.up_to_date(found.head).await;
    let oldest = found.rows.last().map(|row| row.id);
    Reply::page(&AuditPage {
        frame: Frame::of(&member, &request),
        chain,
        people: person_choices(people, &parsed),
        actions: action_choices(&parsed),
        older_url: oldest.filter(|_| found.older).map(|id| parsed.url("/audit", Some(("before", id.to_string())))),
        newest_url: before.map(|_| parsed.url("/audit", None)),
        csv_url: parsed.url("/audit/export.csv", None),
        jsonl_url: parsed.url("/audit/export.jsonl", None),
        filtered: parsed.is_set(),
        lists_shown: !parsed.filter.without_lists,
        rows: found.rows.into_iter().map(row_view).collect(),
        from: parsed.from,
        to: parsed.to,
        filter_error: parsed.error,
    })
}

fn row_view(row: AuditRow) -> AuditRowView {
    let action = Action::parse(&row.action);
    let detail = label::detail(&row);
    let (person, email) = match row.person {
        Some(person) => (person.name, person.email),
        None => ("Nobody signed in".to_owned(), String::new()),
    };
    let message_label = row.message.map(|id| row.subject.clone().unwrap_or_else(|| format!("message {id} (deleted)")));
    AuditRowView {
        id: row.id.get(),
        at: Time::to_the_second(row.at),
        person: person.into(),
        email: email.into(),
        words: action.map_or_else(|| row.action.as_str().into(), |action| label::of(action).into()),
        action: row.action.into(),
        message_url: row.message.filter(|_| row.subject.is_some()).map(|id| format!("/messages/{id}")),
        message_label: message_label.map(Shown::from),
        detail: detail.into(),
        ip: row.ip.unwrap_or_default().into(),
        hash: row.hash.to_string(),
    }
}

fn person_choices(people: Vec<Person>, parsed: &ParsedFilter) -> Vec<Choice> {
    people
        .into_iter()
        .map(|person| Choice {
            value: person.id.to_string(),
            label: format!("{} ({})", person.name, person.email).into(),
            selected: parsed.filter.person == Some(person.id),
        })
        .collect()
}

fn action_choices(parsed: &ParsedFilter) -> Vec<Choice> {
    Action::ALL
        .iter()
        .map(|action| Choice {
            value: action.as_str().to_owned(),
            label: label::of(*action).into(),
            selected: parsed.filter.action == Some(*action),
        })
        .collect()
}
