//! `GET /audit`: who did what, newest first, filtered and paged by its address. Looking is itself a row.

use std::collections::HashMap;
use std::sync::Arc;

use store::{Action, AuditId, AuditRow, Person};

use super::chain_watch::ChainWatch;
use super::filter::{self, ParsedFilter};
use super::sentence::Names;
use super::{code_label, label, sentence};
use crate::app::access::Member;
use crate::app::pages::{Choice, Frame, Time};
use crate::app::request::Request;
use crate::features::audit::pages::{AuditPage, AuditRowView, ChainBanner, Preset};
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
    let found = match parsed.error {
        None => store.view_audit(member.actor(), parsed.filter.clone(), before, PAGE_SIZE, request.at).await?,
        // Rows of another filter than the one that was asked for would be taken for its own.
        Some(_) => store::AuditPage { rows: Vec::new(), older: false, head: store.audit_head().await?.id },
    };
    let people = store.people().await?;
    let names = Names::of(&people, store.team_names().await?);
    let chain: ChainBanner = chain.up_to_date(found.head).await;
    let oldest = found.rows.last().map(|row| row.id);
    Reply::page(&AuditPage {
        frame: Frame::of(&member, &request),
        chain,
        people: person_choices(&people, &parsed),
        actions: action_choices(&parsed),
        older_url: oldest.filter(|_| found.older).map(|id| parsed.url("/audit", Some(("before", id.to_string())))),
        newest_url: before.map(|_| parsed.url("/audit", None)),
        csv_url: parsed.url("/audit/export.csv", None),
        jsonl_url: parsed.url("/audit/export.jsonl", None),
        filtered: parsed.is_set(),
        lists_shown: !parsed.filter.without_looks,
        rows: found.rows.into_iter().map(|row| row_view(row, &names)).collect(),
        presets: [("Today", (0, 0)), ("Yesterday", (1, 1)), ("Last 7 days", (6, 0))].map(|(name, days)| {
            let url = parsed.days_url(request.at, days.0, days.1);
            Preset { name, in_force: url == parsed.url("/audit", None), url, days }
        }),
        of_message: parsed.filter.message,
        filter_words: code_label::filter(&parsed.filter.details(), &names).into(),
        made: Time::to_the_second(request.at),
        from: parsed.from,
        to: parsed.to,
        message: parsed.message,
        filter_error: parsed.error,
    })
}

fn row_view(row: AuditRow, names: &Names) -> AuditRowView {
    AuditRowView {
        id: row.id.get(),
        at: Time::to_the_second(row.at),
        sentence: sentence::of(&row, names),
        detail: label::detail(&row).into(),
        email: row.person.map(|person| person.email).unwrap_or_default().into(),
        action: row.action.into(),
        ip: row.ip.unwrap_or_default().into(),
        hash: row.hash.to_string(),
    }
}

/// Each by the name alone, which fits a small screen; those who share one by their address too.
fn person_choices(people: &[Person], parsed: &ParsedFilter) -> Vec<Choice> {
    let mut bearers: HashMap<&str, usize> = HashMap::new();
    for person in people {
        *bearers.entry(&person.name).or_default() += 1;
    }
    let label = |person: &Person| match bearers[person.name.as_str()] {
        1 => person.name.clone(),
        _ => format!("{} ({})", person.name, person.email),
    };
    people
        .iter()
        .map(|person| Choice {
            value: person.id.to_string(),
            label: label(person).into(),
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
