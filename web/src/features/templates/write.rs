//! Filling the form of a template. Each row that has a text becomes a message of its own, "Room 3: Handover, evening"; all of
//! them are sent at once. The form carries its own rows, so that it can be sent as it was written though somebody has changed
//! or deleted the template meanwhile.

use std::collections::BTreeMap;
use std::time::Instant;

use http::{StatusCode, header};
use serde_json::json;
use store::{
    Body, DraftVersion, FilledRow, IdempotencyKey, RowsSent, Seen, Sent, StoreError, Subject, Template, TemplateDraft,
    TemplateDraftSaved, TemplateId, TemplateRows, TemplateTexts, Timestamp,
};

use crate::app::access::Member;
use crate::app::errors::RETRY_AFTER_SECONDS;
use crate::app::pages::{Frame, Time};
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::features::templates::pages::{FieldView, WriteTemplatePage};
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// More rows than a form of ours ever has: those of a template, and of a draft those that have gone from it since.
const MAX_ROWS: usize = 2 * TemplateRows::MAX;

/// `GET /templates/{}/write`: the form, with what was left half written in it.
pub async fn show(request: Request, member: Member) -> Result<Reply, PageError> {
    let id = request.id().ok_or(PageError::NotFound)?;
    let (store, person) = (&request.site.store, member.actor().person);
    let (template, draft) = (store.template(id).await?, store.template_draft(person, id).await?);
    let typed = match (&template, draft) {
        (_, Some(draft)) => Typed {
            key: draft.key,
            seen: draft.version().to_string(),
            saved: Some(draft.saved_at.into()),
            texts: draft.texts,
        },
        (Some(template), None) => Typed {
            key: store.fresh_key(),
            seen: String::new(),
            saved: None,
            texts: TemplateTexts { subject: template.name.as_str().to_owned(), rows: Vec::new() },
        },
        (None, None) => return Err(PageError::NotFound),
    };
    let typed = with_rows_of(typed, template.as_ref());
    page(&request, &member, id, template.as_ref(), typed, Errors::default())
}

/// `POST /templates/{}/send`: to the list, or `{"sent": true}` for a script; with a fault, the form again. A form whose template was
/// deleted meanwhile is sent as any other.
pub async fn send(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let (id, form) = (request.id().ok_or(PageError::NotFound)?, form.into_inner());
    let store = &request.site.store;
    let template = store.template(id).await?;
    if template.is_none() && !store.template_was_made(id).await? {
        return Err(PageError::NotFound);
    }
    let mut typed = Typed::of(&form)?;
    let again = |typed, errors, status| {
        Ok::<_, PageError>(page(&request, &member, id, template.as_ref(), typed, errors)?.with_status(status))
    };
    let rows = match typed.filled() {
        Ok(rows) => rows,
        Err(errors) => return again(typed, errors, StatusCode::UNPROCESSABLE_ENTITY),
    };
    let within = request.over_limit.map_or_else(|| request.site.limits.send(member.actor().person), Err);
    if let Err(too_many) = within {
        let reply = again(typed, Errors::of(too_many.explanation()), StatusCode::TOO_MANY_REQUESTS)?;
        return Ok(reply.with(header::RETRY_AFTER, &too_many.seconds().to_string()));
    }
    match store.send_rows(member.actor(), id, typed.key, rows, request.at).await {
        Ok(RowsSent::Sent(_)) => Ok(sent(&request, template.is_some())),
        Ok(RowsSent::KeyReused(before)) => {
            typed.leave_out(&before, store.fresh_key());
            let problem = "This form was sent before. What has changed in it since stands below; what was sent as it is was left out. Send it again to make new messages of it.";
            again(typed, Errors::of(problem.to_owned()), StatusCode::CONFLICT)
        }
        Err(error @ (StoreError::DiskFull | StoreError::Busy)) => {
            if request.site.log_throttle.allows("message_not_stored", Instant::now()) {
                tracing::error!(request_id = %request.visitor.request_id, %error, "messages could not be stored");
            }
            let reply = again(typed, Errors::of(cannot_store(&error)), StatusCode::SERVICE_UNAVAILABLE)?;
            Ok(reply.with(header::RETRY_AFTER, &RETRY_AFTER_SECONDS.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /templates/{}/draft`: what is being written. For a script 204 with the draft's version as its ETag, or 409; else the
/// form again, as it was kept.
pub async fn save(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    if let Some(too_many) = request.over_limit {
        return Err(too_many.into());
    }
    request.site.limits.draft(member.actor().person)?;
    let (id, form) = (request.id::<TemplateId>().ok_or(PageError::NotFound)?, form.into_inner());
    let mut typed = Typed::of(&form)?;
    let draft = typed.draft(id, request.at);
    let store = &request.site.store;
    let scripted = request.accepts("application/json");
    match (store.save_template_draft(member.actor(), draft, seen(&typed.seen)).await?, scripted) {
        (TemplateDraftSaved::Kept(version), true) => {
            Ok(Reply::no_content().with(header::ETAG, &format!("\"{version}\"")))
        }
        (TemplateDraftSaved::Kept(_), false) => Ok(Reply::see_other(&format!("/templates/{id}/write?notice=saved"))),
        (TemplateDraftSaved::Other(other), true) => {
            let draft = json!({ "seen": other.version().to_string(), "saved_at": other.saved_at.to_rfc3339() });
            Ok(Reply::json(&json!({ "draft": draft })).with_status(StatusCode::CONFLICT))
        }
        (TemplateDraftSaved::Other(other), false) => {
            typed.seen = other.version().to_string();
            let template = store.template(id).await?;
            let problem = "You have written in this form in another tab or browser, too. Nothing was saved. Save again here to replace what is there.";
            let errors = Errors::of(problem.to_owned());
            let reply = page(&request, &member, id, template.as_ref(), typed, errors)?;
            Ok(reply.with_status(StatusCode::CONFLICT))
        }
        (TemplateDraftSaved::Sent, true) => Ok(Reply::json(&json!({ "sent": true })).with_status(StatusCode::CONFLICT)),
        (TemplateDraftSaved::Sent, false) => Ok(Reply::see_other("/messages?notice=rows-sent")),
        (TemplateDraftSaved::Missing, _) => Err(PageError::NotFound),
    }
}

/// `POST /templates/{}/discard`: what was half written goes.
pub async fn discard(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let id = request.id().ok_or(PageError::NotFound)?;
    request.site.store.discard_template_draft(member.actor(), id, request.at).await?;
    Ok(Reply::see_other("/templates?notice=discarded"))
}

/// The draft in a form whose session has just ended.
pub fn keep(form: &Form, at: Timestamp) -> Option<(TemplateDraft, Seen)> {
    let typed = Typed::of(form).ok()?;
    let draft = typed.draft(form.text("template").parse().ok()?, at);
    (!draft.texts.is_empty()).then(|| (draft, seen(&typed.seen)))
}

fn seen(text: &str) -> Seen {
    if text.is_empty() { Seen::Nothing } else { DraftVersion::parse(text).map_or(Seen::Unknown, Seen::Version) }
}

/// A script is told in words of ours, as for a single message.
fn sent(request: &Request, has_template: bool) -> Reply {
    let next = if has_template { "/messages?notice=rows-sent" } else { "/messages?notice=rows-sent-template-gone" };
    if request.accepts("application/json") {
        Reply::json(&json!({ "sent": true, "next": next }))
    } else {
        Reply::see_other(next)
    }
}

fn cannot_store(error: &StoreError) -> String {
    let text = match error {
        StoreError::DiskFull => {
            "There is no room left to store the messages. They are not lost: leave this page open, tell the person who runs Wardpost that its disk is full, and send them again later."
        }
        _ => "Wardpost is very busy and nothing is sent yet. Send it again in a few seconds.",
    };
    text.to_owned()
}

/// What was typed.
struct Typed {
    key: IdempotencyKey,
    /// The version of the draft that the page has seen.
    seen: String,
    saved: Option<Time>,
    texts: TemplateTexts,
}

#[derive(Default)]
struct Errors {
    whole: Option<String>,
    subject: Option<String>,
    /// By the row's place, from 0 on.
    rows: BTreeMap<usize, String>,
}

impl Errors {
    fn of(problem: String) -> Self {
        Self { whole: Some(problem), ..Self::default() }
    }
}

impl Typed {
    /// Out of the fields `label-1` and `text-1`, `label-2` and so on, up to the first number that is not there.
    fn of(form: &Form) -> Result<Self, PageError> {
        let key = form.get("key").and_then(IdempotencyKey::parse).ok_or(PageError::BadRequest(
            "The form's own number is missing. Open the template again and send it from there.",
        ))?;
        let row = |number: usize| {
            let label = form.get(&format!("label-{number}"))?;
            Some((label.to_owned(), form.text(&format!("text-{number}")).to_owned()))
        };
        let rows = (1..=MAX_ROWS).map_while(row).collect();
        let texts = TemplateTexts { subject: form.text("subject").to_owned(), rows };
        Ok(Self { key, seen: form.text("seen").to_owned(), saved: None, texts })
    }

    fn draft(&self, template: TemplateId, at: Timestamp) -> TemplateDraft {
        TemplateDraft { template, key: self.key, texts: self.texts.clone(), saved_at: at }
    }

    /// The rows that have a text, or everything that is wrong with them.
    fn filled(&self) -> Result<Vec<FilledRow>, Errors> {
        let mut errors = Errors::default();
        let mut filled = Vec::new();
        for (at, (label, text)) in self.texts.rows.iter().enumerate().filter(|(_, (_, text))| !text.trim().is_empty()) {
            let subject = match self.texts.subject.trim() {
                "" => Subject::parse(label),
                end => Subject::parse(&format!("{label}: {end}")),
            };
            match (subject, Body::parse(text)) {
                (Ok(subject), Ok(body)) => filled.push(FilledRow { label: label.clone(), subject, body }),
                (subject, body) => {
                    errors.subject = subject.err().map(|error| error.to_string()).or(errors.subject);
                    if let Err(error) = body {
                        errors.rows.insert(at, error.to_string());
                    }
                }
            }
        }
        if errors.subject.is_some() || !errors.rows.is_empty() {
            return Err(errors);
        }
        if filled.is_empty() {
            return Err(Errors::of("Write into at least one row. Rows that are empty send nothing.".to_owned()));
        }
        Ok(filled)
    }

    /// Under another `key`, without the rows that were sent as they are. `before` says it of each row that has a text.
    fn leave_out(&mut self, before: &[Option<Sent>], key: IdempotencyKey) {
        self.key = key;
        let filled = self.texts.rows.iter_mut().filter(|(_, text)| !text.trim().is_empty());
        for ((_, text), sent) in filled.zip(before) {
            if matches!(sent, Some(Sent::Repeated(_) | Sent::Created(_))) {
                text.clear();
            }
        }
    }
}

/// What was typed by the rows that the template has now. What was written into one that it has no more stands at the end.
fn with_rows_of(typed: Typed, template: Option<&Template>) -> Typed {
    let Some(template) = template else { return typed };
    let mut written: Vec<_> = typed.texts.rows;
    let mut rows: Vec<(String, String)> = Vec::new();
    for row in template.rows.rows() {
        let at = written.iter().position(|(label, _)| *label == row.label);
        let text = at.map(|at| written.remove(at).1).unwrap_or_default();
        rows.push((row.label.clone(), text));
    }
    rows.extend(written.into_iter().filter(|(_, text)| !text.trim().is_empty()));
    Typed { texts: TemplateTexts { rows, ..typed.texts }, ..typed }
}

fn page(
    request: &Request,
    member: &Member,
    id: TemplateId,
    template: Option<&Template>,
    typed: Typed,
    mut errors: Errors,
) -> Result<Reply, PageError> {
    let prompts: BTreeMap<&str, &str> = template
        .iter()
        .flat_map(|template| template.rows.rows())
        .map(|row| (row.label.as_str(), row.prompt.as_str()))
        .collect();
    let row = |(at, (label, text)): (usize, (String, String))| FieldView {
        number: at + 1,
        label: label.as_str().into(),
        prompt: prompts.get(label.as_str()).copied().unwrap_or_default().into(),
        label_sent: label,
        text,
        error: errors.rows.remove(&at),
    };
    Reply::page(&WriteTemplatePage {
        rows: typed.texts.rows.into_iter().enumerate().map(row).collect(),
        frame: Frame::of(member, request).with_notice(notice(request.query.get("notice"))),
        id: id.get(),
        name: template.map(|template| template.name.as_str().into()),
        key: typed.key.to_string(),
        draft_version: typed.seen,
        draft_saved: typed.saved,
        subject: typed.texts.subject,
        subject_error: errors.subject,
        problem: errors.whole,
    })
}

fn notice(code: Option<&str>) -> Option<&'static str> {
    (code? == "saved").then_some("Saved. Only you can see it, and it is here when you come back.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(fields: &[(&str, &str)]) -> Typed {
        let key = IdempotencyKey::fresh().to_string();
        let fields = [&[("key", key.as_str())], fields].concat();
        Typed::of(&Form::parse(crate::http::form::encode(fields).as_bytes())).ok().unwrap()
    }

    #[test]
    fn rows_with_a_text_are_sent_and_no_others() {
        let form = typed(&[
            ("subject", " Evening "),
            ("label-1", "Room 1"),
            ("text-1", "quiet"),
            ("label-2", "Room 2"),
            ("text-2", " \n"),
            ("label-3", "Room 3"),
            ("text-3", "restless"),
            ("label-5", "not reached"),
            ("text-5", "x"),
        ]);
        let filled = form.filled().ok().unwrap();
        let subjects: Vec<_> = filled.iter().map(|row| row.subject.as_str()).collect();
        assert_eq!(subjects, ["Room 1: Evening", "Room 3: Evening"]);
        let bare = typed(&[("label-1", "Room 1"), ("text-1", "quiet")]).filled().ok().unwrap();
        assert_eq!(bare[0].subject.as_str(), "Room 1");
    }

    #[test]
    fn every_fault_is_told_beside_its_row() {
        let long = "x".repeat(20_001);
        let form = typed(&[("label-1", "Room 1"), ("text-1", &long), ("label-2", "Room 2"), ("text-2", "a\u{1}b")]);
        let errors = form.filled().err().unwrap();
        assert_eq!(errors.rows.keys().copied().collect::<Vec<_>>(), [0, 1]);
        let form = typed(&[("subject", &"x".repeat(250)), ("label-1", "Room 1"), ("text-1", "quiet")]);
        assert!(form.filled().err().unwrap().subject.unwrap().contains("255 characters"));
        assert!(typed(&[("label-1", "Room 1")]).filled().err().unwrap().whole.is_some());
    }

    #[test]
    fn what_was_sent_as_it_is_is_left_out_of_the_form_that_comes_back() {
        let fields = [("label-1", "a"), ("label-2", "b"), ("text-2", "sent"), ("label-3", "c"), ("text-3", "changed")];
        let mut form = typed(&fields);
        let key = form.key;
        let id = store::MessageId::new(7).unwrap();
        form.leave_out(&[Some(Sent::Repeated(id)), Some(Sent::KeyReused(id))], IdempotencyKey::fresh());
        let texts: Vec<_> = form.texts.rows.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["", "", "changed"]);
        assert_ne!(form.key, key);
    }
}
