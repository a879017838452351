//! The half-written message of each member: kept in the encrypted database, never in the browser, since ward
//! computers are shared.

use store::{Draft, IdempotencyKey, Timestamp};

use crate::access::Member;
use crate::form::Form;
use crate::page_error::PageError;
use crate::reply::Reply;
use crate::request::Request;
use crate::route::CsrfChecked;

/// `POST /draft`: what is being written, as the page saves it from time to time.
pub async fn save(request: Request, member: Member, form: CsrfChecked<Form>) -> Result<Reply, PageError> {
    // The page keeps the text and tries again. A session that has ended cannot: its draft was kept before we came here.
    request.over_limit.map_or_else(|| request.site.limits.draft(member.actor().person), Err)?;
    let draft = from_form(&form.into_inner(), request.at)
        .ok_or(PageError::BadRequest("A draft needs its key, and a subject or a text."))?;
    request.site.store.save_draft(member.actor(), draft).await?;
    Ok(Reply::no_content())
}

/// `POST /draft/discard`
pub async fn discard(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    request.site.store.discard_draft(member.actor(), request.at).await?;
    Ok(Reply::see_other("/messages?notice=discarded"))
}

/// The draft in a compose form; None when it is not one, or is empty.
pub fn from_form(form: &Form, at: Timestamp) -> Option<Draft> {
    let key = IdempotencyKey::parse(form.get("key")?)?;
    let subject: String = form.text("subject").chars().take(Draft::MAX_SUBJECT_CHARS).collect();
    let body: String = form.text("body").chars().take(Draft::MAX_BODY_CHARS).collect();
    let empty = subject.trim().is_empty() && body.trim().is_empty();
    (!empty).then_some(Draft { key, subject, body, saved_at: at })
}
