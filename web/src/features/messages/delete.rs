//! Deleting one's own message: a page that asks, and the deed.

use store::{Deletion, SummaryContent};

use crate::app::access::Member;
use crate::app::pages::Frame;
use crate::app::request::Request;
use crate::app::row::CsrfChecked;
use crate::features::messages::pages::DeletePage;
use crate::http::error::PageError;
use crate::http::form::Form;
use crate::http::reply::Reply;

/// `GET /messages/{}/delete`: asks first.
pub async fn confirm(request: Request, member: Member) -> Result<Reply, PageError> {
    let id = request.id().ok_or(PageError::NotFound)?;
    let message = request.site.store.message_summary(id).await?.ok_or(PageError::NotFound)?;
    let SummaryContent::Live { subject } = message.content else {
        return Ok(Reply::see_other(&format!("/messages/{id}")));
    };
    if message.author.id != member.actor().person {
        return Err(PageError::NotYours);
    }
    Reply::page(&DeletePage {
        frame: Frame::of(&member, &request),
        id: id.get(),
        subject: subject.into(),
        sent: message.sent_at.into(),
    })
}

/// `POST /messages/{}/delete`
pub async fn delete(request: Request, member: Member, _: CsrfChecked<Form>) -> Result<Reply, PageError> {
    let id = request.id().ok_or(PageError::NotFound)?;
    match request.site.store.delete_message(member.actor(), id, request.at).await? {
        Deletion::Deleted => Ok(Reply::see_other("/messages?notice=deleted")),
        Deletion::AlreadyDeleted => Ok(Reply::see_other(&format!("/messages/{id}"))),
        Deletion::NotYours => Err(PageError::NotYours),
        Deletion::Missing => Err(PageError::NotFound),
    }
}
