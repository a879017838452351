//! `GET /messages/{}`: a conversation, a message and its replies; and replying. That messages were opened is on disk before
//! their texts leave the server.

use std::sync::Arc;
use std::time::Instant;

use http::{StatusCode, header};
use store::{
    Body, Conversation, ConversationMessage, IdempotencyKey, MessageContent, MessageId, NewReply, Position, Reader,
    Sent, Store, StoreError,
};

use super::Messages;
use super::compose::{cannot_store, key_of, sent};
use super::duties;
use super::recipients::Recipients;
use crate::app::access::Member;
use crate::app::errors::RETRY_AFTER_SECONDS;
use crate::app::pages::{Frame, Time};
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::features::messages::pages::{
    ConversationMessageView, ConversationPage, DoneView, MessageContentView, NewLine, ReaderView, RecipientsError,
    ReplyForm,
};
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// Messages on a page.
const PAGE_SIZE: u64 = 50;

/// The page of the conversation. A reply's own address leads to its place in it, and `?at=new`, which the lists say, to what is
/// new to the reader.
pub async fn show(state: Arc<Messages>, request: Request, member: Member) -> Result<Reply, PageError> {
    let id: MessageId = request.id().ok_or(PageError::NotFound)?;
    let position = request.site.store.position(id, PAGE_SIZE).await?.ok_or(PageError::NotFound)?;
    if position.root != id {
        return Ok(Reply::see_other(&place(position, None, id)));
    }
    if request.query.get("at") == Some("new")
        && let Some((first, position)) = request.site.store.first_new(member.actor().person, id, PAGE_SIZE).await?
        && first != id
    {
        return Ok(Reply::see_other(&place(position, None, first)));
    }
    let page = match request.query.get("page") {
        None => 0,
        Some(text) => match text.parse::<u64>() {
            Ok(number) if number > 0 => number - 1,
            _ => return Err(PageError::BadRequest("The page number in the address is not one of ours.")),
        },
    };
    let typed = match request.site.store.draft(member.actor().person, Some(id)).await? {
        Some(draft) => Typed {
            seen: draft.version().to_string(),
            key: draft.key,
            body: draft.body,
            recipients: draft.addressed.into(),
            saved: Some(draft.saved_at.into()),
        },
        None => Typed {
            key: request.site.store.fresh_key(),
            seen: String::new(),
            body: String::new(),
            recipients: Recipients::default(),
            saved: None,
        },
    };
    open(&state, &request, &member, id, page, typed, Errors::default()).await
}

/// `POST /messages/{}/replies`: to the reply's place, or `{"sent": true}` for a script; with an error, the page again.
pub async fn reply(
    state: Arc<Messages>,
    request: Request,
    member: Member,
    form: CsrfChecked<Form>,
) -> Result<Reply, PageError> {
    let id: MessageId = request.id().ok_or(PageError::NotFound)?;
    let Position { root, .. } = request.site.store.position(id, PAGE_SIZE).await?.ok_or(PageError::NotFound)?;
    let form = form.into_inner();
    let mut typed = Typed {
        key: key_of(&form)?,
        seen: form.text("seen").to_owned(),
        body: form.text("body").to_owned(),
        recipients: Recipients::of(&form),
        saved: None,
    };
    let body = match Body::parse(&typed.body) {
        Ok(body) => body,
        Err(error) => {
            let errors = Errors { body: Some(error.to_string()), ..Errors::default() };
            return again(&state, &request, &member, root, typed, errors, StatusCode::UNPROCESSABLE_ENTITY).await;
        }
    };
    let within = request.over_limit.map_or_else(|| request.site.limits.send(member.actor().person), Err);
    if let Err(too_many) = within {
        let errors = Errors { form: Some(too_many.explanation()), ..Errors::default() };
        let reply = again(&state, &request, &member, root, typed, errors, StatusCode::TOO_MANY_REQUESTS).await?;
        return Ok(reply.with(header::RETRY_AFTER, &too_many.seconds().to_string()));
    }
    let store = &request.site.store;
    if let Some(away) = typed.recipients.not_told_of(store, member.actor().person).await? {
        let errors = Errors { recipients: Some(away), ..Errors::default() };
        return again(&state, &request, &member, root, typed, errors, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    let new = NewReply { to: root, body, addressed: typed.recipients.addressed.clone(), key: typed.key };
    match store.send_reply(member.actor(), new, request.at).await {
        Ok(Some(Sent::Created(id) | Sent::Repeated(id))) => {
            let position = request.site.store.position(id, PAGE_SIZE).await?.ok_or(PageError::NotFound)?;
            Ok(sent(&request, &place(position, Some("replied"), id)))
        }
        Ok(Some(Sent::KeyReused(id))) => {
            typed.key = store.fresh_key();
            let text = format!(
                "This form was sent before, as message {id}, with another text or for others. Send it again to make it a second reply."
            );
            let errors = Errors { form: Some(text), ..Errors::default() };
            again(&state, &request, &member, root, typed, errors, StatusCode::CONFLICT).await
        }
        Ok(Some(Sent::NotAddressed(error))) => {
            let everybody = state.everybody.as_of(store, member.session().as_of).await?;
            let errors = Errors { recipients: Some(everybody.explain(error)), ..Errors::default() };
            again(&state, &request, &member, root, typed, errors, StatusCode::UNPROCESSABLE_ENTITY).await
        }
        Ok(None) => Err(PageError::NotFound),
        Err(error @ (StoreError::DiskFull | StoreError::Busy)) => {
            if request.site.log_throttle.allows("message_not_stored", Instant::now()) {
                tracing::error!(request_id = %request.visitor.request_id, %error, "a message could not be stored");
            }
            let errors = Errors { form: Some(cannot_store(&error)), ..Errors::default() };
            let reply = again(&state, &request, &member, root, typed, errors, StatusCode::SERVICE_UNAVAILABLE).await?;
            Ok(reply.with(header::RETRY_AFTER, &RETRY_AFTER_SECONDS.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Where a message stands, with a notice; None where there is no such message.
pub async fn address_of(store: &Store, id: MessageId, notice: &str) -> Result<Option<String>, StoreError> {
    Ok(store.position(id, PAGE_SIZE).await?.map(|position| place(position, Some(notice), id)))
}

/// Where a message stands.
fn place(position: Position, notice: Option<&str>, id: MessageId) -> String {
    let mut query = Vec::new();
    if position.page > 0 {
        query.push(format!("page={}", position.page + 1));
    }
    query.extend(notice.map(|notice| format!("notice={notice}")));
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("/messages/{}{query}#m{id}", position.root)
}

struct Typed {
    key: IdempotencyKey,
    /// The version of the draft that the page has seen.
    seen: String,
    body: String,
    recipients: Recipients,
    saved: Option<Time>,
}

#[derive(Default)]
struct Errors {
    body: Option<String>,
    recipients: Option<RecipientsError>,
    form: Option<String>,
}

/// The last page of the conversation, where the reply would stand.
async fn again(
    state: &Messages,
    request: &Request,
    member: &Member,
    root: MessageId,
    typed: Typed,
    errors: Errors,
    status: StatusCode,
) -> Result<Reply, PageError> {
    Ok(open(state, request, member, root, u64::MAX, typed, errors).await?.with_status(status))
}

async fn open(
    state: &Messages,
    request: &Request,
    member: &Member,
    root: MessageId,
    page: u64,
    typed: Typed,
    errors: Errors,
) -> Result<Reply, PageError> {
    let (actor, store) = (member.actor(), &request.site.store);
    let opened = store.open_conversation(actor, root, page, PAGE_SIZE, request.at).await?.ok_or(PageError::NotFound)?;
    let Conversation { subject, replies, page, pages, messages, new, newest_event, .. } = opened;
    // After the opening: a look at who opened it includes nothing that the log does not have.
    let readers = store.readers(messages.iter().map(|message| message.id).collect()).await?;
    let duties = duties::of(store, &messages, &readers, member).await?;
    let recipients = state.everybody.form(request, member, &typed.recipients, errors.recipients).await?;
    let neighbours = store.neighbours(root).await?;
    let done = store.conversation_summary(root).await?.and_then(|summary| summary.done);
    let url =
        |page: u64| if page == 0 { format!("/messages/{root}") } else { format!("/messages/{root}?page={}", page + 1) };
    Reply::page(&ConversationPage {
        frame: Frame::of(member, request).with_notice(notice(request.query.get("notice"))),
        id: root.get(),
        subject: subject.map(|subject| subject.0.into()),
        replies,
        messages: messages
            .into_iter()
            .zip(readers)
            .zip(duties)
            .map(|((message, readers), duties)| ConversationMessageView { duties, ..view(message, readers, member) })
            .collect(),
        new: new.map(|new| NewLine { above: new.first.get(), since: new.since.map(Into::into) }),
        earlier_url: (page > 0).then(|| url(page - 1)),
        later_url: (page + 1 < pages).then(|| url(page + 1)),
        newest_url: (page + 2 < pages).then(|| url(pages - 1)),
        done: done.map(|done| DoneView { by: done.by.name.into(), at: done.at.into() }),
        newer: neighbours.newer.map(MessageId::get),
        older: neighbours.older.map(MessageId::get),
        updates_url: format!("/messages/updates?after={newest_event}&conversation={root}"),
        reply: ReplyForm {
            key: typed.key.to_string(),
            body: typed.body,
            recipients,
            body_error: errors.body,
            problem: errors.form,
            draft_version: typed.seen,
            draft_saved: typed.saved,
            max_body: Body::MAX_CHARS,
        },
    })
}

fn view(message: ConversationMessage, readers: Vec<Reader>, member: &Member) -> ConversationMessageView {
    let others = readers.into_iter().filter(|reader| reader.person.id != member.actor().person);
    ConversationMessageView {
        readers: others.map(|reader| ReaderView { name: reader.person.name.into(), at: reader.at.into() }).collect(),
        id: message.id.get(),
        duties: None,
        own: message.author.id == member.actor().person,
        author_name: message.author.name.into(),
        author_email: message.author.email.into(),
        sent: message.sent_at.into(),
        content: match message.content {
            MessageContent::Live(body) => MessageContentView::Live { body: body.into() },
            MessageContent::Deleted(at) => MessageContentView::Deleted { at: at.into() },
        },
    }
}

fn notice(code: Option<&str>) -> Option<&'static str> {
    match code? {
        "reopened" => Some("Open again."),
        "replied" => Some("Reply sent."),
        "duty-done" => Some("Done. It is not for you any more."),
        "duty-taken" => Some("You have taken it."),
        "on-my-way" => Some("Everybody sees that you are on your way."),
        "cannot" => Some("You cannot: the next ones are asked."),
        "duty-over" => Some("Nothing was changed: it is over, or it is not for you. This is how it stands now."),
        "discarded" => Some("Draft discarded."),
        "other-draft" => Some("Nothing was discarded: your draft was changed in another tab or browser. Here it is."),
        _ => None,
    }
}
