//! What one does with a conversation by one click: done, open again, unread.

use store::{DoneChange, MarkedUnread, MessageId};

use crate::app::access::Member;
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// `POST /messages/{}/done`: to the list.
pub async fn done(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    set_done(&request, &member, true).await?;
    Ok(Reply::see_other("/messages?notice=done"))
}

/// `POST /messages/{}/reopen`: to the conversation.
pub async fn reopen(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let id = set_done(&request, &member, false).await?;
    Ok(Reply::see_other(&format!("/messages/{id}?notice=reopened")))
}

async fn set_done(request: &Request, member: &Member, done: bool) -> Result<MessageId, PageError> {
    let id = request.id().ok_or(PageError::NotFound)?;
    match request.site.store.set_done(member.actor(), id, done, request.at).await? {
        DoneChange::Changed | DoneChange::Unchanged => Ok(id),
        DoneChange::Missing => Err(PageError::NotFound),
    }
}

/// `POST /messages/{}/unread`: to the list, where it is new again.
pub async fn mark_unread(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let id = request.id().ok_or(PageError::NotFound)?;
    match request.site.store.mark_unread(member.actor(), id, request.at).await? {
        MarkedUnread::Unread => Ok(Reply::see_other("/messages?notice=unread")),
        MarkedUnread::NothingOfOthers => Err(PageError::BadRequest("Nobody else has written in this conversation.")),
        MarkedUnread::Missing => Err(PageError::NotFound),
    }
}
