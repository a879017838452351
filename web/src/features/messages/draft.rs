//! The half-written message of each member: kept in the encrypted database, never in the browser, since ward
//! computers are shared. A page says which draft it has seen, so that two tabs do not overwrite each other.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{StatusCode, header};
use serde_json::json;
use store::{Draft, DraftSaved, DraftVersion, IdempotencyKey, MessageId, Seen, Timestamp, UrgentPolicy};

use super::recipients::Recipients;
use super::{Messages, compose};
use crate::app::access::Member;
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// `POST /draft`: what is being written, as the page saves it from time to time. 204 with the draft's version as its
/// ETag; 409 with the other draft where the page has not seen it, or with `sent` where the message is out.
pub async fn save(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    // The page keeps the text and tries again. A session that has ended cannot: its draft was kept before we came here.
    if let Some(too_many) = request.over_limit {
        return Err(too_many.into());
    }
    request.site.limits.draft(member.actor().person)?;
    let (draft, seen) = from_form(&form.into_inner(), request.at)
        .ok_or(PageError::BadRequest("A draft needs its key, and a subject or a text."))?;
    Ok(match request.site.store.save_draft(member.actor(), draft, seen).await? {
        DraftSaved::Kept(version) => Reply::no_content().with(header::ETAG, &format!("\"{version}\"")),
        DraftSaved::Other(other) => conflict(&other),
        DraftSaved::NoConversation => return Err(PageError::NotFound),
        DraftSaved::Sent => Reply::json(&json!({ "sent": true })).with_status(StatusCode::CONFLICT),
    })
}

/// `POST /draft/discard`: to the list, or 204 for a script. Where another draft is there that the page has not seen, that one
/// stays: the form with it, or 409 for a script.
pub async fn discard(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let form = form.into_inner();
    let key = form.get("key").and_then(IdempotencyKey::parse).unwrap_or_else(|| request.site.store.fresh_key());
    let other =
        request.site.store.discard_draft(member.actor(), conversation(&form), key, seen(&form), request.at).await?;
    Ok(match (other, request.accepts("application/json")) {
        (None, true) => Reply::no_content(),
        (None, false) => match conversation(&form) {
            Some(root) => Reply::see_other(&format!("/messages/{root}?notice=discarded")),
            None => Reply::see_other("/messages?notice=discarded"),
        },
        (Some(other), true) => conflict(&other),
        (Some(_), false) => match conversation(&form) {
            Some(root) => Reply::see_other(&format!("/messages/{root}?notice=other-draft")),
            None => Reply::see_other("/messages/new?notice=other-draft"),
        },
    })
}

/// `POST /draft/leave`, of a browser without the script: keeps what was written, and goes to the list. Where another draft is
/// there that the page has not seen, the form comes back.
pub async fn leave(
    state: Arc<Messages>,
    request: Request,
    member: Member,
    form: CsrfChecked<Form>,
) -> Result<Reply, PageError> {
    if let Some(too_many) = request.over_limit {
        return Err(too_many.into());
    }
    let form = form.into_inner();
    let Some((draft, seen)) = from_form(&form, request.at) else { return Ok(Reply::see_other("/messages")) };
    request.site.limits.draft(member.actor().person)?;
    match request.site.store.save_draft(member.actor(), draft, seen).await? {
        DraftSaved::Kept(_) => Ok(Reply::see_other("/messages?notice=draft")),
        DraftSaved::Sent => Ok(Reply::see_other("/messages")),
        DraftSaved::NoConversation => Err(PageError::NotFound),
        DraftSaved::Other(_) => {
            let problem = "You have another draft, which was saved in another tab or browser. Send this one, or copy it before you leave.";
            compose::again(&state, &request, &member, &form, problem).await
        }
    }
}

fn conflict(other: &Draft) -> Reply {
    let draft = json!({
        "key": other.key.to_string(),
        "seen": other.version().to_string(),
        "subject": other.subject,
        "body": other.body,
        "person": texts(&other.addressed.people),
        "team": texts(&other.addressed.teams),
        "urgent": other.addressed.urgent.map_or("", |_| "1"),
        "policy": other.addressed.urgent.map(UrgentPolicy::as_str),
        "saved_at": other.saved_at.to_rfc3339(),
    });
    Reply::json(&json!({ "draft": draft })).with_status(StatusCode::CONFLICT)
}

/// As a form's fields have them.
fn texts<T: ToString>(ids: &BTreeSet<T>) -> Vec<String> {
    ids.iter().map(T::to_string).collect()
}

/// The draft in a compose form, and which one its page has seen; None when it is not one, or has no text: whom it would be for is
/// kept with a text alone.
pub fn from_form(form: &Form, at: Timestamp) -> Option<(Draft, Seen)> {
    let key = IdempotencyKey::parse(form.get("key")?)?;
    let subject: String = form.text("subject").chars().take(Draft::MAX_SUBJECT_CHARS).collect();
    let body: String = form.text("body").chars().take(Draft::MAX_BODY_CHARS).collect();
    let empty = subject.trim().is_empty() && body.trim().is_empty();
    let conversation = conversation(form);
    let Recipients { addressed, .. } = Recipients::of(form);
    (!empty).then(|| (Draft { conversation, key, subject, body, addressed, saved_at: at }, seen(form)))
}

/// The conversation that a form is a reply in; None where it begins one.
pub fn conversation(form: &Form) -> Option<MessageId> {
    form.get("reply_to").and_then(|text| text.parse().ok())
}

/// Which draft the page of a form has seen.
pub fn seen(form: &Form) -> Seen {
    match form.value("seen") {
        None => Seen::Unknown,
        Some("") => Seen::Nothing,
        Some(text) => DraftVersion::parse(text).map_or(Seen::Unknown, Seen::Version),
    }
}
