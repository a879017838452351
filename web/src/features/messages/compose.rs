//! Writing a message: the form, and sending it. A form that cannot be sent comes back with all that was typed.

use std::sync::Arc;
use std::time::Instant;

use http::{StatusCode, header};
use serde_json::json;
use store::{Body, IdempotencyKey, NewMessage, Sent, StoreError, Subject};

use super::Messages;
use super::recipients::Recipients;

use crate::app::access::Member;
use crate::app::errors::RETRY_AFTER_SECONDS;
use crate::app::pages::{Frame, Time};
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::features::messages::pages::{ComposePage, RecipientsError};
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// `GET /messages/new`: an empty form, or the draft that was left.
pub async fn show(state: Arc<Messages>, request: Request, member: Member) -> Result<Reply, PageError> {
    let draft = request.site.store.draft(member.actor().person, None).await?;
    let typed = match draft {
        Some(draft) => Typed {
            seen: draft.version().to_string(),
            key: draft.key,
            subject: draft.subject,
            body: draft.body,
            recipients: draft.addressed.into(),
            saved: Some(draft.saved_at.into()),
        },
        None => Typed {
            key: request.site.store.fresh_key(),
            seen: String::new(),
            subject: String::new(),
            body: String::new(),
            recipients: Recipients::default(),
            saved: None,
        },
    };
    form_again(&state, &request, &member, typed, FieldErrors::default()).await
}

/// `POST /messages`: to the list, or `{"sent": true}` for a script; with an error, the form again.
pub async fn send(
    state: Arc<Messages>,
    request: Request,
    member: Member,
    form: CsrfChecked<Form>,
) -> Result<Reply, PageError> {
    let form = form.into_inner();
    let mut typed = typed(&form)?;
    let (subject, body) = match (Subject::parse(&typed.subject), Body::parse(&typed.body)) {
        (Ok(subject), Ok(body)) => (subject, body),
        (subject, body) => {
            let errors = FieldErrors {
                subject: subject.err().map(|error| error.to_string()),
                body: body.err().map(|error| error.to_string()),
                ..FieldErrors::default()
            };
            let reply = form_again(&state, &request, &member, typed, errors).await?;
            return Ok(reply.with_status(StatusCode::UNPROCESSABLE_ENTITY));
        }
    };
    let within = request.over_limit.map_or_else(|| request.site.limits.send(member.actor().person), Err);
    if let Err(too_many) = within {
        let errors = FieldErrors { form: Some(too_many.explanation()), ..FieldErrors::default() };
        let reply = form_again(&state, &request, &member, typed, errors).await?;
        let reply = reply.with_status(StatusCode::TOO_MANY_REQUESTS);
        return Ok(reply.with(header::RETRY_AFTER, &too_many.seconds().to_string()));
    }
    let store = &request.site.store;
    if let Some(away) = typed.recipients.not_told_of(store, member.actor().person).await? {
        let errors = FieldErrors { recipients: Some(away), ..FieldErrors::default() };
        let reply = form_again(&state, &request, &member, typed, errors).await?;
        return Ok(reply.with_status(StatusCode::UNPROCESSABLE_ENTITY));
    }
    let message = NewMessage { subject, body, addressed: typed.recipients.addressed.clone(), key: typed.key };
    let (status, errors) = match store.send_message(member.actor(), message, request.at).await {
        Ok(Sent::Created(_) | Sent::Repeated(_)) => return Ok(sent(&request, "/messages?notice=sent")),
        Ok(Sent::KeyReused(id)) => {
            typed.key = store.fresh_key();
            let problem = format!(
                "This form was sent before, as message {id}, with another text or for others. Send it again to make it a second message."
            );
            (StatusCode::CONFLICT, FieldErrors { form: Some(problem), ..FieldErrors::default() })
        }
        Ok(Sent::NotAddressed(error)) => {
            let everybody = state.everybody.as_of(store, member.session().as_of).await?;
            let recipients = Some(everybody.explain(error));
            (StatusCode::UNPROCESSABLE_ENTITY, FieldErrors { recipients, ..FieldErrors::default() })
        }
        Err(error @ (StoreError::DiskFull | StoreError::Busy)) => {
            if request.site.log_throttle.allows("message_not_stored", Instant::now()) {
                tracing::error!(request_id = %request.visitor.request_id, %error, "a message could not be stored");
            }
            let errors = FieldErrors { form: Some(cannot_store(&error)), ..FieldErrors::default() };
            let reply = form_again(&state, &request, &member, typed, errors).await?;
            let reply = reply.with_status(StatusCode::SERVICE_UNAVAILABLE);
            return Ok(reply.with(header::RETRY_AFTER, &RETRY_AFTER_SECONDS.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(form_again(&state, &request, &member, typed, errors).await?.with_status(status))
}

/// The form with what was typed, and what is wrong with it.
pub(super) async fn again(
    state: &Messages,
    request: &Request,
    member: &Member,
    form: &Form,
    problem: &str,
) -> Result<Reply, PageError> {
    let errors = FieldErrors { form: Some(problem.to_owned()), ..FieldErrors::default() };
    Ok(form_again(state, request, member, typed(form)?, errors).await?.with_status(StatusCode::CONFLICT))
}

fn typed(form: &Form) -> Result<Typed, PageError> {
    Ok(Typed {
        key: key_of(form)?,
        seen: form.text("seen").to_owned(),
        subject: form.text("subject").to_owned(),
        body: form.text("body").to_owned(),
        recipients: Recipients::of(form),
        saved: None,
    })
}

/// The form's own number.
pub(super) fn key_of(form: &Form) -> Result<IdempotencyKey, PageError> {
    form.get("key").and_then(IdempotencyKey::parse).ok_or(PageError::BadRequest(
        "The form's own number is missing. Open the message again and send it from there.",
    ))
}

/// A script is told in words of ours that the message is stored: a redirect, or any page, may come from something between
/// the browser and the site, and then nothing was sent.
pub(super) fn sent(request: &Request, next: &str) -> Reply {
    if request.accepts("application/json") {
        Reply::json(&json!({ "sent": true, "next": next }))
    } else {
        Reply::see_other(next)
    }
}

pub(super) fn cannot_store(error: &StoreError) -> String {
    let text = match error {
        StoreError::DiskFull => {
            "There is no room left to store the message. It is not lost: leave this page open, tell the person who runs Wardpost that its disk is full, and send it again later."
        }
        _ => "Wardpost is very busy and the message is not sent yet. Send it again in a few seconds.",
    };
    text.to_owned()
}

struct Typed {
    key: IdempotencyKey,
    /// The version of the draft that the page has seen.
    seen: String,
    subject: String,
    body: String,
    recipients: Recipients,
    saved: Option<Time>,
}

#[derive(Default)]
struct FieldErrors {
    subject: Option<String>,
    body: Option<String>,
    recipients: Option<RecipientsError>,
    form: Option<String>,
}

async fn form_again(
    state: &Messages,
    request: &Request,
    member: &Member,
    typed: Typed,
    errors: FieldErrors,
) -> Result<Reply, PageError> {
    let recipients = state.everybody.form(request, member, &typed.recipients, errors.recipients).await?;
    Reply::page(&ComposePage {
        frame: Frame::of(member, request).with_notice(notice(request.query.get("notice"))),
        key: typed.key.to_string(),
        subject: typed.subject,
        body: typed.body,
        recipients,
        subject_error: errors.subject,
        body_error: errors.body,
        problem: errors.form,
        draft_version: typed.seen,
        draft_saved: typed.saved,
        max_subject: Subject::MAX_CHARS,
        max_body: Body::MAX_CHARS,
    })
}

fn notice(code: Option<&str>) -> Option<&'static str> {
    (code? == "other-draft")
        .then_some("Nothing was discarded: your draft was changed in another tab or browser. Here it is.")
}
